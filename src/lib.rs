//! `gridtally`, the one program that a person types, and the neighbourhood that its demo and its tests play.

pub mod attacks;
pub mod cli;
pub mod demo;
pub mod neighbourhood;
pub mod owner;
pub mod season;
