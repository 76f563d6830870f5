//! Days of readings follow from the signed reports: this makes them from nothing else, and compares.

use std::collections::{BTreeMap, BTreeSet};

use gridtally_protocol::channel::DeviceNumber;
use gridtally_protocol::message::Message as _;
use gridtally_protocol::report::Report;
use gridtally_protocol::time::Timestamp;
use postgres::GenericClient;

use super::days;
use super::types::corrupt;
use super::{Store, StoreError, programs, reports};
use crate::days::{Day, Days, DeviceDay, add_report};
use crate::ingest::chain::{self, Link};
use crate::registry::Enrolment;
use crate::rules::statement::SiteId;

/// How many reports are read at a time.
const PAGE: i64 = 2_000;

/// What is kept otherwise than the reports say.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Difference {
    /// Of which site.
    pub site: SiteId,
    /// The device; none where it is the span of disputes.
    pub device: Option<DeviceNumber>,
    /// The start of the UTC day, or the end of the last dispute.
    pub at: Timestamp,
    /// In words.
    pub what: &'static str,
}

/// What was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Serialize)]
pub struct Checked {
    /// How many gateways.
    pub gateways: u64,
    /// How many reports.
    pub reports: u64,
    /// How many days of devices.
    pub days: u64,
    /// What does not agree.
    pub differences: Vec<Difference>,
}

/// Makes the days of every gateway from its signed reports and compares them with those that are kept, one gateway
/// at a time; with `mend` writes those that differ. `progress` hears how many gateways of how many are done.
///
/// # Errors
/// [`StoreError`] of the database; [`StoreError::Corrupt`] where a kept report does not read.
pub fn check(
    store: &mut Store,
    mend: bool,
    mut progress: impl FnMut(usize, usize),
) -> Result<Checked, StoreError> {
    let enrolments = store.transact(|client| programs::enrolments_of_all_keys(client))?;
    let mut checked = Checked::default();
    for (done, enrolment) in enrolments.iter().enumerate() {
        progress(done, enrolments.len());
        let one = store.transact(|client| {
            days::lock(client, [enrolment.gateway])?;
            check_one(client, enrolment, mend)
        })?;
        checked.gateways = checked.gateways.saturating_add(1);
        checked.reports = checked.reports.saturating_add(one.reports);
        checked.days = checked.days.saturating_add(one.days);
        checked.differences.extend(one.differences);
    }
    Ok(checked)
}

/// What all reports of a gateway say.
struct Said {
    days: Days,
    received: BTreeMap<(DeviceNumber, Day), Timestamp>,
    dispute: Option<Timestamp>,
    reports: u64,
}

fn said(client: &mut impl GenericClient, enrolment: &Enrolment) -> Result<Said, StoreError> {
    let mut said = Said {
        days: Days::new(),
        received: BTreeMap::new(),
        dispute: None,
        reports: 0,
    };
    let mut links: Vec<Link> = Vec::new();
    loop {
        let after = links.last().map(|link| (link.sequence, link.digest));
        let page = reports::reports_after(client, &enrolment.gateway, after, PAGE)?;
        if page.is_empty() {
            break;
        }
        for report in page {
            let signed = Report::open(&report.envelope).map_err(corrupt)?;
            if signed.signer != enrolment.gateway {
                return Err(corrupt(format!(
                    "a report of another gateway for {}",
                    enrolment.site
                )));
            }
            let mut one = Days::new();
            add_report(&mut one, enrolment, &signed.message);
            for (key, day) in one {
                let latest = said.received.entry(key).or_insert(report.received_at);
                *latest = report.received_at.max(*latest);
                let kept = said.days.entry(key);
                kept.or_insert_with(|| DeviceDay::empty(day.length())).join(&day);
            }
            said.reports = said.reports.saturating_add(1);
            links.push(Link::of(&signed));
        }
    }
    said.dispute = chain::last_dispute(&links);
    Ok(said)
}

fn check_one(
    client: &mut impl GenericClient,
    enrolment: &Enrolment,
    mend: bool,
) -> Result<Checked, StoreError> {
    let said = said(client, enrolment)?;
    let kept = days::kept_bytes(client, &enrolment.gateway)?;
    let mut differences = Vec::new();
    let mut wrong = BTreeMap::new();
    let places: BTreeSet<_> = said.days.keys().chain(kept.keys()).copied().collect();
    for place in &places {
        let (device, day) = *place;
        let empty = || DeviceDay::empty(enrolment.interval_seconds);
        let right = said.days.get(place).cloned().unwrap_or_else(empty);
        let what = match (said.received.get(place), kept.get(place)) {
            (Some(at), Some(kept)) if kept.bytes == right.to_bytes() && kept.received_at >= *at => continue,
            // What was mended before stays as a day of which nothing is known.
            (None, Some(kept)) if kept.bytes == right.to_bytes() => continue,
            (Some(_), Some(_)) => "the day that is kept is not what the reports say",
            (Some(_), None) => "the day is not kept",
            (None, _) => "the day that is kept is in no report",
        };
        differences.push(Difference {
            site: enrolment.site.clone(),
            device: Some(device),
            at: day
                .interval(right.length(), 0)
                .map_or(Timestamp::EPOCH, |i| i.start()),
            what,
        });
        wrong.insert((enrolment.gateway, device, day), right);
    }
    let disputed = days::disputed_until(client, &enrolment.gateway)?;
    if said.dispute > disputed {
        let at = said.dispute.unwrap_or(Timestamp::EPOCH);
        differences.push(Difference {
            site: enrolment.site.clone(),
            device: None,
            at,
            what: "reports that contradict each other are not noted",
        });
        if mend {
            days::insert_disputes(client, &BTreeSet::from([(enrolment.gateway, at)]))?;
        }
    }
    if mend && !wrong.is_empty() {
        let received = |(_, device, day): &_| said.received.get(&(*device, *day)).copied();
        days::write(client, &wrong, |key| received(key).unwrap_or(Timestamp::EPOCH))?;
    }
    Ok(Checked {
        gateways: 1,
        reports: said.reports,
        days: u64::try_from(places.len()).unwrap_or(u64::MAX),
        differences,
    })
}
