//! What people type: `gridtally log` and `gridtally witness`, against a directory and a URL.

mod support;

use std::fs;
use std::path::Path;

use clap::Parser;
use gridtally_log::cli::{LogArgs, WitnessArgs, run_log, run_witness};
use gridtally_log::files::LogWriter;
use gridtally_log::note::{SignedCheckpoint, VerifierKey};
use support::{leaf, leaves, log_key, log_of, log_signer, serve};
use tempfile::tempdir;

#[derive(Parser)]
enum Typed {
    Log(Box<LogArgs>),
    Witness(WitnessArgs),
}

/// What is printed, or why it was not done.
fn typed(line: &[&str]) -> Result<String, String> {
    let words = ["gridtally"].iter().chain(line);
    let mut out = Vec::new();
    match Typed::try_parse_from(words).map_err(|error| error.to_string())? {
        Typed::Log(args) => run_log(&args, &mut out),
        Typed::Witness(args) => run_witness(&args, &mut out),
    }
    .map_err(|error| error.to_string())?;
    Ok(String::from_utf8(out).unwrap())
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn a_stranger_becomes_a_witness_and_another_checks_log_cosignature_and_a_record() {
    let (place, home, aside) = (tempdir().unwrap(), tempdir().unwrap(), tempdir().unwrap());
    let mut writer = log_of(place.path(), 'a', &[300]);
    let (url, key) = (serve(place.path()), log_key().to_string());
    let home = text(home.path());
    let witness = typed(&["witness", "init", home, "--name", "witness.example/w1"]).unwrap();
    let witness = witness.trim_end();
    assert!(typed(&["witness", "init", home, "--name", "other.example"]).is_err());
    assert_eq!(typed(&["witness", "show", home]).unwrap(), format!("{witness}\n"));

    let line = typed(&["witness", "cosign", home, &url, "--origin-key", &key, "--line"]).unwrap();
    assert!(
        line.starts_with("\u{2014} witness.example/w1 ") && line.ends_with('\n'),
        "{line}"
    );
    let file = aside.path().join("cosigned");
    let said = typed(&[
        "witness",
        "cosign",
        home,
        text(place.path()),
        "--origin-key",
        &key,
        "--output",
        text(&file),
    ])
    .unwrap();
    assert!(
        said.starts_with("Cosigned 300 leaves of operator.example/log"),
        "{said}"
    );
    let cosigned = SignedCheckpoint::parse(&fs::read(&file).unwrap()).unwrap();
    let known: VerifierKey = witness.parse().unwrap();
    assert_eq!(writer.add_cosignatures(&cosigned, &[known]).unwrap(), 1);
    assert!(
        typed(&["witness", "show", home])
            .unwrap()
            .contains("operator.example/log: 300 leaves, root ")
    );

    let proofs = aside.path().join("proofs");
    let mut line = vec![
        "log",
        "verify",
        &url,
        "--origin-key",
        &key,
        "--witness-key",
        witness,
    ];
    let told = typed(&line).unwrap();
    for part in [
        "300 leaves",
        "cosigned by witness.example/w1",
        "statement   50",
        "3 tiles",
    ] {
        assert!(told.contains(part), "{told}");
    }
    line.extend(["--inclusion", "a/5", "--proofs", text(&proofs)]);
    let told = typed(&line).unwrap();
    assert!(
        told.contains("Leaf 10: transaction a/5") && told.contains("Leaf 11: rules a/5"),
        "{told}"
    );
    line.truncate(7);
    line.extend(["--inclusion", "a/150"]);
    assert_eq!(typed(&line).unwrap_err(), "no leaf of the log is named a/150");

    // The log goes on; what was kept of it is still its beginning, and the cosigned state can still be recomputed.
    writer.append(300, &leaves('a', 300..600)).unwrap();
    let kept = text(&file);
    let line = ["log", "verify", &url, "--origin-key", &key, "--since", kept];
    assert!(typed(&line).unwrap().contains("continues the 300 leaves of"));
    let line = [
        "log",
        "verify",
        &url,
        "--origin-key",
        &key,
        "--witness-key",
        witness,
    ];
    assert!(
        typed(&line)
            .unwrap_err()
            .contains("not signed by witness.example/w1")
    );
    let told = typed(&[line.as_slice(), &["--checkpoint", kept]].concat()).unwrap();
    assert!(
        told.contains("300 leaves") && told.contains("cosigned by witness.example/w1"),
        "{told}"
    );
    let forked = tempdir().unwrap();
    let mut other = LogWriter::create(forked.path(), log_signer()).unwrap();
    other.append(0, &leaves('b', 0..400)).unwrap();
    let forked = [
        "log",
        "verify",
        text(forked.path()),
        "--origin-key",
        &key,
        "--since",
        kept,
    ];
    assert!(typed(&forked).unwrap_err().contains("the log was forked"));

    let (proof, digest) = (
        proofs.join("leaf-11.tlog-proof"),
        leaf('a', 11).digest.to_string(),
    );
    let other = leaf('a', 12).digest.to_string();
    let check = |digest: &str, witness: &str| {
        let leaf = ["--kind", "rules", "--name", "a/5", "--digest", digest];
        let keys = ["--origin-key", &key, "--witness-key", witness];
        typed(&[["log", "check", text(&proof)].as_slice(), &leaf, &keys].concat())
    };
    assert!(
        check(&digest, witness)
            .unwrap()
            .starts_with("rules a/5 is leaf 11 of the 300")
    );
    assert!(
        check(&other, witness)
            .unwrap_err()
            .contains("not shown to be in the log")
    );
    let stranger = support::signer("w", gridtally_log::note::Algorithm::CosignatureV1, 9);
    let refused = check(&digest, &stranger.verifier().to_string()).unwrap_err();
    assert!(refused.contains("not signed by w"), "{refused}");
}

#[test]
fn a_fork_is_told_in_a_sentence_that_names_the_evidence() {
    let (place, other, home) = (tempdir().unwrap(), tempdir().unwrap(), tempdir().unwrap());
    drop(log_of(place.path(), 'a', &[9]));
    let mut writer = LogWriter::create(other.path(), log_signer()).unwrap();
    writer.append(0, &leaves('b', 0..12)).unwrap();
    let (home, key) = (text(home.path()), log_key().to_string());
    typed(&["witness", "init", home, "--name", "w.example"]).unwrap();
    typed(&[
        "witness",
        "cosign",
        home,
        text(place.path()),
        "--origin-key",
        &key,
    ])
    .unwrap();
    let refused = typed(&[
        "witness",
        "cosign",
        home,
        text(other.path()),
        "--origin-key",
        &key,
    ])
    .unwrap_err();
    assert!(
        refused.contains("the log was forked") && refused.contains("are kept in"),
        "{refused}"
    );
    let folder = refused.rsplit("kept in ").next().unwrap();
    assert!(Path::new(folder).join("why").is_file(), "{folder}");
}

#[test]
fn what_is_mistyped_is_answered_with_a_sentence() {
    let key = log_key().to_string();
    for (line, said) in [
        (
            ["log", "verify", "ftp://x", "--origin-key", &key],
            "neither a directory nor",
        ),
        (
            ["log", "verify", "/nowhere", "--origin-key", &key],
            "there is no log in /nowhere",
        ),
        (
            ["log", "verify", "/nowhere", "--origin-key", "x"],
            "NAME+HASH+BASE64",
        ),
        (
            ["witness", "init", "/nowhere", "--name", "a b"],
            "a key's name is",
        ),
        (
            ["witness", "cosign", "/nowhere", "/nowhere", "--origin-key"],
            "a value is required",
        ),
    ] {
        let refused = typed(&line).unwrap_err();
        assert!(refused.contains(said), "{refused}");
    }
}
