//! Collecting the evidence for a settlement.

use std::collections::BTreeSet;

use chrono::NaiveDate;
use gridtally_protocol::identity::{Digest, Identity};
use gridtally_protocol::quantity::TokenAmount;
use gridtally_protocol::time::Timestamp;
use postgres::GenericClient;

use super::events::{self, StoredEvent};
use super::types::{corrupt, identity, sequence, timestamp, to_column};
use super::{
    StoreError, agreements, beacons, corrections, disputes, originals, outages, prices, programs, refusals,
    seasons, settlements, temperatures,
};
use crate::ledger::AccountName;
use crate::proofs::agreements::SignedSite;
use crate::proofs::evidence::{
    Balance, CODE, Carry, Case, Evidence, ProgramDocument, ReceivedAcknowledgement, ReceivedOriginal,
    ReceivedReport, RefusedMessage, Resettles, SentInstruction,
};
use crate::registry::Enrolment;
use crate::rules::calendar::{LocalSlot, plus_days};
use crate::rules::program::Program;
use crate::rules::statement::{BeneficiaryId, Event, Occasion, Statement};

const DAY: i64 = 86_400;

/// For which settlement evidence is collected.
#[derive(Debug, Clone)]
pub struct Request<'r> {
    /// The event, as it was announced.
    pub event: &'r StoredEvent,
    /// The version of its statement.
    pub version: u32,
    /// What comes later than this is left out.
    pub settled_at: Timestamp,
    /// Who settles.
    pub engine: Identity,
    /// The settlement of the program before this one.
    pub carried_from: Option<Carry>,
    /// Why the statement before is corrected, by a version after the first.
    pub occasion: Option<Occasion>,
}

/// Everything that is known about an event: from the first day that its baseline may look at until it was settled.
///
/// # Errors
/// [`StoreError`] of the database; [`StoreError::Corrupt`] where the program's document does not read.
pub fn collect(client: &mut impl GenericClient, request: &Request<'_>) -> Result<Evidence, StoreError> {
    let event = request.event;
    let document = programs::program(client, &event.program, event.program_version)?;
    collect_under(client, request, document)
}

/// As [`collect`], for another document of the program: what it would look at.
///
/// # Errors
/// As [`collect`].
pub fn collect_under(
    client: &mut impl GenericClient,
    request: &Request<'_>,
    document: String,
) -> Result<Evidence, StoreError> {
    let Request {
        event, settled_at, ..
    } = request;
    let program = Program::from_toml("program", &document).map_err(corrupt)?;
    let mut enrolments = programs::enrolments_at(client, event.start)?;
    enrolments.retain(|enrolment| enrolment.program == event.program);
    let former = enrolments.iter().flat_map(Enrolment::former);
    let mut gateways: Vec<Identity> = former.map(|enrolment| enrolment.gateway).collect();
    gateways.extend(enrolments.iter().map(|enrolment| enrolment.gateway));
    let (from, until) = span(event, &program);
    let mut case = case(client, request)?;
    let superseded = match &request.occasion {
        None => None,
        Some(occasion) => {
            let (resettles, statement) = superseded(client, request, occasion)?;
            case.resettles = Some(resettles);
            Some(statement)
        }
    };
    case.owed = owed(client, &program)?;
    if superseded.is_some() || program.payment.may_charge() {
        let paid = superseded
            .iter()
            .flat_map(|statement| statement.paid().into_values());
        let who = paid
            .map(|(who, _)| who)
            .chain(enrolments.iter().map(|e| &e.beneficiary));
        case.held = held(client, &program, who)?;
    }
    if program.payment.wants_published_prices() {
        case.published = prices::published(client, &program, (event.start, event.end), *settled_at)?;
    }
    let mut seasons = Vec::new();
    if program.payment.looks_back() {
        (case.season, seasons) = seasons::before(client, event, &program)?;
    }
    let mut warmth = Vec::new();
    if program.wants_temperatures() {
        let days = days(event, &program);
        let days = days.ok_or_else(|| corrupt("an event out of the calendar"))?;
        warmth = temperatures::known(client, &program.id, days, *settled_at)?;
    }
    let reports = reports(client, &gateways, from, until, *settled_at)?;
    let refusals = refused(client, &gateways, from, *settled_at)?;
    let of_reports = reports.iter().map(|report| report.envelope.as_slice());
    let of_refusals = refusals.iter().map(|refusal| refusal.payload.as_slice());
    let beacons = beacons::published(client, of_reports.chain(of_refusals), *settled_at)?;
    Ok(Evidence {
        beacons,
        temperatures: warmth,
        corrections: corrections::corrections(client, &event.program, (from, until), *settled_at)?,
        outages: outages::outages(client, &event.program, *settled_at)?,
        disputes: disputes::disputes(client, &event.id, *settled_at)?,
        superseded,
        seasons,
        case,
        program: ProgramDocument { document },
        instructions: instructions(client, event, &gateways)?,
        acknowledgements: acknowledgements(client, event, *settled_at)?,
        reports,
        originals: taken_originals(client, event, &gateways, *settled_at)?,
        refusals,
        agreements: signed_sites(client, &enrolments, *settled_at)?,
        enrolments,
    })
}

