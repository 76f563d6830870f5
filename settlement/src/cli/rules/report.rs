//! What `gridtally rules baseline` prints.

mod print;

use chrono::NaiveDate;
use gridtally_protocol::quantity::MilliwattHours;
use gridtally_protocol::time::Timestamp;
use serde::Serialize;

use super::case::{Case, Solved};
use crate::rules::baseline::{
    AdjustmentKind, Applied, BaselineInterval, BaselineRule, Candidate, CandidateReadings, Clip, Control,
    Explanation, NoBaseline, Outcome, Verdict, WindowInterval,
};
use crate::rules::exact::{ArithmeticError, Ratio};

const MWH_PER_KWH: i128 = 1_000_000;

/// How much is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Detail {
    /// Everything.
    Full,
    /// Without the rule's parameters and the candidates' readings.
    Brief,
}

/// The answer, as JSON: energies in kWh, exact as a fraction and rounded half-even to six decimals.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    #[serde(skip_serializing_if = "Option::is_none")]
    rule: Option<BaselineRule>,
    rule_hash: String,
    zone: String,
    interval_seconds: u32,
    event: EventReport,
    #[serde(flatten)]
    result: ResultReport,
    notes: Vec<String>,
    #[serde(skip)]
    about: (String, String),
}

#[derive(Debug, Serialize)]
struct EventReport {
    start: Timestamp,
    end: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    notified: Option<Timestamp>,
    day: NaiveDate,
    day_type: String,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "snake_case")]
enum ResultReport {
    Baseline(Box<BaselineReport>),
    NoBaseline(Box<NoBaseline>),
}

#[derive(Debug, Serialize)]
struct BaselineReport {
    /// The rule's name: the fallback's where that stood in.
    rule: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    instead_of: Option<Box<NoBaseline>>,
    flags: Vec<Flag>,
    days: Vec<NaiveDate>,
    candidates: Vec<CandidateReport>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    controls: Vec<Control>,
    adjustment: Option<AdjustmentReport>,
    windows: Vec<WindowReport>,
    intervals: Vec<IntervalReport>,
    delta_sum: Option<Kwh>,
    clip: Clip,
    credited_sum: Option<Kwh>,
}

/// What a reader should know at a glance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Flag {
    /// The ratio had no meaning, and 1 was taken.
    RatioUndefined,
    /// The cap changed the adjustment.
    AdjustmentCapped,
    /// Days with a dispatch were averaged, for want of others.
    FilledFromEventDays,
    /// Readings were worked out rather than metered.
    Derived,
    /// The rule had no baseline, and another stood in for it.
    Fallback,
}

/// An energy in kWh.
#[derive(Debug, Clone, Copy, Serialize)]
struct Kwh {
    exact: Ratio,
    #[serde(serialize_with = "six_decimals")]
    rounded: MilliwattHours,
}

fn six_decimals<S: serde::Serializer>(value: &MilliwattHours, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}

fn in_kwh(mwh: Ratio) -> Result<Ratio, ArithmeticError> {
    mwh.checked_div(Ratio::whole(MWH_PER_KWH))
}

impl Kwh {
    fn of_mwh(mwh: Ratio) -> Result<Self, ArithmeticError> {
        let rounded = i64::try_from(mwh.round_half_even()?);
        let rounded = rounded.map_err(|_| ArithmeticError::Overflow {
            operation: "rounding",
        })?;
        Ok(Self {
            exact: in_kwh(mwh)?,
            rounded: MilliwattHours::new(rounded),
        })
    }

    fn sum(of: impl Iterator<Item = Option<Self>>) -> Result<Option<Self>, ArithmeticError> {
        let Some(all) = of.map(|kwh| kwh.map(|k| k.exact)).collect::<Option<Vec<_>>>() else {
            return Ok(None);
        };
        let sum = Ratio::checked_sum(all)?.checked_mul(Ratio::whole(MWH_PER_KWH))?;
        Self::of_mwh(sum).map(Some)
    }
}

#[derive(Debug, Serialize)]
struct CandidateReport {
    #[serde(flatten)]
    candidate: Candidate,
    /// For each interval of the event, and of the windows, the readings that are compared, in kWh.
    #[serde(skip_serializing_if = "Option::is_none")]
    readings: Option<ReadingsReport>,
}

