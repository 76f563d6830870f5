//! Logs, checkpoints, cosignatures and proofs against an implementation in Python that shares no code with this one
//! (`tests/log/independent.py`). Without Python and its packages these tests fail: `./test` installs both.

mod support;

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use gridtally_log::files::{Directory, LogReader, LogWriter};
use gridtally_log::merkle::{check_consistency, check_inclusion};
use gridtally_log::note::{Algorithm, SignedCheckpoint, VerifierKey};
use gridtally_log::proof::InclusionProof;
use gridtally_log::witness::Witness;
use gridtally_protocol::identity::Digest;
use support::{NOW, files_below, leaf, leaves, log_key, log_of, log_signer, signer};
use tempfile::tempdir;

fn python(arguments: &[&str]) -> Output {
    let python = std::env::var_os("GRIDTALLY_PYTHON").unwrap_or_else(|| "python3".into());
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/log/independent.py");
    Command::new(&python)
        .arg(script)
        .args(arguments)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .output()
        .unwrap_or_else(|error| panic!("{} does not start ({error}); ./test makes it", python.display()))
}

/// What the other implementation prints, which must agree.
fn agreed(arguments: &[&str]) -> String {
    let output = python(arguments);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}\n(./test installs the packages)");
    String::from_utf8(output.stdout).unwrap()
}

