//! Limits at the grid meter: a closed loop over what the meter and the battery show.
//!
//! **The law.** With import and discharge positive, the house without its battery draws
//!
//! ```text
//! net = grid + battery                                        (both measured, of one moment)
//! ```
//!
//! and whatever the battery does, `grid = net − battery`. So the limits allow the battery the window
//!
//! ```text
//! net − import limit + margin + trim  ≤  battery  ≤  net + export limit − margin − trim
//! ```
//!
//! and it goes to that place in the window that is nearest to what it was to do anyway. `net` does not depend
//! on how much of the last command the battery has followed by now, so a delay between command and effect
//! cannot make the loop swing: a step of the load is answered in full with the first sample that shows it,
//! and never twice.
//!
//! `trim` is the integral part. A battery that gives less than it is told would stay beside the limit for
//! ever; when nothing moves any more (command, battery and net the same as in the sample before, within the
//! margin), what is still missing at the meter is added to it, unless it is within the dead band. It is never negative, and bounded by a quarter
//! of the battery's power.
//!
//! Sums saturate here: what comes out is clamped to the nameplate in any case.

use gridtally_protocol::quantity::Milliwatts;

/// The loop aims so far inside of a limit; less than this counts as no movement. 50 W.
pub const MARGIN: Milliwatts = Milliwatts::new(50_000);

/// So near to where it aims the loop leaves the battery alone: 25 W, in milliwatts.
const DEAD_BAND: i64 = 25_000;

/// Limits at the grid meter, where there are any.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Limits {
    /// The most that may come in.
    pub import: Option<Milliwatts>,
    /// The most that may go out.
    pub export: Option<Milliwatts>,
}

impl Limits {
    pub(super) const fn any(self) -> bool {
        self.import.is_some() || self.export.is_some()
    }

    /// The tighter of both, each.
    pub(super) fn and(self, other: Self) -> Self {
        let tighter = |a: Option<Milliwatts>, b: Option<Milliwatts>| match (a, b) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (one, other) => one.or(other),
        };
        Self {
            import: tighter(self.import, other.import),
            export: tighter(self.export, other.export),
        }
    }

    /// Whether the meter shows more than the loop aims at.
    pub(super) fn are_in_danger(self, grid: Milliwatts) -> bool {
        let margin = MARGIN.get();
        let excess = |limit: Option<Milliwatts>, flow: i64| {
            limit.is_some_and(|limit| flow > limit.get().saturating_sub(margin))
        };
        excess(self.import, grid.get()) || excess(self.export, grid.get().saturating_neg())
    }
}

/// What is measured at one moment: the grid (import is positive) and the battery (discharge is positive).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Flow {
    pub(super) grid: Milliwatts,
    pub(super) battery: Milliwatts,
}

impl Flow {
    /// What the house would draw without its battery.
    pub(super) const fn net(self) -> i64 {
        self.grid.get().saturating_add(self.battery.get())
    }
}

/// What the battery may do, in milliwatts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Window {
    low: i64,
    high: i64,
}

/// What the loop remembers from one sample to the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Loop {
    limits: Limits,
    /// Added for the import and the export limit.
    trim: [i64; 2],
    /// The sample before, and the command that was in force then.
    last: Option<(Flow, Option<Milliwatts>)>,
}

impl Loop {
    /// The window at a sample, and the loop as it goes on. `held` is the command in force, `reach` the most that
    /// the battery can give or take.
    pub(super) fn step(
        mut self,
        limits: Limits,
        flow: Flow,
        held: Option<Milliwatts>,
        reach: Milliwatts,
    ) -> (Window, Self) {
        if self.limits != limits {
            self = Self {
                limits,
                ..Self::default()
            };
        }
        if self.is_settled(flow, held) {
            let grid = flow.grid.get();
            let most = reach.get().div_euclid(4).max(0);
            let trimmed = |trim: i64, limit: Option<Milliwatts>, flow: i64| {
                limit.map_or(0, |limit| {
                    let beside = flow.saturating_sub(limit.get().saturating_sub(MARGIN.get()));
                    let is_there = beside.abs() <= DEAD_BAND;
                    if is_there {
                        trim
                    } else {
                        trim.saturating_add(beside).clamp(0, most)
                    }
                })
            };
            self.trim = [
                trimmed(self.trim[0], limits.import, grid),
                trimmed(self.trim[1], limits.export, grid.saturating_neg()),
            ];
        }
        self.last = Some((flow, held));
        let (net, margin) = (flow.net(), MARGIN.get());
        let low = limits.import.map_or(i64::MIN, |limit| {
            net.saturating_sub(limit.get())
                .saturating_add(margin)
                .saturating_add(self.trim[0])
        });
        let high = limits.export.map_or(i64::MAX, |limit| {
            net.saturating_add(limit.get())
                .saturating_sub(margin)
                .saturating_sub(self.trim[1])
        });
        // Two limits closer together than their margins: the middle between them.
        let window = if low <= high {
            Window { low, high }
        } else {
            let middle = high.saturating_add(low.saturating_sub(high).div_euclid(2));
            Window {
                low: middle,
                high: middle,
            }
        };
        (window, self)
    }

    /// The battery could not go where the window was: what is missing for that reason is not to be added up.
    pub(super) const fn without_what_was_added_since(self, before: &Self) -> Self {
        Self {
            trim: before.trim,
            ..self
        }
    }

    fn is_settled(&self, flow: Flow, held: Option<Milliwatts>) -> bool {
        let still = |a: i64, b: i64| a.abs_diff(b) <= MARGIN.get().unsigned_abs();
        self.last.is_some_and(|(before, command)| {
            held.is_some()
                && held == command
                && still(before.battery.get(), flow.battery.get())
                && still(before.net(), flow.net())
        })
    }
}

impl Window {
    /// The place that is nearest to `wanted`. A command in force that is near enough to it stays: the meter
    /// is never still, and a device need not be told of every watt.
    pub(super) fn nearest(self, wanted: Milliwatts, held: Option<Milliwatts>) -> Milliwatts {
        let place = wanted.get().clamp(self.low, self.high);
        let stays = |held: &Milliwatts| {
            let allowed = self.low.saturating_sub(DEAD_BAND)..=self.high.saturating_add(DEAD_BAND);
            place != wanted.get()
                && allowed.contains(&held.get())
                && held.get().abs_diff(place) <= MARGIN.get().unsigned_abs()
        };
        held.filter(stays).unwrap_or(Milliwatts::new(place))
    }
}
