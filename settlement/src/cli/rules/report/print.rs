//! The answer for a person.

use std::io::{self, Write};

use serde::Serialize;

use super::{BaselineReport, Kwh, Report, ResultReport};
use crate::rules::baseline::{Candidate, Clip};

impl Report {
    /// The same for a person.
    pub(in crate::cli::rules) fn print(&self, out: &mut dyn Write) -> io::Result<()> {
        let Self {
            about: (id, about),
            event,
            zone,
            ..
        } = self;
        writeln!(out, "{id}: {about}")?;
        writeln!(
            out,
            "event {} to {}, {} in {zone}",
            event.start, event.end, event.day
        )?;
        match &self.result {
            ResultReport::NoBaseline(none) => {
                print_candidates(none.candidates.iter(), out)?;
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

impl BaselineReport {
    fn print(&self, out: &mut dyn Write) -> io::Result<()> {
        if let Some(none) = &self.instead_of {
            let (lacking, found, needed) = (word(&none.lacking), none.found, none.needed);
            let (there, here) = (&none.rule, &self.rule);
            writeln!(
                out,
                "\n{there} has no baseline: {lacking}: {found} found, {needed} needed; {here} stands in"
            )?;
        }
        print_candidates(self.candidates.iter().map(|c| &c.candidate), out)?;
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
        if let Some(credited) = self.credited_sum.filter(|_| self.clip != Clip::None) {
            let clipped = format!("credited, clip {}", word(&self.clip));
            writeln!(out, "{clipped:<43}{:>12}", credited.rounded)?;
        }
        Ok(())
    }
}

fn print_candidates<'c>(
    candidates: impl Iterator<Item = &'c Candidate>,
    out: &mut dyn Write,
) -> io::Result<()> {
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
