//! What `gridtally rules baseline` prints.

use std::collections::BTreeMap;
use std::io::{self, Write};

use chrono::NaiveDate;
use gridtally_protocol::quantity::MilliwattHours;
use gridtally_protocol::time::Timestamp;
use serde::Serialize;

use super::readings::{CsvReadings, PARTS};
use crate::rules::baseline::{
    AdjustmentKind, Applied, BaselineInterval, BaselineRule, Candidate, EventCalendar, Explanation,
    NoBaseline, Outcome,
};
use crate::rules::calendar::DayType;
use crate::rules::exact::{ArithmeticError, Ratio};

const MWH_PER_KWH: i128 = 1_000_000;

/// The answer, as JSON: energies in kWh, exact as a fraction and rounded half-even to six decimals.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    rule: BaselineRule,
    rule_hash: String,
    zone: String,
    interval_seconds: u32,
    event: EventReport,
    #[serde(flatten)]
    result: ResultReport,
    notes: Vec<String>,
}

#[derive(Debug, Serialize)]
struct EventReport {
    start: Timestamp,
    end: Timestamp,
    day: NaiveDate,
    day_type: DayType,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "snake_case")]
enum ResultReport {
    Baseline(Box<BaselineReport>),
    NoBaseline(NoBaseline),
}