#[derive(Debug, Serialize)]
struct ReadingsReport {
    event: Vec<Vec<Ratio>>,
    windows: Vec<Vec<Ratio>>,
}

impl ReadingsReport {
    fn new(readings: &CandidateReadings) -> Result<Self, ArithmeticError> {
        let kwh = |values: &Vec<Vec<Ratio>>| {
            let one = |v: &Vec<Ratio>| v.iter().map(|v| in_kwh(*v)).collect();
            values.iter().map(one).collect::<Result<_, ArithmeticError>>()
        };
        Ok(Self {
            event: kwh(&readings.event)?,
            windows: kwh(&readings.windows)?,
        })
    }
}

#[derive(Debug, Serialize)]
struct AdjustmentReport {
    kind: AdjustmentKind,
    intervals: u32,
    metered: Kwh,
    average: Kwh,
    /// A factor, or kWh for each interval.
    uncapped: Option<Ratio>,
    applied: Ratio,
    applied_rounded: String,
    capped: bool,
    undefined: bool,
}

impl AdjustmentReport {
    fn new(a: &Applied) -> Result<Self, ArithmeticError> {
        let unit = match a.kind {
            AdjustmentKind::Ratio => Ratio::ONE,
            AdjustmentKind::Additive => Ratio::whole(MWH_PER_KWH),
        };
        let applied = a.applied.checked_div(unit)?;
        let rounded = Kwh::of_mwh(applied.checked_mul(Ratio::whole(MWH_PER_KWH))?)?.rounded;
        Ok(Self {
            kind: a.kind,
            intervals: a.intervals,
            metered: Kwh::of_mwh(a.metered)?,
            average: Kwh::of_mwh(a.average)?,
            uncapped: a.uncapped.map(|u| u.checked_div(unit)).transpose()?,
            applied,
            applied_rounded: rounded.to_string(),
            capped: a.capped,
            undefined: a.undefined,
        })
    }
}

#[derive(Debug, Serialize)]
struct WindowReport {
    start: Timestamp,
    clock: String,
    metered: Kwh,
    readings: u32,
    average: Option<Kwh>,
}

impl WindowReport {
    fn new(window: &WindowInterval) -> Result<Self, ArithmeticError> {
        Ok(Self {
            start: window.start,
            clock: window.clock.clone(),
            metered: Kwh::of_mwh(window.metered)?,
            readings: window.readings,
            average: window.average.map(Kwh::of_mwh).transpose()?,
        })
    }
}

#[derive(Debug, Serialize)]
struct IntervalReport {
    start: Timestamp,
    clock: String,
    readings: u32,
    raw: Kwh,
    baseline: Kwh,
    metered: Option<Kwh>,
    /// Whether `metered` was worked out.
    #[serde(skip_serializing_if = "core::ops::Not::not")]
    derived: bool,
    delta: Option<Kwh>,
    credited: Option<Kwh>,
}

impl IntervalReport {
    fn new(interval: &BaselineInterval, compared: (Option<Ratio>, bool)) -> Result<Self, ArithmeticError> {
        let (metered, derived) = compared;
        let delta = metered.map(|m| interval.exact.checked_sub(m)).transpose()?;
        Ok(Self {
            start: interval.start,
            clock: interval.clock.clone(),
            readings: interval.readings,
            raw: Kwh::of_mwh(interval.raw)?,
            baseline: Kwh::of_mwh(interval.exact)?,
            metered: metered.map(Kwh::of_mwh).transpose()?,
            derived,
            delta: delta.map(Kwh::of_mwh).transpose()?,
            credited: None,
        })
    }
}

/// Nets the deltas. What cannot be netted because a reading is missing is not credited.
fn credit(clip: Clip, intervals: &mut [IntervalReport]) -> Result<(), ArithmeticError> {
    let nothing = Kwh::of_mwh(Ratio::ZERO)?;
    let sum = Kwh::sum(intervals.iter().map(|i| i.delta))?;
    for interval in intervals {
        interval.credited = match clip {
            Clip::None => interval.delta,
            Clip::Interval => interval
                .delta
                .map(|d| if d.exact.is_positive() { d } else { nothing }),
            Clip::Event => sum.and_then(|sum| {
                if sum.exact.is_positive() {
                    interval.delta
                } else {
                    Some(nothing)
                }
            }),
        };
    }
    Ok(())
}

