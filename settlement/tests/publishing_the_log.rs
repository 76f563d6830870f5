//! `gridtally engine log`: what the engine holds becomes an append-only log of files, which anyone can check.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod cluster;
mod scenario;
mod shelf;

use std::path::Path;

use clap::{Args as _, Command, FromArgMatches as _};
use cluster::Database;
use gridtally_log::files::{Directory, LogReader};
use gridtally_log::leaf::Kind;
use gridtally_log::note::{Algorithm, SignedCheckpoint, Signer, VerifierKey};
use gridtally_protocol::identity::SigningIdentity;
use gridtally_settlement::cli::engine::{EngineArgs, answer};
use gridtally_settlement::proofs::patience::Patience;
use gridtally_settlement::proofs::settle::settle;
use scenario::{Scenario, at, engine};
use shelf::{pay_in, stored};

fn said(database: &Database, data: &Path, words: &[&str]) -> Result<String, String> {
    let (data, url) = (data.display().to_string(), database.url());
    let place = ["engine", "--data", &data, "--database", &url, "log"];
    let matches = EngineArgs::augment_args(Command::new("engine"))
        .try_get_matches_from(place.iter().chain(words))
        .map_err(|e| e.to_string())?;
    let mut out = Vec::new();
    answer(EngineArgs::from_arg_matches(&matches).unwrap(), &mut out).map_err(|e| e.to_string())?;
    Ok(String::from_utf8(out).unwrap())
}

#[test]
fn what_was_settled_is_in_the_log_and_stays_there() {
    let database = Database::create();
    let mut store = stored(&database, &Scenario::new());
    pay_in(&mut store, "1", 50_000_000).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let (data, directory) = (folder.path().join("engine"), folder.path().join("log"));
    std::fs::create_dir(&data).unwrap();
    let publish = [
        "publish",
        directory.to_str().unwrap(),
        "--origin",
        "flex.example/log",
    ];

    let first = said(&database, &data, &publish).unwrap();
    let key: VerifierKey = said(&database, &data, &["key", "--origin", "flex.example/log"])
        .unwrap()
        .trim()
        .parse()
        .unwrap();
    let before = LogReader::open(Directory::new(&directory), &key).unwrap().head();
    assert!(
        first.contains(&format!("the log has {} now", before.size)),
        "{first}"
    );
    let again = said(&database, &data, &publish).unwrap();
    assert!(again.starts_with("Appended 0 leaves"), "{again}");

    let settled = settle(
        &mut store,
        &engine(),
        &"tuesday-evening".parse().unwrap(),
        at("2026-04-22T06:00:00Z"),
        Patience::Deadline,
        &folder.path().join("bundle"),
    )
    .unwrap();
    said(&database, &data, &publish).unwrap();
    let reader = LogReader::open(Directory::new(&directory), &key).unwrap();
    reader.must_extend(before).unwrap();
    let checked = reader.check_all(|_, _| ()).unwrap();
    for (kind, least) in [
        (Kind::ReportHead, 3),
        (Kind::Enrolment, 3),
        (Kind::Event, 1),
        (Kind::Statement, 1),
        (Kind::Transaction, 2),
        (Kind::Rules, 1),
    ] {
        let count = checked.leaves.get(&kind).copied().unwrap_or(0);
        assert!(count >= least, "{} of {}", count, kind.as_str());
    }
    let found = reader.find(&"tuesday-evening/1".parse().unwrap()).unwrap();
    let statement = found
        .iter()
        .find(|found| found.leaf.kind == Kind::Statement)
        .unwrap();
    assert_eq!(statement.leaf.digest, settled.statement_hash);
    reader
        .prove_inclusion(statement.index)
        .unwrap()
        .verify(&statement.leaf, &key)
        .unwrap();

    // Another key, or another name, is another log: it is not written over.
    let other = [
        "publish",
        directory.to_str().unwrap(),
        "--origin",
        "other.example/log",
    ];
    assert!(said(&database, &data, &other).is_err());
    let stranger = folder.path().join("stranger");
    std::fs::create_dir(&stranger).unwrap();
    assert!(said(&database, &stranger, &publish).is_err());
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

#[test]
fn a_folder_that_was_brought_back_from_an_old_copy_is_not_signed() {
    let database = Database::create();
    let mut store = stored(&database, &Scenario::new());
    let folder = tempfile::tempdir().unwrap();
    let [data, directory, old] = ["engine", "log", "old"].map(|name| folder.path().join(name));
    std::fs::create_dir(&data).unwrap();
    let publish = [
        "publish",
        directory.to_str().unwrap(),
        "--origin",
        "flex.example/log",
    ];
    said(&database, &data, &publish).unwrap();
    copy(&directory, &old);
    pay_in(&mut store, "1", 50_000_000).unwrap();
    said(&database, &data, &publish).unwrap();

    std::fs::remove_dir_all(&directory).unwrap();
    let gone = said(&database, &data, &publish).unwrap_err();
    assert!(
        gone.contains("has no checkpoint, but the log flex.example/log was published"),
        "{gone}"
    );
    copy(&old, &directory);
    let before = std::fs::read(directory.join("checkpoint")).unwrap();
    assert!(said(&database, &data, &publish).is_err());
    assert_eq!(
        std::fs::read(directory.join("checkpoint")).unwrap(),
        before,
        "nothing was signed"
    );
}

#[test]
fn what_a_witness_signed_is_put_below_the_checkpoint() {
    let database = Database::create();
    stored(&database, &Scenario::new());
    let folder = tempfile::tempdir().unwrap();
    let [data, directory, copied] = ["engine", "log", "cosigned"].map(|name| folder.path().join(name));
    std::fs::create_dir(&data).unwrap();
    let log = directory.to_str().unwrap();
    said(
        &database,
        &data,
        &["publish", log, "--origin", "flex.example/log"],
    )
    .unwrap();
    let witness = Signer::new(
        "witness.example/w1".parse().unwrap(),
        Algorithm::CosignatureV1,
        SigningIdentity::from_secret(&[9; 32]).unwrap(),
    );
    let checkpoint = SignedCheckpoint::parse(&std::fs::read(directory.join("checkpoint")).unwrap()).unwrap();
    let mut signed = checkpoint.clone();
    signed.add(signed.cosignature(&witness, 1_777_000_000));
    std::fs::write(&copied, signed.to_string()).unwrap();
    let key = witness.verifier().to_string();
    let words = [
        "cosign",
        log,
        copied.to_str().unwrap(),
        "--origin",
        "flex.example/log",
        "--witness-key",
    ];
    let other = Signer::new(
        "witness.example/w1".parse().unwrap(),
        Algorithm::CosignatureV1,
        SigningIdentity::from_secret(&[8; 32]).unwrap(),
    );
    let stranger = other.verifier().to_string();
    let told = said(&database, &data, &[&words[..], &[&stranger]].concat()).unwrap();
    assert!(told.contains("nothing to take from it"), "{told}");
    let told = said(&database, &data, &[&words[..], &[&key]].concat()).unwrap();
    assert!(told.contains("1 signatures stand below the checkpoint"), "{told}");
    let now = SignedCheckpoint::parse(&std::fs::read(directory.join("checkpoint")).unwrap()).unwrap();
    now.signed_by(witness.verifier()).unwrap();
}
