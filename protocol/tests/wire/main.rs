//! The wire as a whole: every message, honest and hostile, its size and its published vectors.

mod agreements;
mod decoders;
mod envelopes;
mod examples;
mod forge;
mod messages;
mod refused;
mod shown;
mod sizes;
mod speed;
mod strategies;
mod vectors;
