//! A witness against logs that fork, shrink, lie and hang, and against its own end at a bad moment.

mod support;

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Mutex, mpsc};
use std::time::{Duration, Instant};

use gridtally_log::files::{Directory, Http, Source as _, SourceError};
use gridtally_log::leaf::Leaf;
use gridtally_log::note::{Algorithm, SignedCheckpoint};
use gridtally_log::witness::{Witness, WitnessError};
use support::{NOW, Reply, copy_tree, leaf, leaves, log_key, log_of, log_signer, serve, serve_with, signer};
use tempfile::{TempDir, tempdir};

/// What a server does, how long one waits for it, and what is said then.
type Misbehaviour = (fn() -> Reply, Duration, &'static str);

/// Longer than anything here takes.
const DEADLINE: Duration = Duration::from_secs(60);

fn new_witness() -> (TempDir, Witness) {
    let home = tempdir().unwrap();
    let witness = Witness::init(home.path(), &"witness.example/w1".parse().unwrap()).unwrap();
    (home, witness)
}

fn sizes(witness: &Witness) -> Vec<u64> {
    let known = witness.known().unwrap();
    known.iter().map(|known| known.checkpoint.head.size).collect()
}

/// The evidence of one refusal: known, shown, why.
fn evidence(home: &Path) -> (Option<String>, String, String) {
    let mut folders = fs::read_dir(home.join("evidence")).unwrap();
    let folder = folders.next().unwrap().unwrap().path();
    assert!(folders.next().is_none());
    let read = |file: &str| fs::read_to_string(folder.join(file));
    (read("known").ok(), read("shown").unwrap(), read("why").unwrap())
}

#[test]
fn a_witness_follows_a_log_over_http_and_remembers_it() {
    let (home, witness) = new_witness();
    let place = tempdir().unwrap();
    let mut writer = log_of(place.path(), 'a', &[]);
    let source = Http::new(&serve(place.path()));
    let mut size = 0;
    for (step, now) in [0, 1, 2, 254, 1, 300, 0, 7].into_iter().zip(NOW..) {
        writer.append(size, &leaves('a', size..size + step)).unwrap();
        let cosigned = witness.cosign(&source, &log_key(), now).unwrap();
        assert_eq!(cosigned.checkpoint.signed_by(witness.verifier()), Ok(now));
        cosigned.checkpoint.trusted(&log_key()).unwrap();
        assert_eq!(cosigned.before.map_or(0, |head| head.size), size);
        size += step;
        assert_eq!(cosigned.checkpoint.checkpoint.head, writer.head());
    }
    drop(witness);
    let witness = Witness::open(home.path()).unwrap();
    assert_eq!(sizes(&witness), [size]);
    assert!(!home.path().join("evidence").exists());
}

#[test]
fn a_log_that_is_taken_back_is_refused_with_both_checkpoints_kept() {
    let (home, witness) = new_witness();
    let (place, old) = (tempdir().unwrap(), tempdir().unwrap());
    drop(log_of(old.path(), 'a', &[20]));
    copy_tree(old.path(), place.path());
    let mut writer = gridtally_log::files::LogWriter::open(place.path(), log_signer()).unwrap();
    writer.append(20, &leaves('a', 20..30)).unwrap();
    let cosigned = witness
        .cosign(&Directory::new(place.path()), &log_key(), NOW)
        .unwrap();
    let refused = witness
        .cosign(&Directory::new(old.path()), &log_key(), NOW)
        .unwrap_err();
    assert!(
        refused.to_string().contains("taken back from 30 leaves to 20"),
        "{refused}"
    );
    assert_eq!(sizes(&witness), [30]);
    let (known, shown, why) = evidence(home.path());
    assert_eq!(known.unwrap(), cosigned.checkpoint.to_string());
    assert_eq!(shown, fs::read_to_string(old.path().join("checkpoint")).unwrap());
    assert!(why.contains("taken back from 30 leaves to 20"), "{why}");
}

#[test]
fn a_fork_at_any_size_is_refused_and_proved() {
    for (known, shown) in [
        (20, 20),
        (20, 30),
        (16, 30),
        (256, 300),
        (255, 600),
        (300, 70_000),
    ] {
        let (home, witness) = new_witness();
        let (one, other) = (tempdir().unwrap(), tempdir().unwrap());
        drop(log_of(one.path(), 'a', &[known]));
        let mut forked: Vec<Leaf> = leaves('a', 0..shown);
        forked[7] = leaf('b', 7);
        let mut writer = gridtally_log::files::LogWriter::create(other.path(), log_signer()).unwrap();
        writer.append(0, &forked).unwrap();
        witness
            .cosign(&Directory::new(one.path()), &log_key(), NOW)
            .unwrap();
        for _ in 0..2 {
            let refused = witness
                .cosign(&Directory::new(other.path()), &log_key(), NOW)
                .unwrap_err();
            assert!(
                refused.to_string().contains("the log was forked"),
                "{known} {shown}: {refused}"
            );
        }
        let (before, after, why) = evidence(home.path());
        for checkpoint in [before.unwrap(), after] {
            let checkpoint = SignedCheckpoint::parse(checkpoint.as_bytes()).unwrap();
            checkpoint.trusted(&log_key()).unwrap();
        }
        assert!(why.contains("The log has signed both"), "{why}");
        assert_eq!(sizes(&witness), [known]);
    }
}

#[test]
fn a_fork_that_hides_behind_the_tiles_of_the_old_tree_is_not_cosigned_either() {
    let (home, witness) = new_witness();
    let (place, other) = (tempdir().unwrap(), tempdir().unwrap());
    let mut writer = log_of(place.path(), 'a', &[20]);
    witness
        .cosign(&Directory::new(place.path()), &log_key(), NOW)
        .unwrap();
    writer.append(20, &leaves('a', 20..40)).unwrap();
    drop(log_of(other.path(), 'b', &[40]));
    fs::copy(other.path().join("checkpoint"), place.path().join("checkpoint")).unwrap();
    let refused = witness
        .cosign(&Directory::new(place.path()), &log_key(), NOW)
        .unwrap_err();
    assert!(
        refused.to_string().contains("do not lead to the root"),
        "{refused}"
    );
    assert_eq!(sizes(&witness), [20]);
    assert!(evidence(home.path()).2.contains("the log cannot show it"));
}

#[test]
fn wrong_missing_and_malformed_tiles_are_told_apart_and_nothing_is_cosigned() {
    let (home, witness) = new_witness();
    let place = tempdir().unwrap();
    let mut writer = log_of(place.path(), 'a', &[300]);
    let source = Directory::new(place.path());
    witness.cosign(&source, &log_key(), NOW).unwrap();
    writer.append(300, &leaves('a', 300..310)).unwrap();
    let tile = place.path().join("tile/0/001.p/54");
    let right = fs::read(&tile).unwrap();
    let refused = |bytes: Option<Vec<u8>>| {
        match bytes {
            Some(bytes) => fs::write(&tile, bytes).unwrap(),
            None => fs::remove_file(&tile).unwrap(),
        }
        let refused = witness.cosign(&source, &log_key(), NOW).unwrap_err();
        assert_eq!(sizes(&witness), [300]);
        refused.to_string()
    };
    let mut wrong = right.clone();
    wrong[53 * 32] ^= 1;
    assert!(refused(Some(wrong)).contains("do not lead to the root"));
    assert!(home.path().join("evidence").exists());
    assert!(refused(Some(right[..right.len() - 1].to_vec())).contains("malformed"));
    assert!(refused(Some([right.as_slice(), b"x"].concat())).contains("has more than"));
    assert!(refused(None).contains("lacks the tile tile/0/001.p/54"));
    fs::write(&tile, right).unwrap();
    witness.cosign(&source, &log_key(), NOW).unwrap();
    assert_eq!(sizes(&witness), [310]);
}

#[test]
fn a_first_look_also_wants_the_tiles_of_the_checkpoint() {
    let (_home, witness) = new_witness();
    let (place, other) = (tempdir().unwrap(), tempdir().unwrap());
    drop(log_of(place.path(), 'a', &[20]));
    drop(log_of(other.path(), 'b', &[20]));
    fs::copy(other.path().join("checkpoint"), place.path().join("checkpoint")).unwrap();
    let refused = witness
        .cosign(&Directory::new(place.path()), &log_key(), NOW)
        .unwrap_err();
    assert!(
        refused.to_string().contains("do not lead to the root"),
        "{refused}"
    );
    assert!(witness.known().unwrap().is_empty());
}

#[test]
fn a_checkpoint_of_another_key_or_origin_is_not_cosigned() {
    let (_home, witness) = new_witness();
    let place = tempdir().unwrap();
    drop(log_of(place.path(), 'a', &[20]));
    let source = Directory::new(place.path());
    for (name, algorithm, secret, said) in [
        (support::ORIGIN, Algorithm::Ed25519, 2, "is not signed by"),
        (support::ORIGIN, Algorithm::CosignatureV1, 1, "is not signed by"),
        ("other.example", Algorithm::Ed25519, 1, "not of other.example"),
    ] {
        let key = signer(name, algorithm, secret);
        let refused = witness.cosign(&source, key.verifier(), NOW).unwrap_err();
        assert!(refused.to_string().contains(said), "{refused}");
    }
    fs::write(place.path().join("checkpoint"), "operator.example/log\n20\n").unwrap();
    let refused = witness.cosign(&source, &log_key(), NOW).unwrap_err();
    assert!(refused.to_string().contains("malformed"), "{refused}");
    assert!(witness.known().unwrap().is_empty());
}

#[test]
fn what_a_log_repeats_and_pads_does_not_make_the_memory_unreadable() {
    let (_home, witness) = new_witness();
    let place = tempdir().unwrap();
    drop(log_of(place.path(), 'a', &[20]));
    let source = Directory::new(place.path());
    let file = place.path().join("checkpoint");
    let plain = fs::read_to_string(&file).unwrap();
    let text =
        plain.split_once("\n\n").unwrap().0.to_owned() + "\n" + &format!("{}\n", "x".repeat(1024)).repeat(16);
    let line = log_signer().sign(&text, 0);
    fs::write(&file, format!("{text}\n{}", format!("{line}\n").repeat(64))).unwrap();
    for now in NOW..NOW + 3 {
        let cosigned = witness.cosign(&source, &log_key(), now).unwrap();
        assert_eq!(cosigned.checkpoint.note().signatures.len(), 2);
    }
    assert_eq!(sizes(&witness), [20]);
}

#[test]
fn a_damaged_memory_is_not_taken_for_a_first_look() {
    let (home, witness) = new_witness();
    let place = tempdir().unwrap();
    drop(log_of(place.path(), 'a', &[20]));
    let source = Directory::new(place.path());
    witness.cosign(&source, &log_key(), NOW).unwrap();
    let file = fs::read_dir(home.path().join("logs")).unwrap().next().unwrap();
    let file = file.unwrap().path();
    let good = fs::read_to_string(&file).unwrap();
    for damaged in ["", &good.replace("\n20\n", "\n10\n"), &good[..good.len() - 40]] {
        fs::write(&file, damaged).unwrap();
        let refused = witness.cosign(&source, &log_key(), NOW).unwrap_err();
        assert!(matches!(refused, WitnessError::Memory { .. }), "{refused}");
    }
}

#[test]
fn the_key_is_made_once_and_for_its_owner_only() {
    let (home, witness) = new_witness();
    let file = home.path().join("key");
    let key = witness.verifier().clone();
    assert_eq!(fs::metadata(&file).unwrap().mode() & 0o777, 0o600);
    let again = Witness::init(home.path(), &"witness.example/w2".parse().unwrap()).unwrap_err();
    assert!(matches!(again, WitnessError::Exists(_)), "{again}");
    let busy = Witness::open(home.path()).unwrap_err();
    assert!(busy.to_string().contains("another process"), "{busy}");
    drop(witness);
    assert_eq!(Witness::open(home.path()).unwrap().verifier(), &key);
    fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
    let exposed = Witness::open(home.path()).unwrap_err();
    assert!(exposed.to_string().contains("chmod 600"), "{exposed}");
}

#[test]
fn a_server_that_hangs_drips_or_never_ends_is_given_up() {
    let (_home, witness) = new_witness();
    // Long enough for a busy machine where the answer comes, short where none does.
    let (short, long) = (Duration::from_millis(300), DEADLINE / 2);
    let begun = Instant::now();
    let misbehaviours: [Misbehaviour; 5] = [
        (|| Reply::Silence, short, "cannot be read"),
        (|| Reply::Drip, short, "cannot be read"),
        (|| Reply::Endless, long, "has more than"),
        (|| Reply::EndlessHeader, long, "cannot be read"),
        (|| Reply::Status(302), long, "status 302"),
    ];
    for (reply, patience, said) in misbehaviours {
        let url = serve_with(move |_| reply());
        let source = Http::with_timeout(&url, patience);
        let refused = witness.cosign(&source, &log_key(), NOW).unwrap_err();
        assert!(refused.to_string().contains(said), "{refused}");
    }
    assert!(begun.elapsed() < long);
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let gone = Http::new(&format!("http://{nobody}"))
        .fetch("checkpoint", 10)
        .unwrap_err();
    assert!(matches!(gone, SourceError::Unreadable { .. }), "{gone}");
}

/// The witness in a process of its own, which a test kills.
#[test]
#[ignore = "runs only as the child of the test below it"]
fn child() {
    let variable = |name: &str| std::env::var(name).unwrap();
    let witness = Witness::open(Path::new(&variable("GRIDTALLY_WITNESS"))).unwrap();
    let source = Http::new(&variable("GRIDTALLY_LOG"));
    let cosigned = witness.cosign(&source, &log_key(), NOW).unwrap();
    println!("{}", cosigned.line);
}

#[test]
fn a_witness_killed_between_fetch_and_write_has_cosigned_nothing_and_goes_on() {
    let (home, witness) = new_witness();
    let place = tempdir().unwrap();
    let mut writer = log_of(place.path(), 'a', &[300]);
    let source = Directory::new(place.path());
    let before = witness.cosign(&source, &log_key(), NOW).unwrap();
    writer.append(300, &leaves('a', 300..310)).unwrap();
    drop(witness);

    let (asked, requests) = mpsc::channel();
    let asked = Mutex::new(asked);
    let directory = place.path().to_owned();
    let url = serve_with(move |path| {
        if path.starts_with("tile/0/001") {
            let _ = asked.lock().unwrap().send(());
            return Reply::Silence;
        }
        Reply::Bytes(fs::read(directory.join(path)).unwrap())
    });
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child", "--ignored", "--nocapture"])
        .env("GRIDTALLY_WITNESS", home.path())
        .env("GRIDTALLY_LOG", url)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    requests
        .recv_timeout(DEADLINE)
        .expect("the child asks for the last tile");
    child.kill().unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(!String::from_utf8_lossy(&output.stdout).contains('\u{2014}'));
    // Half a file of the memory, as if it had been killed a moment later.
    fs::write(home.path().join(".incoming"), "operator.example/log\n31").unwrap();

    let witness = Witness::open(home.path()).unwrap();
    assert_eq!(witness.known().unwrap(), [before.checkpoint]);
    let after = witness.cosign(&source, &log_key(), NOW + 1).unwrap();
    assert_eq!(after.before.unwrap().size, 300);
    // Killed after it had remembered, and before it had told anybody: it says the same once more.
    let again = witness.cosign(&source, &log_key(), NOW + 2).unwrap();
    assert_eq!(again.checkpoint.checkpoint, after.checkpoint.checkpoint);
}
