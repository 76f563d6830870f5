//! One batch from the broker to the store, and the receipts that may then be sent.

use std::collections::{BTreeMap, BTreeSet};
use std::thread;

use gridtally_protocol::identity::{Digest, Identity, SigningIdentity};
use gridtally_protocol::message::Message as _;
use gridtally_protocol::receipt::{ENTRIES_MAX, Receipt, Verdict};
use gridtally_protocol::time::Timestamp;
use gridtally_protocol::topic::{Topic, TopicKind};
use postgres::GenericClient;

use super::judge::{Arrival, Judged, Knowledge, judge};
use crate::store::{
    Store, StoreError, beacons, days, events, originals, programs, refusals, reports, statements,
};

/// From this many messages on, signatures are verified on all cores.
const PARALLEL_MIN: usize = 16;

/// A receipt to be published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outgoing {
    /// For whom.
    pub gateway: Identity,
    /// Where.
    pub topic: String,
    /// The signed bytes.
    pub payload: Vec<u8>,
}

/// Opens messages, on several cores where there are many; the order is kept.
#[must_use]
pub fn open_all(messages: Vec<(String, Vec<u8>)>) -> Vec<Arrival> {
    let cores = thread::available_parallelism().map_or(1, std::num::NonZero::get);
    if messages.len() < PARALLEL_MIN || cores < 2 {
        return messages
            .into_iter()
            .map(|(topic, bytes)| Arrival::open(&topic, bytes))
            .collect();
    }
    let share = messages.len().div_ceil(cores);
    let mut shares: Vec<Vec<(String, Vec<u8>)>> = Vec::new();
    let mut rest = messages;
    while rest.len() > share {
        let tail = rest.split_off(share);
        shares.push(std::mem::replace(&mut rest, tail));
    }
    shares.push(rest);
    thread::scope(|scope| {
        let open = |share: Vec<(String, Vec<u8>)>| {
            share
                .into_iter()
                .map(|(topic, bytes)| Arrival::open(&topic, bytes))
                .collect::<Vec<_>>()
        };
        let workers: Vec<_> = shares
            .into_iter()
            .map(|share| scope.spawn(move || open(share)))
            .collect();
        workers
            .into_iter()
            .flat_map(|w| w.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            .collect()
    })
}

/// Judges and stores a batch in one transaction, and returns the receipts, which are true only now.
///
/// # Errors
/// [`StoreError`] where the database does not take it: then nothing of the batch may be acknowledged.
pub fn take(
    store: &mut Store,
    engine: &SigningIdentity,
    arrivals: &[Arrival],
    received_at: Timestamp,
) -> Result<Vec<Outgoing>, StoreError> {
    let judged = store.transact(|transaction| {
        let known = look_up(transaction, arrivals, received_at)?;
        let judged = judge(arrivals, known, received_at);
        keep(transaction, &judged, received_at)?;
        Ok::<_, StoreError>(judged)
    })?;
    Ok(receipts(&judged.verdicts, engine, received_at))
}

fn look_up(
    client: &mut impl GenericClient,
    arrivals: &[Arrival],
    received_at: Timestamp,
) -> Result<Knowledge, StoreError> {
    let mut known = Knowledge::default();
    let gateways: BTreeSet<Identity> = arrivals.iter().filter_map(Arrival::gateway).collect();
    let enrolments = programs::enrolments_of(client, gateways, received_at)?;
    known.enrolments = enrolments
        .into_iter()
        .map(|enrolment| (enrolment.gateway, enrolment))
        .collect();
    let places: Vec<_> = arrivals.iter().filter_map(Arrival::place).collect();
    if !places.is_empty() {
        // Two workers with reports of one gateway take turns: each must see what the other kept.
        days::lock(client, places.iter().map(|(gateway, _)| *gateway))?;
        for (gateway, link) in reports::neighbours(client, &places)? {
            known.neighbours.entry(gateway).or_default().push(link);
        }
    }
    let named = arrivals.iter().filter_map(Arrival::beacon).collect();
    known.beacons = beacons::known(client, &named)?;
    let acknowledged: Vec<_> = arrivals.iter().filter_map(Arrival::acknowledged).collect();
    if !acknowledged.is_empty() {
        known.instructions = events::known_instructions(client, &acknowledged)?;
        let others: Vec<_> = acknowledged
            .into_iter()
            .filter(|one| !known.instructions.contains(one))
            .collect();
        if !others.is_empty() {
            known.statements = statements::known_statements(client, &others)?;
        }
    }
    Ok(known)
}

fn keep(client: &mut impl GenericClient, judged: &Judged, received_at: Timestamp) -> Result<(), StoreError> {
    reports::insert_reports(client, &judged.reports)?;
    days::join(client, &judged.days, received_at)?;
    days::insert_disputes(client, &judged.disputes)?;
    events::insert_acknowledgements(client, &judged.acknowledgements)?;
    statements::insert_holdings(client, &judged.holdings)?;
    originals::insert_originals(client, &judged.originals)?;
    refusals::insert_refusals(client, &judged.refusals)
}

fn receipts(
    verdicts: &BTreeMap<Identity, BTreeMap<Digest, Verdict>>,
    engine: &SigningIdentity,
    issued_at: Timestamp,
) -> Vec<Outgoing> {
    let mut outgoing = Vec::new();
    for (gateway, verdicts) in verdicts {
        let entries: Vec<(Digest, Verdict)> = verdicts.iter().map(|(d, v)| (*d, *v)).collect();
        for entries in entries.chunks(ENTRIES_MAX) {
            let receipt = Receipt {
                gateway: *gateway,
                issued_at,
                entries: entries.to_vec(),
            };
            match receipt.seal(engine) {
                Ok(payload) => {
                    let topic = Topic {
                        gateway: *gateway,
                        kind: TopicKind::Receipt,
                    }
                    .to_string();
                    outgoing.push(Outgoing {
                        gateway: *gateway,
                        topic,
                        payload,
                    });
                }
                Err(error) => tracing::error!(%gateway, %error, "a receipt could not be written"),
            }
        }
    }
    outgoing
}
