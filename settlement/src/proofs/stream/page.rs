//! One page of sites: read, netted, settled.

use gridtally_protocol::channel::DeviceNumber;
use gridtally_protocol::quantity::{MilliwattHours, TokenAmount};
use gridtally_protocol::refusal::Refusal;

use super::super::derive::{self, Answer};
use super::super::judge::{self, Source, Submission};
use super::super::netting::{self, Value};
use super::{Looked, Plan, StreamError};
use crate::days::{self, Day, Slot};
use crate::registry::Enrolment;
use crate::rules::statement::{
    BeneficiaryId, MissingReason, Participation, Reading, SiteInputs, SiteStatement, Sum,
};
use crate::store::StoreError;
use crate::store::stream::{DaySpan, EnrolledSite, Number, PackedDays, Reader, SettledAs};
use crate::store::types::corrupt;

/// What a page has come to.
pub(super) struct Part {
    pub(super) sum: Sum,
    pub(super) earned: Vec<(BeneficiaryId, TokenAmount)>,
    pub(super) looked: Looked,
    /// The sites' statements, where they are asked for.
    pub(super) bytes: Vec<u8>,
}

/// A site on its way.
struct Pending<'s> {
    enrolled: &'s EnrolledSite,
    site: SettledAs,
    settled: Option<SiteStatement>,
}

pub(super) fn settle(
    plan: &Plan<'_>,
    reader: &mut Reader,
    sites: &[EnrolledSite],
) -> Result<Part, StreamError> {
    let mut pending = Vec::with_capacity(sites.len());
    for site in sites {
        let (enrolled, site) = (site, site.settled()?);
        check(plan, &site)?;
        pending.push(Pending {
            enrolled,
            site,
            settled: None,
        });
    }
    let mut looked = Looked::default();
    if let Some((days, span)) = &plan.usual {
        settle_within(plan, reader, &mut pending, span, Some(*days), &mut looked)?;
        let again = pending.iter().filter(|site| site.settled.is_none()).count();
        looked.read_again = looked.read_again.saturating_add(count(again));
    }
    settle_within(plan, reader, &mut pending, &plan.whole, None, &mut looked)?;
    let mut part = Part {
        sum: Sum::default(),
        earned: Vec::new(),
        looked,
        bytes: Vec::new(),
    };
    for site in pending.into_iter().filter_map(|site| site.settled) {
        part.sum.add(&site)?;
        part.looked.sites = part.looked.sites.saturating_add(1);
        if plan.write {
            if !part.bytes.is_empty() {
                part.bytes.push(b',');
            }
            serde_json::to_writer(&mut part.bytes, &site).map_err(std::io::Error::from)?;
        }
        if site.totals.amount != TokenAmount::ZERO {
            part.earned.push((site.beneficiary, site.totals.amount));
        }
    }
    Ok(part)
}

/// Fetches the usual days of sites, and drops them.
pub(super) fn fetch(
    plan: &Plan<'_>,
    reader: &mut Reader,
    sites: &[EnrolledSite],
    meter: DeviceNumber,
) -> Result<Part, StreamError> {
    let devices: Vec<_> = sites.iter().map(|site| (site.number, meter.0)).collect();
    let span = plan.usual.as_ref().map_or(&plan.whole, |(_, span)| span);
    let bytes = reader.drop_days(&devices, span)?;
    Ok(Part {
        sum: Sum::default(),
        earned: Vec::new(),
        looked: Looked {
            sites: count(sites.len()),
            bytes,
            ..Looked::default()
        },
        bytes: Vec::new(),
    })
}

fn count(len: usize) -> u64 {
    u64::try_from(len).unwrap_or(u64::MAX)
}

fn check(plan: &Plan<'_>, site: &SettledAs) -> Result<(), StreamError> {
    if site.interval_seconds == plan.program.interval {
        return Ok(());
    }
    let problem = "the site's intervals are not of the program's length".to_owned();
    let record = format!("enrolment/{}", site.site);
    Err(derive::at(record)(derive::DeriveProblem::Mismatch(problem)).into())
}