/// What the other implementation finds wrong.
fn refused(arguments: &[&str]) -> String {
    let output = python(arguments);
    assert_eq!(
        output.status.code(),
        Some(1),
        "{}",
        String::from_utf8_lossy(&output.stdout)
    );
    String::from_utf8(output.stderr).unwrap()
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// A log of 700 leaves that a witness has cosigned at 300 and at the end.
struct Cosigned {
    place: tempfile::TempDir,
    witness: VerifierKey,
    old: String,
}

fn cosigned() -> Cosigned {
    let (place, home) = (tempdir().unwrap(), tempdir().unwrap());
    let mut writer = log_of(place.path(), 'a', &[3, 300]);
    let witness = Witness::init(&home.path().join("w"), &"witness.example/w1".parse().unwrap()).unwrap();
    let source = Directory::new(place.path());
    let old = witness.cosign(&source, &log_key(), NOW).unwrap();
    writer.append(300, &leaves('a', 300..700)).unwrap();
    let new = witness.cosign(&source, &log_key(), NOW + 60).unwrap();
    let keys = [witness.verifier().clone()];
    assert_eq!(writer.add_cosignatures(&new.checkpoint, &keys).unwrap(), 1);
    let reopened = LogWriter::open(place.path(), {
        drop(writer);
        log_signer()
    });
    assert_eq!(reopened.unwrap().checkpoint().signed_by(&keys[0]), Ok(NOW + 60));
    Cosigned {
        place,
        witness: keys[0].clone(),
        old: old.checkpoint.to_string(),
    }
}

#[test]
fn another_program_recomputes_our_log_with_its_checkpoint_cosignature_and_proofs() {
    let Cosigned { place, witness, old } = cosigned();
    let aside = tempdir().unwrap();
    let old_file = aside.path().join("old");
    fs::write(&old_file, old).unwrap();
    let reader = LogReader::open(Directory::new(place.path()), &log_key()).unwrap();
    let proofs: Vec<String> = [0, 255, 256, 511, 512, 699]
        .map(|index| {
            let file = aside.path().join(format!("{index}.tlog-proof"));
            fs::write(&file, reader.prove_inclusion(index).unwrap().to_string()).unwrap();
            text(&file).to_owned()
        })
        .to_vec();
    let (log, witness) = (log_key().to_string(), witness.to_string());
    let mut arguments = vec!["check", text(place.path()), &log, &witness, text(&old_file)];
    arguments.extend(proofs.iter().map(String::as_str));
    assert_eq!(
        agreed(&arguments),
        "700 entries, 4 tiles, 6 proofs, continues 300\n"
    );

    // And it finds what is wrong: a key, a hash, an entry, a proof.
    let stranger = signer("witness.example/w1", Algorithm::CosignatureV1, 7);
    let stranger = stranger.verifier().to_string();
    let said = refused(&["check", text(place.path()), &log, &stranger, text(&old_file)]);
    assert!(said.contains("has not signed"), "{said}");
    let proof = fs::read_to_string(&proofs[1])
        .unwrap()
        .replace("index 255", "index 254");
    fs::write(&proofs[1], proof).unwrap();
    assert!(refused(&arguments).contains("leads to another root"));
    for (file, finding) in [
        ("tile/0/001", "other hashes"),
        ("tile/entries/002.p/188", "other hashes"),
    ] {
        let file = place.path().join(file);
        let mut bytes = fs::read(&file).unwrap();
        bytes[100] ^= 1;
        fs::write(&file, &bytes).unwrap();
        assert!(refused(&arguments).contains(finding));
        bytes[100] ^= 1;
        fs::write(&file, &bytes).unwrap();
    }
}

#[test]
fn another_program_writes_a_log_that_we_read_and_continue_with_the_same_bytes() {
    let (theirs, ours, aside) = (tempdir().unwrap(), tempdir().unwrap(), tempdir().unwrap());
    let entries: Vec<String> = (0..700).map(|number| leaf('a', number).to_string()).collect();
    let file = aside.path().join("entries");
    fs::write(&file, entries.join("\n")).unwrap();
    let secret = "01".repeat(32);
    let key = agreed(&[
        "write",
        text(theirs.path()),
        support::ORIGIN,
        &secret,
        "700",
        text(&file),
    ]);
    assert_eq!(key.trim_end(), log_key().to_string());
    drop(log_of(ours.path(), 'a', &[700]));
    let contents = |root: &Path| -> Vec<(String, Vec<u8>)> {
        let inside = |file: &Path| file.strip_prefix(root).unwrap().display().to_string();
        let files = files_below(root).into_iter();
        files
            .map(|file| (inside(&file), fs::read(&file).unwrap()))
            .filter(|(name, _)| !name.starts_with('.'))
            .collect()
    };
    assert_eq!(contents(theirs.path()), contents(ours.path()));
    let mut writer = LogWriter::open(theirs.path(), log_signer()).unwrap();
    writer.append(700, &leaves('a', 700..1000)).unwrap();
    let reader = LogReader::open(Directory::new(theirs.path()), &log_key()).unwrap();
    reader.check_all(|_, _| {}).unwrap();
}

#[test]
fn the_proofs_of_another_program_are_ours_and_hold() {
    let place = tempdir().unwrap();
    let writer = log_of(place.path(), 'a', &[700]);
    let reader = LogReader::open(Directory::new(place.path()), &log_key()).unwrap();
    let head = writer.head();
    for (old, index) in [
        (1, 0),
        (2, 1),
        (255, 255),
        (256, 256),
        (257, 511),
        (511, 512),
        (699, 699),
    ] {
        let (old_text, index_text) = (old.to_string(), index.to_string());
        let printed = agreed(&["prove", text(place.path()), "700", &old_text, &index_text]);
        let mut lines = printed.lines().map(|line| {
            let hashes = line.split_whitespace();
            hashes
                .map(|hash| hash.parse::<Digest>().unwrap())
                .collect::<Vec<_>>()
        });
        let (consistent, included) = (lines.next().unwrap(), lines.next().unwrap());
        assert_eq!(reader.prove_consistency(old).unwrap(), consistent);
        let InclusionProof { path, .. } = reader.prove_inclusion(index).unwrap();
        assert_eq!(path, included);
        check_inclusion(index, 700, leaf('a', index).hash(), &included, head.root).unwrap();
        let part = tempdir().unwrap();
        let older = log_of(part.path(), 'a', &[old]).head();
        check_consistency(old, 700, older.root, head.root, &consistent).unwrap();
    }
}

#[test]
fn a_cosignature_of_another_program_is_taken_below_the_checkpoint() {
    let place = tempdir().unwrap();
    let mut writer = log_of(place.path(), 'a', &[9]);
    let checkpoint = place.path().join("checkpoint");
    let secret = "05".repeat(32);
    let printed = agreed(&["cosign", text(&checkpoint), "w.example", &secret, "1800000007"]);
    let (key, line) = printed.split_once('\n').unwrap();
    let key: VerifierKey = key.parse().unwrap();
    assert_eq!(&key, signer("w.example", Algorithm::CosignatureV1, 5).verifier());
    let copy = format!("{}{line}", fs::read_to_string(&checkpoint).unwrap());
    let copy = SignedCheckpoint::parse(copy.as_bytes()).unwrap();
    assert_eq!(
        writer
            .add_cosignatures(&copy, std::slice::from_ref(&key))
            .unwrap(),
        1
    );
    assert_eq!(fs::read_to_string(&checkpoint).unwrap(), copy.to_string());
    assert_eq!(writer.checkpoint().signed_by(&key), Ok(1_800_000_007));
}
