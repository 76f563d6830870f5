//! One interval of one site: who signed what of it, which checks it met, and what became of it.

use std::io::Write;
use std::str::FromStr;

use gridtally_protocol::beacon::TrustTier;
use gridtally_protocol::channel::Quantity;
use gridtally_protocol::message::Signed;
use gridtally_protocol::report::{Reading, Report};
use gridtally_protocol::time::{Interval, Timestamp};
use gridtally_protocol::topic::{Topic, TopicKind};

use super::VerifyCommandError;
use super::site::{Shown, why};
use crate::ingest::{Beacons, checks, physics};
use crate::proofs::beacons;
use crate::proofs::evidence::{Evidence, ReceivedReport};
use crate::proofs::originals::{self, OpenedOriginal, Word};
use crate::proofs::verify::Verified;
use crate::registry::Enrolment;
use crate::rules::statement::{SiteId, SiteStatement};

/// An interval of a site: `rose-lane-7@2026-04-21T17:05:00Z`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadingName {
    /// Whose.
    pub site: SiteId,
    /// Any instant within it.
    pub at: Timestamp,
}

/// A text that names no interval of a site.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} names no reading; it is written as the site, an @, and an instant: rose-lane-7@2026-04-21T17:05:00Z"
)]
pub struct ReadingNameError(String);

impl FromStr for ReadingName {
    type Err = ReadingNameError;
    fn from_str(text: &str) -> Result<Self, ReadingNameError> {
        let wrong = || ReadingNameError(text.chars().take(128).collect());
        let (site, at) = text.rsplit_once('@').ok_or_else(wrong)?;
        Ok(Self {
            site: site.parse().map_err(|_| wrong())?,
            at: at.parse().map_err(|_| wrong())?,
        })
    }
}

pub(super) fn explain(
    name: &ReadingName,
    statement: &SiteStatement,
    verified: &Verified,
    out: &mut impl Write,
) -> Result<(), VerifyCommandError> {
    let evidence = verified.bundle.evidence()?;
    let Some(enrolment) = evidence.enrolments.iter().find(|e| e.site == name.site) else {
        return Ok(writeln!(
            out,
            "\n{} is settled without an enrolment of its own.",
            name.site
        )?);
    };
    let start = name.at.floor_to(enrolment.interval_seconds);
    let Ok(interval) = Interval::new(start, enrolment.interval_seconds) else {
        return Ok(writeln!(out, "\n{} lies in no interval that there is.", name.at)?);
    };
    writeln!(
        out,
        "\n{}, {start} to {}, from gateway {}",
        name.site,
        interval.end(),
        enrolment.gateway
    )?;
    let opened = originals::opened(&evidence.originals, enrolment);
    tell_reports(&evidence, (enrolment, &opened), interval, verified, out)?;
    tell_originals(&opened, interval, out)?;
    tell_line(statement, interval, verified, out)
}

/// Every report that says something of the interval: of one that was signed twice, both.
fn tell_reports(
    evidence: &Evidence,
    (enrolment, opened): (&Enrolment, &[OpenedOriginal]),
    interval: Interval,
    verified: &Verified,
    out: &mut impl Write,
) -> Result<(), VerifyCommandError> {
    let topic = Topic {
        gateway: enrolment.gateway,
        kind: TopicKind::Report,
    };
    let beacons = beacons::known(evidence);
    let mut told = false;
    for received in evidence
        .reports
        .iter()
        .filter(|report| report.gateway == enrolment.gateway)
    {
        let Ok(signed) = checks::open_report(&topic, &received.envelope) else {
            continue;
        };
        let covers = signed.message.start <= interval.start()
            && signed.message.end().is_some_and(|end| end >= interval.end());
        if covers {
            told = true;
            tell_report(
                received,
                &signed,
                (enrolment, opened),
                interval,
                (verified, &beacons),
                out,
            )?;
        }
    }
    if !told {
        writeln!(out, "No report in the bundle says anything of it.")?;
    }
    Ok(())
}