impl Report {
    pub(super) fn new(case: &Case, solved: &Solved, detail: Detail) -> Result<Self, ArithmeticError> {
        let (day, day_type, result) = match &solved.outcome {
            Outcome::Baseline(e) => {
                let report = BaselineReport::new(e, case.rule.clip, solved, detail)?;
                (e.day, &e.day_type, ResultReport::Baseline(Box::new(report)))
            }
            Outcome::NoBaseline(none) => {
                let report = ResultReport::NoBaseline(Box::new(none.clone()));
                (none.day, &none.day_type, report)
            }
        };
        let calendar = &case.calendar;
        Ok(Self {
            rule: (detail == Detail::Full).then(|| case.rule.clone()),
            rule_hash: case.rule.hash(),
            zone: calendar.zone.name().to_owned(),
            interval_seconds: calendar.length.seconds(),
            event: EventReport {
                start: calendar.start,
                end: calendar.end,
                notified: calendar.notified,
                day,
                day_type: day_type.clone(),
            },
            result,
            notes: case.notes.clone(),
            about: (case.rule.id.clone(), case.rule.about.clone()),
        })
    }
}

impl BaselineReport {
    fn new(
        explanation: &Explanation,
        clip: Clip,
        solved: &Solved,
        detail: Detail,
    ) -> Result<Self, ArithmeticError> {
        let intervals = explanation.intervals.iter().zip(&solved.compared);
        let intervals = intervals.map(|(interval, compared)| IntervalReport::new(interval, *compared));
        let mut intervals: Vec<_> = intervals.collect::<Result<_, _>>()?;
        credit(clip, &mut intervals)?;
        let candidate = |candidate: &Candidate| {
            let readings = solved
                .days
                .get(&candidate.date)
                .filter(|_| detail == Detail::Full);
            Ok(CandidateReport {
                candidate: candidate.clone(),
                readings: readings.map(ReadingsReport::new).transpose()?,
            })
        };
        let candidates = explanation.candidates.iter().map(candidate);
        let adjustment = explanation.adjustment.as_ref().map(AdjustmentReport::new);
        Ok(Self {
            rule: explanation.rule.clone(),
            flags: flags(explanation, solved),
            days: explanation.chosen_days(),
            candidates: candidates.collect::<Result<_, ArithmeticError>>()?,
            controls: explanation.controls.clone(),
            adjustment: adjustment.transpose()?,
            windows: solved
                .windows
                .iter()
                .map(WindowReport::new)
                .collect::<Result<_, _>>()?,
            delta_sum: Kwh::sum(intervals.iter().map(|i| i.delta))?,
            clip,
            credited_sum: Kwh::sum(intervals.iter().map(|i| i.credited))?,
            intervals,
            instead_of: explanation.instead_of.clone(),
        })
    }
}

fn flags(explanation: &Explanation, solved: &Solved) -> Vec<Flag> {
    let adjustment = explanation.adjustment.as_ref();
    let filled = |c: &Candidate| c.verdict == Verdict::FilledFromEventDays;
    let chosen = explanation.candidates.iter().filter(|c| c.verdict.is_chosen());
    let derived = chosen
        .filter_map(|c| solved.days.get(&c.date))
        .any(|readings| readings.derived > 0)
        || solved.compared.iter().any(|(_, derived)| *derived);
    let flags = [
        (adjustment.is_some_and(|a| a.undefined), Flag::RatioUndefined),
        (adjustment.is_some_and(|a| a.capped), Flag::AdjustmentCapped),
        (
            explanation.candidates.iter().any(filled),
            Flag::FilledFromEventDays,
        ),
        (derived, Flag::Derived),
        (explanation.instead_of.is_some(), Flag::Fallback),
    ];
    flags
        .into_iter()
        .filter_map(|(holds, flag)| holds.then_some(flag))
        .collect()
}
