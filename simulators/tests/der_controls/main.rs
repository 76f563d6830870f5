//! Controls act, revert and refuse: models 123, 124, 703, 704 and 715.

mod basic;
mod bench;
mod limits;
mod service;