/// The local days that an event's baselines may look at, the event's own included.
pub(crate) fn days(event: &StoredEvent, program: &Program) -> Option<(NaiveDate, NaiveDate)> {
    let day = LocalSlot::of(event.start, program.zone)?.day;
    let first = plus_days(day, i64::from(program.lookback_days()).saturating_neg())?;
    Some((first, day))
}

/// From when until when reports can matter to an event.
pub(crate) fn span(event: &StoredEvent, program: &Program) -> (Timestamp, Timestamp) {
    // Local days and adjustment windows reach a little further than the look-back and the event.
    let look_back = i64::from(program.lookback_days())
        .saturating_add(2)
        .saturating_mul(DAY);
    let from = event
        .start
        .checked_add(look_back.saturating_neg())
        .unwrap_or(Timestamp::EPOCH);
    (from, event.end.checked_add(DAY).unwrap_or(event.end))
}

pub(crate) fn case(client: &mut impl GenericClient, request: &Request<'_>) -> Result<Case, StoreError> {
    let Request {
        event,
        version,
        settled_at,
        engine,
        carried_from,
        occasion: _,
    } = request;
    let mut others = events::events(client)?;
    others.retain(|other| {
        other.program == event.program
            && other.id != event.id
            && other.start < event.end
            && other.announced_at <= *settled_at
    });
    Ok(Case {
        event: announced(event),
        version: *version,
        settled_at: *settled_at,
        engine: *engine,
        carried_from: carried_from.clone(),
        other_events: others.iter().map(announced).collect(),
        resettles: None,
        held: Vec::new(),
        owed: Vec::new(),
        published: Vec::new(),
        season: Vec::new(),
        code: CODE.to_owned(),
    })
}

/// The statement that is corrected.
fn superseded(
    client: &mut impl GenericClient,
    request: &Request<'_>,
    occasion: &Occasion,
) -> Result<(Resettles, Statement), StoreError> {
    let event = &request.event.id;
    let none = || StoreError::NotFound(format!("event {event} has no statement to be corrected"));
    let version = request.version.checked_sub(1).ok_or_else(none)?;
    let before = settlements::find(client, event, version)?.ok_or_else(none)?;
    let statement = Statement::from_bytes(before.statement.as_bytes()).map_err(corrupt)?;
    let resettles = Resettles {
        version,
        statement: before.statement_hash,
        occasion: occasion.clone(),
    };
    Ok((resettles, statement))
}

/// What beneficiaries hold.
fn held<'b>(
    client: &mut impl GenericClient,
    program: &Program,
    who: impl Iterator<Item = &'b BeneficiaryId>,
) -> Result<Vec<Balance>, StoreError> {
    let accounts: BTreeSet<String> = who.map(|who| format!("beneficiary:{who}")).collect();
    let accounts: Vec<String> = accounts.into_iter().collect();
    let rows = client.query(
        "SELECT a.name, b.amount::text FROM ledger.balance b JOIN ledger.account a USING (account_id)
         WHERE a.asset = $1 AND a.name = ANY($2) AND b.amount > 0",
        &[&program.asset.code(), &accounts],
    )?;
    balances(&rows)
}

/// What is owed to a program.
pub(crate) fn owed(client: &mut impl GenericClient, program: &Program) -> Result<Vec<Balance>, StoreError> {
    let rows = client.query(
        "SELECT a.name, (-b.amount)::text FROM ledger.balance b JOIN ledger.account a USING (account_id)
         WHERE a.asset = $1 AND starts_with(a.name, $2) AND b.amount < 0",
        &[&program.asset.code(), &format!("receivable:{}:", program.id)],
    )?;
    balances(&rows)
}

/// Rows of an account's name and an amount, by the account's owner.
fn balances(rows: &[postgres::Row]) -> Result<Vec<Balance>, StoreError> {
    let read = |row: &postgres::Row| {
        let account: AccountName = row.get::<_, &str>(0).parse().map_err(corrupt)?;
        let owner = match account {
            AccountName::Beneficiary(owner) => owner,
            AccountName::Receivable(debt) => debt.owner().clone(),
            other => return Err(corrupt(format!("{other} is nobody's who is paid"))),
        };
        let units: i128 = row.get::<_, &str>(1).parse().map_err(corrupt)?;
        Ok(Balance {
            beneficiary: owner.as_str().parse().map_err(corrupt)?,
            amount: TokenAmount::new(units).map_err(corrupt)?,
        })
    };
    let mut balances = rows.iter().map(read).collect::<Result<Vec<_>, StoreError>>()?;
    balances.sort_by(|a, b| a.beneficiary.cmp(&b.beneficiary));
    Ok(balances)
}

fn announced(event: &StoredEvent) -> Event {
    Event {
        id: event.id.clone(),
        program: event.program.clone(),
        start: event.start,
        end: event.end,
        announced_at: event.announced_at,
    }
}

