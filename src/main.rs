//! The one program that a person types.
fn main() {}
