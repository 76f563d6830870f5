//! A small neighbourhood, played to its end with all its real parts.
#![allow(dead_code, reason = "each test uses what it needs")]

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use gridtally::demo::story::{self, Progress};
use gridtally::neighbourhood::Neighbourhood;
use gridtally::neighbourhood::scenario::Scenario;
use gridtally_protocol::quantity::TokenAmount;
use gridtally_settlement::proofs::settle::SettlementOutcome;
use gridtally_settlement::store::{StoreError, ledger};

/// The program whose roles run as processes.
pub fn program() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_gridtally"))
}

/// A directory that the database's unprivileged user may enter, removed with its owner.
pub struct Place(PathBuf);

impl Place {
    pub fn new(name: &str) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("gridtally-{name}-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // What a failed test leaves behind is what explains it.
        if std::thread::panicking() {
            eprintln!("its files are left in {}", self.0.display());
        } else {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }
}

/// What is left when a story has been told and settled.
pub struct Told {
    pub settled: SettlementOutcome,
    pub balances: Vec<(String, TokenAmount)>,
    pub bundle: Vec<u8>,
}

/// Plays a scenario to its end, settles its event, and takes the outcome.
pub fn tell(scenario: Scenario, place: &Place) -> Told {
    let mut neighbourhood = Neighbourhood::start(scenario, place.path(), program()).unwrap();
    story::play(&mut neighbourhood, &mut Progress::silent()).unwrap();
    let told = settle(&mut neighbourhood, place);
    neighbourhood.stop();
    told
}

/// Settles a neighbourhood's event.
pub fn settle(neighbourhood: &mut Neighbourhood, place: &Place) -> Told {
    let file = place.path().join("event.bundle");
    let settled = story::settle(neighbourhood, &file).unwrap();
    let balances = neighbourhood
        .store()
        .transact(|t| ledger::balances(t).map_err(|e| StoreError::Conflict(e.to_string())))
        .unwrap()
        .into_iter()
        .map(|b| (b.account.to_string(), b.amount))
        .collect();
    Told {
        settled,
        balances,
        bundle: std::fs::read(file).unwrap(),
    }
}
