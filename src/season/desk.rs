//! The operator's desk: everything that is done to the engine's store, and the books looked at after each step.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::ensure;
use gridtally_protocol::identity::SigningIdentity;
use gridtally_protocol::instruction::EventId;
use gridtally_protocol::message::Message as _;
use gridtally_protocol::quantity::MilliwattHours;
use gridtally_protocol::receipt::Receipt;
use gridtally_protocol::time::{Interval, Timestamp};
use gridtally_settlement::dispatch::{self, Announcement};
use gridtally_settlement::events::revision::{Actor, Why};
use gridtally_settlement::ingest::{open_all, take};
use gridtally_settlement::proofs::patience::Patience;
use gridtally_settlement::proofs::settle::{
    Order, SettlementError, SettlementOutcome, Which, carry_out, decide_dispute, finalise, raise_dispute,
};
use gridtally_settlement::registry::Enrolment;
use gridtally_settlement::rules::program::Program;
use gridtally_settlement::rules::statement::SiteId;
use gridtally_settlement::store::corrections::{Correcting, correct};
use gridtally_settlement::store::events::StoredInstruction;
use gridtally_settlement::store::ledger::{self, Audit, Deposit, payouts};
use gridtally_settlement::store::{Store, StoreError, events, programs};

use super::gateway::Message;
use super::plan::{EventPlan, Fault, Plan};
use crate::neighbourhood::keys;

/// The program of the season.
pub const PROGRAM: &str = include_str!("program.toml");
/// What the operator pays in at a time, in whole tokens.
const DEPOSIT: &str = "20000";

/// A desk.
#[derive(Debug)]
pub struct Desk {
    store: Store,
    key: SigningIdentity,
    program: Program,
    bundle: PathBuf,
    steps: u64,
}

/// An interval of a site, with what its meter counted in truth.
pub type Corrected = (Interval, Option<MilliwattHours>);

impl Desk {
    /// Takes a seat at an empty store; bundles are written to one file, the last one stays.
    ///
    /// # Errors
    /// Where the program's document does not read.
    pub fn open(plan: &Plan, store: Store, bundle: PathBuf) -> anyhow::Result<Self> {
        Ok(Self {
            store,
            key: keys::signing(plan.seed, "engine")?,
            program: Program::from_toml("program", PROGRAM)?,
            bundle,
            steps: 0,
        })
    }

    /// The season's program.
    #[must_use]
    pub const fn program(&self) -> &Program {
        &self.program
    }

    /// How often the books were looked at.
    #[must_use]
    pub const fn steps(&self) -> u64 {
        self.steps
    }

    /// Looks at the books: every asset adds up to nothing, the journal is the chain that it claims to be, and every
    /// balance is the sum of its entries.
    ///
    /// # Errors
    /// Where one of that does not hold, with the step after which it was looked at.
    pub fn check(&mut self, step: &str) -> anyhow::Result<Audit> {
        let audit = self.store.transact(|client| ledger::verify(client))?;
        ensure!(
            audit.holds(),
            "after {step} the ledger does not add up: {audit:?}"
        );
        self.steps = self.steps.saturating_add(1);
        Ok(audit)
    }

    /// Keeps the program and enrols the homes.
    ///
    /// # Errors
    /// Where the store does not take them.
    pub fn enrol(&mut self, enrolments: &[Enrolment], now: Timestamp) -> anyhow::Result<()> {
        let program = &self.program;
        self.store.transact(|client| {
            programs::add_program(client, program, PROGRAM, now)?;
            enrolments
                .iter()
                .try_for_each(|enrolment| programs::enrol(client, enrolment, now))
        })?;
        Ok(())
    }

    /// The operator pays into the program's escrow.
    ///
    /// # Errors
    /// Where the ledger refuses it.
    pub fn deposit(&mut self, reference: &str, now: Timestamp) -> anyhow::Result<()> {
        let asset = &self.program.asset;
        let deposit = Deposit {
            operator: "operator",
            reference,
            program: self.program.id.as_str(),
            asset,
            amount: asset.parse(DEPOSIT)?,
        };
        self.store
            .transact(|client| ledger::deposit(client, &deposit, now))?;
        Ok(())
    }

    /// Announces an event; gives what each home was sent.
    ///
    /// # Errors
    /// Where it breaks a rule.
    pub fn announce(&mut self, event: &EventPlan) -> anyhow::Result<Vec<StoredInstruction>> {
        let announcement = Announcement {
            id: event.id.parse()?,
            program: self.program.id.clone(),
            start: event.start,
            end: event.end,
            discharge: Plan::discharge(),
        };
        dispatch::announce(&mut self.store, &self.key, &announcement, event.announced_at)?;
        let id = &announcement.id;
        Ok(self
            .store
            .transact(|client| events::instructions_of(client, id))?)
    }