/// Settles those that are still to be settled with the days of a span. With `days`, a site that would look at more
/// days than these is left for later.
fn settle_within(
    plan: &Plan<'_>,
    reader: &mut Reader,
    pending: &mut [Pending<'_>],
    span: &DaySpan,
    days: Option<usize>,
    looked: &mut Looked,
) -> Result<(), StreamError> {
    let mut open: Vec<&mut Pending<'_>> = pending.iter_mut().filter(|p| p.settled.is_none()).collect();
    if open.is_empty() {
        return Ok(());
    }
    let measurement = plan.program.measurement;
    let device = |p: &&mut Pending<'_>| (p.enrolled.number, p.site.meter(measurement).map_or(0, |d| d.0));
    let devices: Vec<_> = open.iter().map(device).collect();
    let packed = reader.days(&devices, span)?;
    looked.bytes = looked.bytes.saturating_add(count(packed.len()));
    let mut scratch = Scratch::default();
    for (place, site) in open.iter_mut().enumerate() {
        // Of several meters the days would have to be added up: the reports are.
        let of_days = match site.site.meter(measurement) {
            Some(_) => scratch.readings(plan, site.enrolled.number, &packed, place)?,
            None => None,
        };
        let readings = match of_days {
            Some(readings) => readings,
            None => {
                looked.judged = looked.judged.saturating_add(1);
                judged(plan, reader, &site.enrolled.enrolment()?)?
            }
        };
        let settled = plan.sheet.site(&inputs(plan, site, readings))?;
        let looked_at = settled.baseline.candidates().len();
        if days.is_none_or(|days| looked_at <= days) {
            site.settled = Some(settled);
        }
    }
    Ok(())
}

fn inputs(plan: &Plan<'_>, pending: &Pending<'_>, readings: Vec<Reading>) -> SiteInputs {
    let answer = plan.answers.get(&pending.enrolled.number).map(|said| Answer {
        at: said.at,
        declined: said.declined,
    });
    SiteInputs {
        site: pending.site.site.clone(),
        beneficiary: pending.site.beneficiary.clone(),
        participation: answer.map_or(Participation::NoAnswer, |answer| answer.participation()),
        outage_days: plan.outages.get(&pending.site.site).cloned().unwrap_or_default(),
        readings,
        site_meter: Vec::new(),
        offer: Default::default(),
        season: Default::default(),
        corrections: plan
            .corrections
            .get(&pending.site.site)
            .cloned()
            .unwrap_or_default(),
    }
}

/// What the signed reports say of a site whose days do not decide.
fn judged(plan: &Plan<'_>, reader: &mut Reader, enrolment: &Enrolment) -> Result<Vec<Reading>, StreamError> {
    let reports = reader.reports(&enrolment.gateway, plan.reports, plan.case.settled_at)?;
    let submissions: Vec<Submission<'_>> = reports
        .iter()
        .map(|report| Submission {
            record: Source::Store,
            received_at: report.received_at,
            envelope: &report.envelope,
        })
        .collect();
    let beacons = reader.beacons(submissions.iter().map(|one| one.envelope))?;
    let judged = judge::judge(enrolment, &submissions, plan.case.event.announced_at, &beacons);
    Ok(derive::readings(
        enrolment,
        &judged,
        plan.program.measurement,
        &plan.case.event,
    ))
}

/// A day's two channels, laid out.
#[derive(Default)]
struct Scratch {
    import: Vec<Slot>,
    export: Vec<Slot>,
}

impl Scratch {
    /// What the site's meter counted; nothing where the days do not decide.
    fn readings(
        &mut self,
        plan: &Plan<'_>,
        number: Number,
        packed: &PackedDays,
        place: usize,
    ) -> Result<Option<Vec<Reading>>, StoreError> {
        if plan.disputed.contains(&number) {
            return Ok(None);
        }
        let mut readings = Vec::with_capacity(plan.ruler.slots.saturating_mul(16));
        for (day, late, bytes) in packed.of(place) {
            if late || !self.lay_out(plan, bytes)? {
                return Ok(None);
            }
            self.net(plan, day, &mut readings);
        }
        Ok(Some(readings))
    }

    /// Whether the day decides.
    fn lay_out(&mut self, plan: &Plan<'_>, bytes: &[u8]) -> Result<bool, StoreError> {
        for channel in [&mut self.import, &mut self.export] {
            channel.clear();
            channel.resize(plan.ruler.slots, Slot::Absent);
        }
        let mut contested = false;
        let (used, given) = plan.program.measurement.quantities();
        let length = days::read(bytes, |quantity, place, slot| {
            // Days do not keep what was refused, and of this the site's meter may count.
            contested |= matches!(slot, Slot::Contested | Slot::Refused(Refusal::NotConserved));
            let channel = match quantity {
                _ if quantity == used => &mut self.import,
                _ if quantity == given => &mut self.export,
                _ => return,
            };
            if let Some(kept) = channel.get_mut(place) {
                *kept = slot;
            }
        })
        .map_err(corrupt)?;
        if length != plan.program.interval {
            return Err(corrupt("a day with intervals of another length than enrolled"));
        }
        Ok(!contested)
    }

    fn net(&self, plan: &Plan<'_>, day: Day, readings: &mut Vec<Reading>) {
        let intervals = plan.ruler.day(day);
        for ((interval, import), export) in intervals.iter().zip(&self.import).zip(&self.export) {
            if (*import, *export) == (Slot::Absent, Slot::Absent) {
                continue;
            }
            readings.push(Reading {
                interval: *interval,
                net: netting::metered(value(*import), value(*export)),
            });
        }
    }
}

fn value(slot: Slot) -> Option<Value> {
    match slot {
        Slot::Absent | Slot::Contested => None,
        Slot::Value(value, _) => Some(Ok(MilliwattHours::new(value))),
        Slot::Missing(missing) => Some(Err(MissingReason::Device(missing))),
        Slot::Refused(refusal) => Some(Err(MissingReason::Refused(refusal))),
    }
}
