//! A process that appends is killed at any moment: what it said to be logged is, and the log goes on.

mod support;

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use gridtally_log::files::{Directory, LogReader, LogWriter};
use support::{leaf, leaves, log_key, log_signer};
use tempfile::tempdir;

const DIRECTORY: &str = "GRIDTALLY_LOG_DIRECTORY";
const ROUNDS: u64 = 25;

/// Appends for ever, in steps of many lengths, and prints every size that is durable.
#[test]
#[ignore = "runs only as the child of the test below it"]
fn child() {
    let directory = std::env::var(DIRECTORY).unwrap();
    let mut writer = LogWriter::open(Path::new(&directory), log_signer()).unwrap();
    for step in (1..).map(|n| n * 37 % 300) {
        let size = writer.head().size;
        writer.append(size, &leaves('a', size..size + step)).unwrap();
        println!("durable {}", writer.head().size);
    }
}

#[test]
fn a_writer_killed_at_any_moment_keeps_what_it_said_and_goes_on() {
    let place = tempdir().unwrap();
    drop(LogWriter::create(place.path(), log_signer()).unwrap());
    let mut before = 0;
    for round in 0..ROUNDS {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "child", "--ignored", "--nocapture"])
            .env(DIRECTORY, place.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let durable = |line: std::io::Result<String>| {
            let line = line.ok()?;
            line.strip_prefix("durable ")?.parse::<u64>().ok()
        };
        let first = lines
            .by_ref()
            .find_map(durable)
            .expect("the child appends something");
        // A different moment in every round; nothing depends on which.
        std::thread::sleep(Duration::from_micros(round * 700));
        child.kill().unwrap();
        let said = lines.filter_map(durable).last().unwrap_or(first);
        child.wait().unwrap();

        let reader = LogReader::open(Directory::new(place.path()), &log_key()).unwrap();
        let size = reader.head().size;
        assert!(
            size >= said && said > before,
            "{size} on the disk, {said} said, {before} before"
        );
        reader
            .check_all(|index, found| assert_eq!(*found, leaf('a', index)))
            .unwrap();
        before = size;
    }
    let writer = LogWriter::open(place.path(), log_signer()).unwrap();
    assert_eq!(writer.head().size, before);
}
