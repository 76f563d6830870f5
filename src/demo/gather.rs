//! Fills the picture from what the engine holds.

use std::collections::BTreeMap;
use std::path::Path;

use chrono::{DateTime, TimeZone as _};
use gridtally_protocol::acknowledgement::Stage;
use gridtally_protocol::channel::{DeviceNumber, Quantity};
use gridtally_protocol::identity::Identity;
use gridtally_protocol::quantity::{MilliwattHours, TokenAmount};
use gridtally_protocol::refusal::Refusal;
use gridtally_protocol::time::{IntervalLength, Timestamp};
use gridtally_settlement::proofs::settle::SettlementOutcome;
use gridtally_settlement::rules::baseline::Verdict;
use gridtally_settlement::rules::statement::{Participation, SiteStatement, SiteStatus, Statement};
use gridtally_settlement::store::events::StoredAcknowledgement;
use gridtally_settlement::store::reports::{ReadingValue, StoredReading};
use gridtally_settlement::store::{Store, StoreError, events, ledger, refusals, reports};

use super::picture::{HomeLine, Picture, Point, RefusedLine, Totals};
use crate::neighbourhood::Neighbourhood;
use crate::neighbourhood::scenario::Scenario;

/// The chart shows this much before and after the event.
const AROUND_SECONDS: i64 = 3 * 3_600;

/// Everything that the picture shows.
///
/// # Errors
/// Where the store does not hold what it must.
pub fn picture(
    neighbourhood: &mut Neighbourhood,
    settled: &SettlementOutcome,
    bundle: &Path,
) -> anyhow::Result<Picture> {
    let statement = &settled.derived.statement;
    let scenario = neighbourhood.scenario.clone();
    let zone = neighbourhood.program().zone;
    let clock = |instant: Timestamp, format: &str| {
        let utc = DateTime::from_timestamp(instant.unix(), 0).unwrap_or_default();
        zone.from_utc_datetime(&utc.naive_utc())
            .format(format)
            .to_string()
    };
    let load = load(neighbourhood, &scenario, statement, &|t| clock(t, "%H:%M"))?;
    let answers = answers(neighbourhood, &scenario)?;
    let late = late_reports(neighbourhood, &scenario)?;
    let homes = statement
        .sites
        .iter()
        .map(|site| home_line(site, statement, &answers, &late))
        .collect();
    let store = neighbourhood.store();
    let (report_count, reading_count) = store.transact(|t| reports::volume(t))?;
    let balances =
        store.transact(|t| ledger::balances(t).map_err(|e| StoreError::Conflict(e.to_string())))?;
    let sum = TokenAmount::checked_sum(balances.iter().map(|b| b.amount))?;
    let show = |amount| statement.asset.show(amount);
    Ok(Picture {
        event: scenario.event.id.clone(),
        window: format!(
            "{}, {} to {} ({})",
            clock(statement.event.start, "%A %-d %B %Y"),
            clock(statement.event.start, "%H:%M"),
            clock(statement.event.end, "%H:%M"),
            zone.name()
        ),
        load,
        homes,
        total: Totals {
            baseline: kilowatt_hours(statement.totals.baseline),
            metered: kilowatt_hours(statement.totals.metered),
            delivered: kilowatt_hours(statement.totals.credited),
            tokens: show(statement.totals.amount),
        },
        ledger: balances
            .iter()
            .map(|b| (b.account.to_string(), show(b.amount)))
            .collect(),
        ledger_sum: show(sum),
        token: statement.asset.code().to_owned(),
        refused: refused(store, &scenario)?,
        statement_hash: statement.hash(),
        bundle_root: settled.bundle_root.to_string(),
        volume: format!(
            "{report_count} signed reports with {reading_count} readings were verified and stored."
        ),
        verify: format!("{} verify {}", program_name(), bundle.display()),
    })
}