fn tell_report(
    received: &ReceivedReport,
    signed: &Signed<Report>,
    (enrolment, opened): (&Enrolment, &[OpenedOriginal]),
    interval: Interval,
    (verified, beacons): (&Verified, &Beacons),
    out: &mut impl Write,
) -> Result<(), VerifyCommandError> {
    let (report, record) = (&signed.message, received.name());
    writeln!(out, "Record {record}")?;
    writeln!(
        out,
        "  signed     {}, as number {}, after the report with the digest {}; the signature holds",
        report.issued_at, report.sequence, report.previous
    )?;
    let behind = received.received_at.seconds_since(report.issued_at);
    writeln!(out, "  received   {}, {behind} s later", received.received_at)?;
    tell_trust(received, report, interval, beacons, out)?;
    // What was refused of single readings is said beside them.
    let examined = physics::examine(enrolment, report);
    let word = Word::of(opened, enrolment);
    let of_readings: Vec<String> = examined
        .iter()
        .filter_map(|(_, v)| Some(v.as_ref().err()?.detail.clone()))
        .collect();
    let refused = verified
        .derived
        .refused
        .iter()
        .filter(|refused| refused.record == record);
    for refused in refused.filter(|refused| !of_readings.contains(&refused.detail)) {
        writeln!(out, "  refused    {}: {}", refused.reason, refused.detail)?;
    }
    for (reading, verdict) in examined
        .iter()
        .filter(|(reading, _)| reading.interval == interval)
    {
        let verdict = match verdict {
            Ok(()) if word.proves(reading) => {
                "; meter_signed: the meter's own signature proves it".to_owned()
            }
            Ok(()) => String::new(),
            Err(refused) => format!("; refused: {refused}"),
        };
        writeln!(
            out,
            "  {:<24} {}{verdict}",
            reading.channel.to_string(),
            shown(reading)
        )?;
    }
    Ok(())
}

/// From both sides, when the report can have been signed.
fn tell_trust(
    received: &ReceivedReport,
    report: &Report,
    interval: Interval,
    beacons: &Beacons,
    out: &mut impl Write,
) -> Result<(), VerifyCommandError> {
    // One that it should not have named is told as refused.
    let beacon = beacons.named_by(report).ok().flatten();
    let tier = TrustTier::of(interval, beacon, received.received_at);
    let because = match beacon {
        None => "it names no beacon".to_owned(),
        Some(issued_at) => format!("it names the beacon of {issued_at}, so it was signed after that"),
    };
    Ok(writeln!(out, "  trust      {tier}: {because}")?)
}

/// What meters have signed themselves around the ends of the interval.
fn tell_originals(
    opened: &[OpenedOriginal],
    interval: Interval,
    out: &mut impl Write,
) -> Result<(), VerifyCommandError> {
    let length = i64::from(interval.length().seconds());
    let near = |at: Timestamp| {
        at.seconds_since(interval.start()) >= -length && interval.end().seconds_since(at) >= -length
    };
    for one in opened {
        let Ok(original) = &one.original else { continue };
        if !near(original.taken_at) {
            continue;
        }
        let (device, format, taken_at) = (original.device, original.format.name(), original.taken_at);
        let verdict = match &one.verdict {
            Ok(()) => "the meter's own signature holds".to_owned(),
            Err(why) => format!("it proves nothing: {why}"),
        };
        writeln!(out, "Record {}", one.record)?;
        writeln!(out, "  {format} of device {device}, taken {taken_at}; {verdict}")?;
    }
    Ok(())
}

fn shown(reading: &Reading) -> String {
    let quality = reading
        .quality
        .map_or_else(String::new, |quality| format!(" ({quality})"));
    match (reading.value, reading.channel.quantity) {
        (Err(missing), _) => format!("no value: {missing}"),
        (Ok(charge), Quantity::StateOfCharge) => {
            format!("{} thousandths of a percent{quality}", charge.get())
        }
        (Ok(energy), _) => format!("{energy} kWh{quality}"),
    }
}

/// What the statement made of it: a line of its own in the event, or a part of the baseline.
fn tell_line(
    statement: &SiteStatement,
    interval: Interval,
    verified: &Verified,
    out: &mut impl Write,
) -> Result<(), VerifyCommandError> {
    let asset = &verified.derived.statement.asset;
    if let Some(line) = statement.lines.iter().find(|line| line.start == interval.start()) {
        let (baseline, metered) = (Shown(line.baseline), Shown(line.metered));
        let why = why(line);
        let because = if why.is_empty() { why } else { format!(" ({why})") };
        return Ok(writeln!(
            out,
            "In the event: {metered} kWh net, where the baseline is {baseline}; credited {} kWh and {} {}{because}.",
            line.credited,
            asset.show(line.amount),
            asset.code(),
        )?);
    }
    let days = statement.baseline.candidates().len();
    Ok(writeln!(
        out,
        "It is not of the event itself: it is history, for the {days} days that the baseline looked at. --site {} names them.",
        statement.site
    )?)
}
