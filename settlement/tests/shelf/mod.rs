//! A scenario put into a real store, as ingest and dispatch would have.
#![allow(dead_code, reason = "not every test needs all of it")]

use gridtally_protocol::acknowledgement::Acknowledgement;
use gridtally_protocol::instruction::Instruction;
use gridtally_protocol::message::Message;
use gridtally_protocol::quantity::{Asset, Milliwatts, TokenAmount};
use gridtally_protocol::report::Report;
use gridtally_settlement::ingest::chain::Link;
use gridtally_settlement::proofs::evidence::ReceivedReport;
use gridtally_settlement::rules::program::Program;
use gridtally_settlement::store::events::{StoredAcknowledgement, StoredEvent, StoredInstruction};
use gridtally_settlement::store::ledger::{self, Deposit, LedgerError, Posted};
use gridtally_settlement::store::reports::StoredReport;
use gridtally_settlement::store::{Store, StoreError, events, programs, reports};

use crate::cluster::Database;
use crate::scenario::{self, Scenario, at};

/// Puts a scenario into a store, as ingest and dispatch would have.
pub fn stored(database: &Database, scenario: &Scenario) -> Store {
    let mut store = Store::open(&database.url()).unwrap();
    let evidence = scenario.evidence();
    store
        .transact(|client| {
            let now = at(scenario::FIRST_DAY);
            let program = Program::from_toml("program", &scenario.program).unwrap();
            programs::add_program(client, &program, &scenario.program, now)?;
            for enrolment in &evidence.enrolments {
                programs::enrol(client, enrolment, now)?;
            }
            insert_event(client, &evidence.case.event)?;
            for other in &evidence.case.other_events {
                insert_event(client, other)?;
            }
            for instruction in &evidence.instructions {
                let signed = Instruction::open(&instruction.envelope).unwrap();
                let stored = StoredInstruction {
                    gateway: instruction.gateway,
                    sequence: signed.message.sequence,
                    event: signed.message.event,
                    digest: signed.digest,
                    expires_at: signed.message.expires_at,
                    envelope: instruction.envelope.clone(),
                };
                events::insert_instruction(client, &stored)?;
            }
            for acknowledgement in &evidence.acknowledgements {
                let signed = Acknowledgement::open(&acknowledgement.envelope).unwrap();
                let stored = StoredAcknowledgement {
                    gateway: acknowledgement.gateway,
                    digest: signed.digest,
                    instruction: signed.message.instruction,
                    stage: signed.message.stage,
                    reached_at: signed.message.at,
                    received_at: acknowledgement.received_at,
                    envelope: acknowledgement.envelope.clone(),
                };
                events::insert_acknowledgements(client, &[stored])?;
            }
            keep_reports(client, &evidence.reports)
        })
        .unwrap();
    store
}

/// Keeps reports, as ingest would have.
pub fn keep_reports(
    client: &mut postgres::Transaction<'_>,
    received: &[ReceivedReport],
) -> Result<(), StoreError> {
    let stored: Vec<StoredReport> = received
        .iter()
        .map(|report| StoredReport {
            gateway: report.gateway,
            link: Link::of(&Report::open(&report.envelope).unwrap()),
            received_at: report.received_at,
            envelope: report.envelope.clone(),
        })
        .collect();
    reports::insert_reports(client, &stored)
}

fn insert_event(
    client: &mut postgres::Transaction<'_>,
    event: &gridtally_settlement::rules::statement::Event,
) -> Result<(), StoreError> {
    let stored = StoredEvent {
        id: event.id.clone(),
        program: event.program.clone(),
        program_version: 1,
        start: event.start,
        end: event.end,
        announced_at: event.announced_at,
        discharge: Milliwatts::new(3_000_000),
    };
    events::insert_event(client, &stored)
}

pub fn pay_in(store: &mut Store, reference: &str, amount: i128) -> Result<Posted, LedgerError> {
    let asset = Asset::new("FLEX", 6).unwrap();
    let payment = Deposit {
        operator: "oslo-grid",
        reference,
        program: "evening-flex",
        asset: &asset,
        amount: TokenAmount::new(amount).unwrap(),
    };
    store
        .transact(|client| ledger::deposit(client, &payment, at(scenario::FIRST_DAY)))
        .map(|(posted, _)| posted)
}

pub fn balance(store: &mut Store, account: &str) -> i128 {
    let balances = store.transact(|client| ledger::balances(client)).unwrap();
    balances
        .iter()
        .find(|b| b.account.to_string() == account)
        .map_or(0, |b| b.amount.base_units())
}