/// The neighbourhood's net power around the event. For drawing: whole watts.
fn load(
    neighbourhood: &mut Neighbourhood,
    scenario: &Scenario,
    statement: &Statement,
    label: &dyn Fn(Timestamp) -> String,
) -> anyhow::Result<Vec<Point>> {
    let from = statement
        .event
        .start
        .checked_add(-AROUND_SECONDS)
        .unwrap_or(scenario.start);
    let until = statement
        .event
        .end
        .checked_add(AROUND_SECONDS)
        .unwrap_or(scenario.end)
        .min(scenario.end);
    let seconds = i64::from(scenario.interval.seconds());
    let watts = |energy: i64| energy * 3_600 / seconds / 1_000;
    let mut net: BTreeMap<Timestamp, i64> = BTreeMap::new();
    for number in 1..=scenario.homes {
        let gateway = neighbourhood.gateway(number)?;
        let readings = neighbourhood
            .store()
            .transact(|t| reports::readings_of(t, &gateway, from, until))?;
        for reading in readings.iter().filter(|r| r.channel.device == DeviceNumber(1)) {
            *net.entry(reading.start).or_default() += signed(reading);
        }
    }
    let mut baseline: BTreeMap<Timestamp, i64> = BTreeMap::new();
    for line in statement.sites.iter().flat_map(|site| &site.lines) {
        if let Some(energy) = line.baseline {
            *baseline.entry(line.start).or_default() += energy.get();
        }
    }
    Ok(net
        .iter()
        .map(|(start, energy)| Point {
            label: label(*start),
            metered_w: watts(*energy),
            baseline_w: baseline.get(start).map(|energy| watts(*energy)),
        })
        .collect())
}

fn signed(reading: &StoredReading) -> i64 {
    match (reading.value, reading.channel.quantity) {
        (ReadingValue::Value(value), Quantity::GridImport) => value,
        (ReadingValue::Value(value), Quantity::GridExport) => -value,
        _ => 0,
    }
}

type Answers = BTreeMap<String, Vec<StoredAcknowledgement>>;

fn answers(neighbourhood: &mut Neighbourhood, scenario: &Scenario) -> anyhow::Result<Answers> {
    let event = scenario.event.id.parse()?;
    let all = neighbourhood
        .store()
        .transact(|t| events::acknowledgements_of(t, &event))?;
    let mut sites: BTreeMap<Identity, String> = BTreeMap::new();
    for number in 1..=scenario.homes {
        sites.insert(neighbourhood.gateway(number)?, Scenario::site(number));
    }
    let mut answers = Answers::new();
    for acknowledgement in all {
        if let Some(site) = sites.get(&acknowledgement.gateway) {
            answers.entry(site.clone()).or_default().push(acknowledgement);
        }
    }
    Ok(answers)
}

/// How many minutes after the time that it covers the latest report of each home came.
type Lateness = BTreeMap<String, i64>;

fn late_reports(neighbourhood: &mut Neighbourhood, scenario: &Scenario) -> anyhow::Result<Lateness> {
    let mut late = Lateness::new();
    for number in 1..=scenario.homes {
        let gateway = neighbourhood.gateway(number)?;
        let reports = neighbourhood
            .store()
            .transact(|t| reports::reports_of(t, &gateway, scenario.start, scenario.end))?;
        let most = reports
            .iter()
            .map(|r| r.received_at.seconds_since(r.link.end))
            .max()
            .unwrap_or(0);
        late.insert(Scenario::site(number), most / 60);
    }
    Ok(late)
}

fn home_line(site: &SiteStatement, statement: &Statement, answers: &Answers, late: &Lateness) -> HomeLine {
    let totals = &site.totals;
    let interval = statement.program.interval_seconds;
    HomeLine {
        site: site.site.to_string(),
        answer: answer(site, answers),
        baseline: kilowatt_hours(totals.baseline),
        metered: kilowatt_hours(totals.metered),
        delivered: kilowatt_hours(totals.credited),
        tokens: statement.asset.show(totals.amount),
        remark: remark(site, late.get(site.site.as_str()).copied().unwrap_or(0), interval),
    }
}

