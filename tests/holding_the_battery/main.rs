//! The agent's hands on simulated batteries, watched with distrust: whatever happens, it never leaves a battery in
//! a state that its owner did not choose, and tells nothing that is not so.

mod farewell;
mod faults;
mod house;
mod killed;
mod limits;
mod obeyed;
mod owner;
mod pitfalls;
mod story;
mod wire;