    /// Takes messages in, as if the broker had handed them over at this instant.
    ///
    /// # Errors
    /// Where the store does not take them, or the engine refuses one of them.
    pub fn receive(&mut self, messages: Vec<Message>, now: Timestamp) -> anyhow::Result<()> {
        for receipt in take(&mut self.store, &self.key, &open_all(messages), now)? {
            for (digest, verdict) in Receipt::open(&receipt.payload)?.message.entries {
                ensure!(verdict.is_ok(), "{} was not taken: {verdict:?}", digest);
            }
        }
        Ok(())
    }

    /// Settles an event for the first time; nothing while sites that have not reported are waited for.
    ///
    /// # Errors
    /// Where it cannot be settled.
    pub fn settle(&mut self, event: &EventPlan, now: Timestamp) -> anyhow::Result<Option<SettlementOutcome>> {
        match self.carry_out(event, Which::First, now) {
            Ok(outcome) => Ok(Some(outcome)),
            Err(SettlementError::Awaited { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Settles an event anew.
    ///
    /// # Errors
    /// Where nothing asks for it, or it cannot be settled.
    pub fn resettle(&mut self, event: &EventPlan, now: Timestamp) -> anyhow::Result<SettlementOutcome> {
        Ok(self.carry_out(event, Which::Next, now)?)
    }

    fn carry_out(
        &mut self,
        event: &EventPlan,
        which: Which,
        now: Timestamp,
    ) -> Result<SettlementOutcome, SettlementError> {
        let event: EventId = event
            .id
            .parse()
            .map_err(|_| StoreError::Conflict(event.id.clone()))?;
        let order = Order {
            event: &event,
            which,
            patience: Patience::Deadline,
            by: &Actor::operator(),
            preview: false,
            bundle: &self.bundle,
        };
        carry_out(&mut self.store, &self.key, &order, now)
    }

    /// A dispute about a site's statement, decided in its favour: what its meter counted in truth takes the place of
    /// what was reported. Its owner disputes what he lost, the network what was not delivered.
    ///
    /// # Errors
    /// Where the dispute comes too late, or the store does not take it.
    pub fn uphold(
        &mut self,
        event: &EventPlan,
        site: &SiteId,
        fault: Fault,
        truth: &[Corrected],
        now: Timestamp,
    ) -> anyhow::Result<()> {
        let (by, why) = match fault {
            Fault::Lost => (owner(site)?, "my meter was not read".parse()?),
            Fault::Understated => ("network".parse()?, "our own meter shows more".parse()?),
        };
        let (id, operator) = (event.id.parse()?, Actor::operator());
        let found: Why = "the network's own meter, read for the event".parse()?;
        let correcting = Correcting {
            program: &self.program.id,
            site,
            readings: truth,
            by: &operator,
            why: &found,
        };
        let number = raise_dispute(&mut self.store, &id, site, (&by, &why), now)?;
        self.store.transact(|client| correct(client, &correcting, now))?;
        Ok(decide_dispute(
            &mut self.store,
            &id,
            number,
            true,
            (&operator, &found),
            now,
        )?)
    }

    /// A dispute of somebody who never answered, decided against him.
    ///
    /// # Errors
    /// Where the dispute comes too late, or the store does not take it.
    pub fn reject(&mut self, event: &EventPlan, site: &SiteId, now: Timestamp) -> anyhow::Result<()> {
        let (id, by, why) = (event.id.parse()?, owner(site)?, "I was not paid".parse()?);
        let number = raise_dispute(&mut self.store, &id, site, (&by, &why), now)?;
        let hand = (
            &Actor::operator(),
            &"the home never said that it takes part".parse()?,
        );
        Ok(decide_dispute(&mut self.store, &id, number, false, hand, now)?)
    }

    /// What all accounts hold, by kind of account, in base units.
    ///
    /// # Errors
    /// Where the ledger cannot be read.
    pub fn holdings(&mut self) -> anyhow::Result<BTreeMap<String, i128>> {
        let mut kinds: BTreeMap<String, i128> = BTreeMap::new();
        for balance in self.store.transact(|client| ledger::balances(client))? {
            let account = balance.account.to_string();
            let kind = account.split_once(':').map_or(account.as_str(), |(kind, _)| kind);
            let held = kinds.entry(kind.to_owned()).or_default();
            *held = held.saturating_add(balance.amount.base_units());
        }
        Ok(kinds)
    }

    /// Makes everything payable that homes have earned; whether there was anything.
    ///
    /// # Errors
    /// Where the ledger refuses it.
    pub fn mature(&mut self, reference: &str, now: Timestamp) -> anyhow::Result<bool> {
        let (reference, asset) = (reference.parse()?, &self.program.asset);
        let all = BTreeMap::new();
        let done = self
            .store
            .transact(|client| payouts::mature(client, &reference, asset, &all, now))?;
        Ok(done.is_some())
    }

    /// Makes an event final.
    ///
    /// # Errors
    /// Where something may still change its statement.
    pub fn finalise(&mut self, event: &EventPlan, now: Timestamp) -> anyhow::Result<()> {
        let hand = (&Actor::operator(), &Default::default());
        Ok(finalise(&mut self.store, &event.id.parse()?, hand, now)?)
    }
}

fn owner(site: &SiteId) -> anyhow::Result<Actor> {
    Ok(format!("owner of {site}").parse()?)
}
