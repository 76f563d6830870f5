//! `gridtally engine bundle`: what a stranger gets of a settlement, and that nothing in it can be another.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod cluster;
mod scenario;
mod shelf;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use clap::{Args as _, Command, FromArgMatches as _};
use cluster::Database;
use gridtally_log::note::{Algorithm, SignedCheckpoint, Signer};
use gridtally_protocol::identity::SigningIdentity;
use gridtally_settlement::cli::engine::{EngineArgs, answer};
use gridtally_settlement::cli::verify::{self, VerifyArgs};
use gridtally_settlement::proofs::package::check::check;
use gridtally_settlement::proofs::package::{BUNDLE, Package, STATEMENT_PROOF};
use gridtally_settlement::proofs::patience::Patience;
use gridtally_settlement::proofs::settle::settle;
use gridtally_settlement::proofs::verify::verify as verify_bundle;
use scenario::{Scenario, at, engine};
use shelf::{pay_in, stored};

/// An operator's place: a database, the engine's key, a public log.
struct Desk {
    database: Database,
    folder: tempfile::TempDir,
}

impl Desk {
    /// With an event that was settled, and a beneficiary who claims on chain.
    fn settled() -> Self {
        let desk = Self {
            database: Database::create(),
            folder: tempfile::tempdir().unwrap(),
        };
        let data = desk.path("engine");
        fs::create_dir(&data).unwrap();
        let key = data.join("engine.key");
        fs::write(&key, hex::encode([1; 32])).unwrap();
        fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
        let mut store = stored(&desk.database, &Scenario::new());
        pay_in(&mut store, "1", 50_000_000).unwrap();
        let (event, bundle) = ("tuesday-evening".parse().unwrap(), desk.path("bundle"));
        let now = at("2026-04-22T06:00:00Z");
        let outcome = settle(&mut store, &engine(), &event, now, Patience::Deadline, &bundle).unwrap();
        assert!(outcome.new);
        desk
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn says(&self, words: &[&str]) -> Result<String, String> {
        let (data, url) = (self.path("engine").display().to_string(), self.database.url());
        let place = ["engine", "--data", &data, "--database", &url];
        let matches = EngineArgs::augment_args(Command::new("engine"))
            .try_get_matches_from(place.iter().chain(words))
            .map_err(|e| e.to_string())?;
        let mut out = Vec::new();
        answer(EngineArgs::from_arg_matches(&matches).unwrap(), &mut out).map_err(|e| e.to_string())?;
        Ok(String::from_utf8(out).unwrap())
    }

    fn publish(&self) {
        let log = self.path("log").display().to_string();
        self.says(&["log", "publish", &log, "--origin", "flex.example/log"])
            .unwrap();
    }

    fn pack(&self) -> Result<Vec<u8>, String> {
        let (log, out) = (self.path("log").display().to_string(), self.path("tuesday.tgz"));
        let words = [
            "bundle",
            "tuesday-evening",
            "--log",
            &log,
            "--origin",
            "flex.example/log",
            "--out",
        ];
        self.says(&[&words[..], &[out.to_str().unwrap()]].concat())?;
        Ok(fs::read(out).unwrap())
    }
}

fn verified(path: &Path, more: &[&str]) -> Result<String, String> {
    let words = ["verify", path.to_str().unwrap()];
    let matches = VerifyArgs::augment_args(Command::new("verify"))
        .try_get_matches_from(words.iter().chain(more))
        .map_err(|e| e.to_string())?;
    let mut out = Vec::new();
    verify::run(&VerifyArgs::from_arg_matches(&matches).unwrap(), &mut out).map_err(|e| e.to_string())?;
    Ok(String::from_utf8(out).unwrap())
}

#[test]
fn a_stranger_checks_the_settlement_the_log_the_witness_and_the_payout_root() {
    let desk = Desk::settled();
    desk.publish();
    let owner = {
        let statement = desk.says(&["statement", "tuesday-evening"]).unwrap();
        let statement: serde_json::Value = serde_json::from_str(&statement).unwrap();
        statement["sites"][0]["beneficiary"].as_str().unwrap().to_owned()
    };
    desk.says(&[
        "payout",
        "address",
        &owner,
        "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
    ])
    .unwrap();
    let root = desk.path("root.json").display().to_string();
    desk.says(&["payout", "root", "--program", "evening-flex", "--out", &root])
        .unwrap();
    let early = Package::read(&desk.pack().unwrap()).unwrap();
    assert!(
        early.file("payout-root-1.json").is_none(),
        "the root is not in the log yet"
    );

    desk.publish();
    let witness = Signer::new(
        "witness.example/w1".parse().unwrap(),
        Algorithm::CosignatureV1,
        SigningIdentity::from_secret(&[9; 32]).unwrap(),
    );
    let checkpoint = desk.path("log").join("checkpoint");
    let mut signed = SignedCheckpoint::parse(&fs::read(&checkpoint).unwrap()).unwrap();
    signed.add(signed.cosignature(&witness, 1_777_000_000));
    fs::write(&checkpoint, signed.to_string()).unwrap();

    let bytes = desk.pack().unwrap();
    let package = Package::read(&bytes).unwrap();
    assert_eq!(
        package.file("payout-root-1.json").unwrap(),
        fs::read_to_string(&root).unwrap().trim_end().as_bytes()
    );
    let path = desk.path("tuesday.tgz");
    let engine = engine().identity().to_string();
    let key = witness.verifier().to_string();
    let told = verified(&path, &["--engine", &engine, "--witness-key", &key]).unwrap();
    for line in [
        "3 proofs show these in the log flex.example/log",
        "and 1 of the witnesses asked for",
        "The payout root 0x",
        "Everything holds.",
    ] {
        assert!(told.contains(line), "{line}: {told}");
    }
    let site = verified(&path, &["--site", "site-1"]);
    assert!(site.is_ok() || site.unwrap_err().contains("there is no site"));
    let other = Signer::new(
        "witness.example/w2".parse().unwrap(),
        Algorithm::CosignatureV1,
        SigningIdentity::from_secret(&[8; 32]).unwrap(),
    );
    let missing = verified(&path, &["--witness-key", &other.verifier().to_string()]).unwrap_err();
    assert!(
        missing.contains("witness.example/w2") && missing.contains("statement.tlog-proof"),
        "{missing}"
    );
    let bare = verified(&desk.path("bundle"), &["--witness-key", &key]).unwrap_err();
    assert!(bare.contains("no proof with a checkpoint"), "{bare}");

    // Each file in the place of another, or changed, is named.
    let bundle = verify_bundle(package.file(BUNDLE).unwrap(), None).unwrap();
    let swap = |name: &str, content: Vec<u8>| {
        let mut other = package.clone();
        other.put(name, content);
        check(&other, &bundle, &[]).unwrap_err().to_string()
    };
    let transaction = package.file("transaction-0.tlog-proof").unwrap().to_vec();
    let error = swap(STATEMENT_PROOF, transaction);
    assert!(
        error.starts_with("statement.tlog-proof: the leaf is not shown"),
        "{error}"
    );
    let tree = String::from_utf8(package.file("payout-root-1.json").unwrap().to_vec()).unwrap();
    let error = swap(
        "payout-root-1.json",
        tree.replace("\"treeIndex\": 0", "\"treeIndex\": 1").into_bytes(),
    );
    assert!(error.starts_with("payout-root-1.json: "), "{error}");
    let error = swap("payout-root-2.json", tree.into_bytes());
    assert!(
        error.contains("payout-root-2.json: the proof that the log has"),
        "{error}"
    );
    let error = swap("transaction-7.tlog-proof", b"x".to_vec());
    assert!(
        error.contains("transaction-7.tlog-proof: the bundle has only 1"),
        "{error}"
    );
}

#[test]
fn what_the_log_does_not_have_is_not_packed_as_if_it_had() {
    let desk = Desk::settled();
    let error = desk.pack().unwrap_err();
    assert!(error.contains("checkpoint"), "{error}");
    let (log, elsewhere) = (desk.path("log"), desk.path("kept"));
    desk.publish();
    fs::rename(&log, &elsewhere).unwrap();
    // A log that began without the settlement.
    let empty = Database::create();
    let none = Desk {
        database: empty,
        folder: desk.folder,
    };
    stored(&none.database, &Scenario::new());
    none.publish();
    let desk = Desk {
        database: desk.database,
        folder: none.folder,
    };
    let error = desk.pack().unwrap_err();
    assert!(
        error.contains("has no statement tuesday-evening/1 as it is kept; publish it first"),
        "{error}"
    );
}

#[test]
fn one_flipped_bit_anywhere_in_a_package_is_found() {
    let desk = Desk::settled();
    desk.publish();
    let bytes = desk.pack().unwrap();
    assert_eq!(
        desk.pack().unwrap(),
        bytes,
        "the same settlement makes the same file"
    );
    let bundle = fs::metadata(desk.path("bundle")).unwrap().len();
    assert!(
        u64::try_from(bytes.len()).unwrap() * 2 < bundle,
        "{} of {bundle}",
        bytes.len()
    );
    let mut state: u64 = 2026;
    let random = std::iter::repeat_with(|| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(state >> 33).unwrap() % (bytes.len() * 8)
    });
    // Every bit of the head and the end, and a sample of the rest.
    let edges = (0..90 * 8).chain(bytes.len() * 8 - 90 * 8..bytes.len() * 8);
    let flips: Vec<usize> = edges.chain(random.take(2_000)).collect();
    for bit in flips {
        let mut flipped = bytes.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        let error = Package::read(&flipped);
        assert!(error.is_err(), "bit {bit}");
    }
}
