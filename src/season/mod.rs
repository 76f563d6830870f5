//! A season of a flexibility program: simulated homes of which it is known what they would have done, events, late
//! and wrong readings, disputes, two resettlements, and how close each baseline came to the truth.
//!
//! - [`plan`]: what happens and when, from a seed; [`home`]: what each home has;
//! - [`play`]: each home's physics, with and without the season's events;
//! - [`gateway`]: what a home signs; [`desk`]: what the operator does, with the books looked at after each step;
//! - [`story`]: all of it in order of time;
//! - [`measure`]: each baseline beside the truth; [`page`]: `docs/season.md`.
//!
//! Nothing here reads a clock, and no socket but the database's is opened: reports go into the engine's ingest as the
//! broker would hand them over, at instants of the season.

pub mod desk;
mod draw;
mod figures;
pub mod gateway;
pub mod home;
pub mod measure;
pub mod page;
pub mod plan;
pub mod play;
pub mod story;
