//! Devices that misbehave, in every way that the device lab can play and that is known from the field, beside
//! devices that do not. Whatever one of them does, the agent believes nothing that the device did not say of
//! these registers at this instant, goes on to read the others, and reads that one again when it is well.

mod bytes;
mod connections;
mod house;
mod line;
mod matrix;
mod reads;
mod schedules;
mod slow_line;
mod truth;
