//! Test dispatches: `[tests]`. A program that does not say it holds none, and asks every home for what an event asks.

use gridtally_protocol::quantity::Milliwatts;
use serde::Serialize;

use super::dispatching::{optional, read_window};
use crate::rules::document::Found;

/// A quarter of a year: what a test proves counts no longer.
const WEEKS_MAX: u32 = 13;
const WATTS_MAX: u32 = 1_000_000;
const MILLIWATTS_PER_WATT: i64 = 1_000;
const LEAST_PERCENT: u32 = 50;

/// What a program says of its test dispatches.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Tests {
    /// What each site is asked to give, unless its nameplate is less.
    #[serde(rename = "discharge_milliwatts")]
    pub discharge: Milliwatts,
    /// From when until when by the local clock, in seconds since 00:00, where that is not as for its events.
    pub window: Option<(u32, u32)>,
    /// Each site has a test in one week of so many, at random.
    pub one_week_in: u32,
    /// The least share of what is asked that passes, in percent.
    pub least_percent: u32,
    /// Whether an event asks no site for more than it has proved.
    pub proof_required: bool,
}

impl Tests {
    pub(super) fn read(found: &Found<'_, '_>) -> Option<Self> {
        let mut s = found.section()?;
        let watts = s.required("discharge_watts").and_then(|v| v.whole(1..=WATTS_MAX));
        let window = optional(&mut s, "window", |v| read_window(v.section()?));
        let one_week_in = optional(&mut s, "one_week_in", |v| v.whole(1..=WEEKS_MAX));
        let least_percent = optional(&mut s, "least_percent", |v| v.whole(1..=100));
        let proof_required = optional(&mut s, "proof_required", |v| {
            v.one_of(&[("yes", true), ("no", false)])
        });
        s.finish();
        Some(Self {
            discharge: Milliwatts::new(i64::from(watts?).checked_mul(MILLIWATTS_PER_WATT)?),
            window: window?,
            one_week_in: one_week_in?.unwrap_or(1),
            least_percent: least_percent?.unwrap_or(LEAST_PERCENT),
            proof_required: proof_required?.unwrap_or(false),
        })
    }
}
