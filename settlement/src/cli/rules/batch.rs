//! Many cases: one JSON object a line in, one a line out. The format is described in `docs/rules-baseline.md`.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, Read as _, Write};

use chrono::NaiveDate;
use chrono_tz::Tz;
use gridtally_protocol::time::{Interval, IntervalLength, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::case::Case;
use super::days::read_temperature;
use super::readings::{Readings, Unfit, read_kwh};
use super::report::{Detail, Report};
use crate::rules::baseline::{BaselineRule, EventCalendar, read_level};

/// No line is longer, in bytes.
const LINE_LEN_MAX: u64 = 32 * 1024 * 1024;
const OTHERS_MAX: usize = 1_000;
const DAYS_MAX: usize = 10_000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CaseJson {
    id: Option<Value>,
    preset: Option<String>,
    rule: Option<Value>,
    fallback: Option<Value>,
    zone: String,
    interval_minutes: u32,
    event: EventJson,
    #[serde(default)]
    holidays: BTreeSet<NaiveDate>,
    #[serde(default)]
    event_days: BTreeSet<NaiveDate>,
    #[serde(default)]
    outage_days: BTreeSet<NaiveDate>,
    readings: RunJson,
    site_meter: Option<RunJson>,
    #[serde(default)]
    others: Vec<RunJson>,
    temperatures: Option<BTreeMap<NaiveDate, String>>,
    #[serde(default)]
    net_metered: bool,
    level_kw: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EventJson {
    start: Timestamp,
    end: Timestamp,
    notified: Option<Timestamp>,
}

/// Consecutive intervals.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RunJson {
    start: Timestamp,
    kwh: Vec<Option<String>>,
}

#[derive(Serialize)]
struct Answer<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a Value>,
    #[serde(flatten)]
    result: Answered,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Answered {
    Report(Box<Report>),
    Error { error: String },
}

/// Answers each line of `lines` with a line on `out`. What is wrong with a case is its answer.
///
/// # Errors
/// Those of reading and writing.
pub(super) fn run(mut lines: impl BufRead, out: &mut dyn Write) -> std::io::Result<()> {
    let mut line = Vec::new();
    loop {
        line.clear();
        let read = (&mut lines).take(LINE_LEN_MAX).read_until(b'\n', &mut line)?;
        if read == 0 {
            return Ok(());
        }
        if !line.ends_with(b"\n") && u64::try_from(read) == Ok(LINE_LEN_MAX) {
            lines.skip_until(b'\n')?;
            let error = format!("the line is longer than {LINE_LEN_MAX} bytes");
            write_line(out, None, Err(error))?;
            continue;
        }
        if line.iter().all(u8::is_ascii_whitespace) {
            continue;
        }
        match serde_json::from_slice::<CaseJson>(&line) {
            Err(error) => write_line(out, None, Err(format!("the line is no case: {error}")))?,
            Ok(case) => {
                let id = case.id.clone();
                write_line(out, id.as_ref(), answer(case))?;
            }
        }
    }
}

fn write_line(
    out: &mut dyn Write,
    id: Option<&Value>,
    answer: Result<Report, String>,
) -> std::io::Result<()> {
    let result = match answer {
        Ok(report) => Answered::Report(Box::new(report)),
        Err(error) => Answered::Error { error },
    };
    serde_json::to_writer(&mut *out, &Answer { id, result })?;
    writeln!(out)
}

fn answer(json: CaseJson) -> Result<Report, String> {
    let case = read_case(json)?;
    let solved = case.solve().map_err(|e| e.to_string())?;
    Report::new(&case, &solved, Detail::Brief).map_err(|e| e.to_string())
}

fn read_case(json: CaseJson) -> Result<Case, String> {
    let rule = match (json.preset, json.rule) {
        (Some(name), None) => read_rule("preset", &Value::String(name))?,
        (None, Some(rule)) => read_rule("rule", &rule)?,
        _ => return Err("a case has either a preset or a rule".to_owned()),
    };
    let fallback = json.fallback.map(|f| read_rule("fallback", &f)).transpose()?;
    let zone: Tz = json
        .zone
        .parse()
        .map_err(|_| "zone is no zone of the IANA database".to_owned())?;
    let seconds = json.interval_minutes.saturating_mul(60);
    let length = IntervalLength::from_seconds(seconds).map_err(|e| format!("interval_minutes: {e}"))?;
    let days = [&json.holidays, &json.event_days, &json.outage_days];
    if json.others.len() > OTHERS_MAX || days.iter().any(|d| d.len() > DAYS_MAX) {
        return Err(format!(
            "a case has at most {OTHERS_MAX} others and {DAYS_MAX} days of a kind"
        ));
    }
    let others = json.others.iter().map(|run| read_run("others", run, length));
    let temperatures = json.temperatures.map(|days| {
        let read = |(day, text): (NaiveDate, String)| Ok((day, read_temperature(&text)?));
        days.into_iter().map(read).collect::<Result<_, String>>()
    });
    let level_kw = json.level_kw.map(|text| read_level(&text));
    Ok(Case {
        rule,
        fallback,
        calendar: EventCalendar {
            zone,
            length,
            start: json.event.start,
            end: json.event.end,
            notified: json.event.notified,
            holidays: json.holidays,
            event_days: json.event_days,
        },
        outage_days: json.outage_days,
        readings: read_run("readings", &json.readings, length)?,
        site_meter: json
            .site_meter
            .map(|run| read_run("site_meter", &run, length))
            .transpose()?,
        others: others.collect::<Result<_, _>>()?,
        temperatures: temperatures.transpose()?,
        net_metered: json.net_metered,
        level_kw: level_kw.transpose().map_err(|e| format!("level_kw: {e}"))?,
        notes: Vec::new(),
    })
}

/// A preset's name, or a rule with the keys of its document.
fn read_rule(key: &str, rule: &Value) -> Result<BaselineRule, String> {
    if let Value::String(name) = rule {
        return BaselineRule::preset(name).map_err(|e| format!("{key}: {e}"));
    }
    let text = toml::to_string(rule).map_err(|e| format!("{key} is no rule: {e}"))?;
    BaselineRule::from_toml(key, &text).map_err(|e| e.to_string())
}

fn read_run(key: &str, run: &RunJson, length: IntervalLength) -> Result<Readings, String> {
    let mut values = Vec::with_capacity(run.kwh.len());
    let mut start = run.start;
    for (index, kwh) in run.kwh.iter().enumerate() {
        let interval = Interval::new(start, length).map_err(|e| format!("{key}: {e}"))?;
        if let Some(kwh) = kwh {
            values.push((
                interval,
                read_kwh(kwh).map_err(|e| format!("{key}[{index}]: {e}"))?,
            ));
        }
        start = interval.end();
    }
    Readings::fit(&values).map_err(|Unfit { decimals, .. }| {
        format!("{key}: a value does not fit beside others with {decimals} decimals; round these to fewer")
    })
}