#[derive(Debug, Serialize)]
struct BaselineReport {
    days: Vec<NaiveDate>,
    candidates: Vec<Candidate>,
    adjustment: Option<AdjustmentReport>,
    intervals: Vec<IntervalReport>,
    delta_sum: Option<Kwh>,
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

impl Kwh {
    fn of_mwh(mwh: Ratio) -> Result<Self, ArithmeticError> {
        let rounded = i64::try_from(mwh.round_half_even()?);
        let rounded = rounded.map_err(|_| ArithmeticError::Overflow {
            operation: "rounding",
        })?;
        let exact = mwh.checked_div(Ratio::whole(MWH_PER_KWH))?;
        Ok(Self {
            exact,
            rounded: MilliwattHours::new(rounded),
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
struct IntervalReport {
    start: Timestamp,
    clock: String,
    readings: u32,
    raw: Kwh,
    baseline: Kwh,
    metered: Option<Kwh>,
    delta: Option<Kwh>,
}

impl IntervalReport {
    fn new(interval: &BaselineInterval, metered: Option<i64>) -> Result<Self, ArithmeticError> {
        let metered = metered
            .map(|parts| Ratio::new(parts.into(), PARTS.into()))
            .transpose()?;
        let delta = metered.map(|m| interval.exact.checked_sub(m)).transpose()?;
        Ok(Self {
            start: interval.start,
            clock: interval.clock.clone(),
            readings: interval.readings,
            raw: Kwh::of_mwh(interval.raw)?,
            baseline: Kwh::of_mwh(interval.exact)?,
            metered: metered.map(Kwh::of_mwh).transpose()?,
            delta: delta.map(Kwh::of_mwh).transpose()?,
        })
    }
}

impl Report {
    pub(super) fn new(
        rule: &BaselineRule,
        calendar: &EventCalendar,
        outcome: &Outcome,
        readings: &CsvReadings,
    ) -> Result<Self, ArithmeticError> {
        let (day, day_type, result) = match outcome {
            Outcome::Baseline(e) => (
                e.day,
                e.day_type,
                ResultReport::Baseline(Box::new(explain(e, readings)?)),
            ),
            Outcome::NoBaseline(none) => (none.day, none.day_type, ResultReport::NoBaseline(none.clone())),
        };
        Ok(Self {
            rule: rule.clone(),
            rule_hash: rule.hash(),
            zone: calendar.zone.name().to_owned(),
            interval_seconds: calendar.length.seconds(),
            event: EventReport {
                start: calendar.start,
                end: calendar.end,
                day,
                day_type,
            },
            result,
            notes: readings.notes.clone(),
        })
    }

    /// The same for a person.
    pub(super) fn print(&self, out: &mut dyn Write) -> io::Result<()> {
        let Self {
            rule, event, zone, ..
        } = self;
        writeln!(out, "{}: {}", rule.id, rule.about)?;
        writeln!(
            out,
            "event {} to {}, {} in {zone}",
            event.start, event.end, event.day
        )?;
        match &self.result {
            ResultReport::NoBaseline(none) => {
                print_candidates(&none.candidates, out)?;
                let (lacking, found, needed) = (word(&none.lacking), none.found, none.needed);
                writeln!(out, "\nno baseline: {lacking}: {found} found, {needed} needed")?;
            }
            ResultReport::Baseline(baseline) => baseline.print(out)?,
        }
        self.notes
            .iter()
            .try_for_each(|note| writeln!(out, "note: {note}"))
    }
}

fn explain(explanation: &Explanation, readings: &CsvReadings) -> Result<BaselineReport, ArithmeticError> {
    let metered: BTreeMap<_, _> = readings.values.iter().map(|(i, v)| (i.start(), *v)).collect();
    let intervals = explanation.intervals.iter();
    let intervals: Vec<_> = intervals
        .map(|i| IntervalReport::new(i, metered.get(&i.start).copied()))
        .collect::<Result<_, _>>()?;
    let deltas: Option<Vec<_>> = intervals.iter().map(|i| i.delta.map(|d| d.exact)).collect();
    let sum = |deltas| Kwh::of_mwh(Ratio::checked_sum(deltas)?.checked_mul(Ratio::whole(MWH_PER_KWH))?);
    Ok(BaselineReport {
        days: explanation.chosen_days(),
        candidates: explanation.candidates.clone(),
        adjustment: explanation
            .adjustment
            .as_ref()
            .map(AdjustmentReport::new)
            .transpose()?,
        delta_sum: deltas.map(sum).transpose()?,
        intervals,
    })
}

impl BaselineReport {
    fn print(&self, out: &mut dyn Write) -> io::Result<()> {
        print_candidates(&self.candidates, out)?;
        if let Some(a) = &self.adjustment {
            let flag = match (a.undefined, a.capped) {
                (true, _) => " (the ratio has no meaning here)",
                (false, true) => " (capped)",
                (false, false) => "",
            };
            let (kind, metered, average) = (word(&a.kind), a.metered.rounded, a.average.rounded);
            writeln!(
                out,
                "\n{kind} adjustment: metered {metered} kWh, average {average} kWh over the windows"
            )?;
            writeln!(out, "applied {}{flag}", a.applied_rounded)?;
        }
        writeln!(
            out,
            "\n{:<7}{:>12}{:>12}{:>12}{:>12}  kWh",
            "", "average", "baseline", "metered", "delta"
        )?;
        for i in &self.intervals {
            let shown = |kwh: Option<Kwh>| kwh.map_or_else(|| "–".to_owned(), |k| k.rounded.to_string());
            let (raw, baseline) = (i.raw.rounded, i.baseline.rounded);
            let (metered, delta) = (shown(i.metered), shown(i.delta));
            writeln!(
                out,
                "{:<7}{raw:>12}{baseline:>12}{metered:>12}{delta:>12}",
                i.clock
            )?;
        }
        if let Some(sum) = self.delta_sum {
            writeln!(out, "{:<43}{:>12}", "sum", sum.rounded)?;
        }
        Ok(())
    }
}

fn print_candidates(candidates: &[Candidate], out: &mut dyn Write) -> io::Result<()> {
    writeln!(out)?;
    for candidate in candidates {
        writeln!(out, "{} {}", candidate.date, word(&candidate.verdict))?;
    }
    Ok(())
}

/// The stable name of a value that serialises to one, with its details where it has some.
fn word<T: Serialize>(value: &T) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => word.replace('_', " "),
        Ok(serde_json::Value::Object(map)) => {
            let detail = |(word, detail): (String, serde_json::Value)| {
                format!("{} {detail}", word.replace('_', " "))
                    .replace(['{', '}', '"'], "")
                    .replace(':', " ")
            };
            map.into_iter().map(detail).collect::<Vec<_>>().join(", ")
        }
        _ => String::new(),
    }
}
