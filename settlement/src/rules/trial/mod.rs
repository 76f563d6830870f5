//! Trials: a program on past data, before its first season.
//!
//! A trial settles what is past under a program, through the same [`settle`](super::statement::settle) that will pay:
//! nothing here prices or compares by itself. On days without a dispatch nobody reduced anything, so whatever a rule
//! credits there is its own error: *phantom credit*.
//!
//! - [`data`]: what the meters of the sites counted, and what settles them;
//! - [`days`]: the days that are tried;
//! - [`contenders`]: the program's own rule, and those it is compared with;
//! - [`tries`]: a day without an event, under every rule;
//! - [`accuracy`]: how far a rule is off where nothing was asked, and what that would have cost;
//! - [`events`]: what each event would have credited and paid;
//! - [`saturation`]: what becomes of the look-back as events accumulate;
//! - [`adjustments`]: what the same-day adjustment did;
//! - [`warnings`]: what an operator should know before a season, with figures.
//!
//! `docs/trying-a-program.md` says what the figures mean.

pub mod accuracy;
pub mod adjustments;
pub mod contenders;
pub mod data;
pub mod days;
pub mod events;
pub mod percent;
pub mod saturation;
pub mod tries;
pub mod warnings;