/// What was signed of those enrolments that are more than the operator's word.
fn signed_sites(
    client: &mut impl GenericClient,
    enrolments: &[Enrolment],
    until: Timestamp,
) -> Result<Vec<SignedSite>, StoreError> {
    let signed = enrolments
        .iter()
        .filter(|enrolment| enrolment.agreement.is_some());
    signed
        .map(|enrolment| {
            let history = agreements::history(client, enrolment.site.as_str())?;
            Ok(SignedSite::of(enrolment.site.clone(), history, until))
        })
        .collect()
}

fn instructions(
    client: &mut impl GenericClient,
    event: &StoredEvent,
    gateways: &[Identity],
) -> Result<Vec<SentInstruction>, StoreError> {
    // A farewell asks for nothing that is paid, and the answer to it is none to the event.
    let sent = events::asks_of(client, &event.id)?.into_iter();
    let sent = sent.filter(|instruction| gateways.contains(&instruction.gateway));
    Ok(sent
        .map(|i| SentInstruction {
            gateway: i.gateway,
            envelope: i.envelope,
        })
        .collect())
}

fn acknowledgements(
    client: &mut impl GenericClient,
    event: &StoredEvent,
    settled_at: Timestamp,
) -> Result<Vec<ReceivedAcknowledgement>, StoreError> {
    let asks = events::asks_of(client, &event.id)?;
    let asks: BTreeSet<Digest> = asks.iter().map(|ask| ask.digest).collect();
    let received = events::acknowledgements_of(client, &event.id)?.into_iter();
    let received = received.filter(|a| a.received_at <= settled_at && asks.contains(&a.instruction));
    let record = |a: events::StoredAcknowledgement| ReceivedAcknowledgement {
        gateway: a.gateway,
        received_at: a.received_at,
        envelope: a.envelope,
    };
    Ok(received.map(record).collect())
}

/// A meter's word is taken this long before an interval's end at the earliest, and after it at the latest.
const ORIGINAL_SECONDS: i64 = 900;

/// What meters have signed of the event itself. Of the days before there would be more of it than of all the rest.
fn taken_originals(
    client: &mut impl GenericClient,
    event: &StoredEvent,
    gateways: &[Identity],
    settled_at: Timestamp,
) -> Result<Vec<ReceivedOriginal>, StoreError> {
    let from = event
        .start
        .checked_add(-ORIGINAL_SECONDS)
        .unwrap_or(Timestamp::EPOCH);
    let until = event.end.checked_add(ORIGINAL_SECONDS).unwrap_or(event.end);
    let kept = originals::originals_of(client, gateways, from, until, settled_at)?;
    Ok(kept
        .into_iter()
        .map(|original| ReceivedOriginal {
            gateway: original.gateway,
            received_at: original.received_at,
            envelope: original.envelope,
        })
        .collect())
}

/// The reports that touch the period, and whatever else bears the number of one of them.
fn reports(
    client: &mut impl GenericClient,
    gateways: &[Identity],
    from: Timestamp,
    until: Timestamp,
    settled_at: Timestamp,
) -> Result<Vec<ReceivedReport>, StoreError> {
    let gateways: Vec<&[u8]> = gateways
        .iter()
        .map(|gateway| gateway.as_bytes().as_slice())
        .collect();
    let rows = client.query(
        "SELECT r.gateway, r.sequence, r.received_at, r.envelope FROM report r
         JOIN (SELECT DISTINCT gateway, sequence FROM report
               WHERE gateway = ANY($1) AND starts_at < $3 AND ends_at > $2) slot USING (gateway, sequence)
         WHERE r.received_at <= $4",
        &[
            &gateways,
            &to_column(from),
            &to_column(until),
            &to_column(settled_at),
        ],
    )?;
    let read = |row: &postgres::Row| {
        Ok(ReceivedReport {
            gateway: identity(row.get(0))?,
            sequence: sequence(row.get(1))?,
            received_at: timestamp(row.get(2))?,
            envelope: row.get(3),
        })
    };
    rows.iter().map(read).collect()
}

fn refused(
    client: &mut impl GenericClient,
    gateways: &[Identity],
    from: Timestamp,
    settled_at: Timestamp,
) -> Result<Vec<RefusedMessage>, StoreError> {
    let until = settled_at.checked_add(1).unwrap_or(settled_at);
    let gateways: BTreeSet<&Identity> = gateways.iter().collect();
    let enrolled = |gateway: Option<Identity>| gateway.is_some_and(|gateway| gateways.contains(&gateway));
    let refused = refusals::refusals(client, from, until)?
        .into_iter()
        .filter(|refusal| enrolled(refusal.gateway));
    let record = |r: refusals::StoredRefusal| RefusedMessage {
        received_at: r.received_at,
        topic: r.topic,
        reason: r.reason,
        detail: r.detail,
        payload: r.bytes,
    };
    Ok(refused.map(record).collect())
}