fn answer(site: &SiteStatement, answers: &Answers) -> String {
    let stages = || {
        answers
            .get(site.site.as_str())
            .into_iter()
            .flatten()
            .map(|a| a.stage)
    };
    let mut said = match &site.participation {
        Participation::OptedIn => stages()
            .find_map(|stage| match stage {
                Stage::ReadBack(power) => Some(format!("discharged at {} W", power.get() / 1_000)),
                _ => None,
            })
            .unwrap_or_else(|| "opted in".to_owned()),
        Participation::OptedOut { reason } => format!("opted out ({reason})"),
        Participation::NoAnswer => "no answer".to_owned(),
        Participation::ControlGroup => "control group".to_owned(),
    };
    for stage in stages() {
        if let Stage::Stopped(why) = stage {
            said.push_str(&format!(", stopped early ({why})"));
        }
    }
    said
}

/// What a home's line would not explain by itself.
fn remark(site: &SiteStatement, minutes_late: i64, interval: IntervalLength) -> String {
    let mut remarks = Vec::new();
    if minutes_late > 0 {
        remarks.push(format!(
            "its line was down: reports came up to {minutes_late} min late, and count"
        ));
    }
    // Days before the first report lack everything, and explain nothing.
    let day = 86_400 / u32::from(interval);
    for candidate in site
        .baseline
        .explanation()
        .into_iter()
        .flat_map(|e| &e.candidates)
    {
        if let Verdict::Incomplete { missing } = candidate.verdict
            && missing < day
        {
            remarks.push(format!(
                "{} not compared: its meter gave no credible value for {missing} intervals",
                candidate.date
            ));
        }
    }
    let mut reasons: BTreeMap<String, usize> = BTreeMap::new();
    for reason in site.lines.iter().filter_map(|line| line.reason) {
        *reasons.entry(reason.to_string()).or_default() += 1;
    }
    if !matches!(site.status, SiteStatus::OptedOut | SiteStatus::NoAnswer) {
        let count = site.lines.len();
        remarks.extend(
            reasons
                .iter()
                .map(|(reason, n)| format!("{n} of {count} intervals without credit: {reason}")),
        );
    }
    remarks.join("; ")
}

fn refused(store: &mut Store, scenario: &Scenario) -> anyhow::Result<Vec<RefusedLine>> {
    let all = store.transact(|t| refusals::refusals(t, scenario.start, scenario.end))?;
    let mut by_reason: BTreeMap<Refusal, (usize, String)> = BTreeMap::new();
    for refusal in all {
        let entry = by_reason
            .entry(refusal.reason)
            .or_insert_with(|| (0, refusal.detail.clone()));
        entry.0 += 1;
    }
    Ok(by_reason
        .into_iter()
        .map(|(reason, (count, example))| RefusedLine {
            reason: reason.to_string(),
            count,
            example,
        })
        .collect())
}

/// How this program was called, so that the command can be copied.
fn program_name() -> String {
    std::env::args().next().unwrap_or_else(|| "gridtally".to_owned())
}

/// For people: to the watt-hour, the half rounded away from zero. The exact value is in the statement.
fn kilowatt_hours(energy: MilliwattHours) -> String {
    let value = energy.get();
    let rounded = (value.unsigned_abs() + 500) / 1_000;
    let sign = if value < 0 && rounded > 0 { "-" } else { "" };
    format!("{sign}{}.{:03}", rounded / 1_000, rounded % 1_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn energies_are_shown_to_the_watt_hour() {
        let shown = |value| kilowatt_hours(MilliwattHours::new(value));
        assert_eq!(shown(1_234_567), "1.235");
        assert_eq!(shown(-1_234_499), "-1.234");
        assert_eq!(shown(-499), "0.000");
        assert_eq!(shown(0), "0.000");
    }
}
