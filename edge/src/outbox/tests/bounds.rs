//! What is kept, what goes, what comes again, and a disk that takes nothing.

use gridtally_protocol::resend::ResendRequest;
use proptest::prelude::*;

use super::*;
use crate::outbox::keep::{DropReason, Dropped, Keep};

/// Seals one report for each of the numbered hours.
fn fill(outbox: &mut Outbox, hours: std::ops::Range<i64>) {
    for n in hours {
        keep(outbox, &[ended(n * 3_600, &[(1, Ok(n))])]);
        assert!(seal(outbox, n * 3_600 + 300));
    }
}

fn sequences(outbox: &Outbox) -> Vec<u64> {
    reports(outbox).iter().map(|r| r.message.sequence).collect()
}

fn deliver(outbox: &mut Outbox, count: usize, now: i64) {
    let entries: Vec<_> = reports(outbox)
        .iter()
        .take(count)
        .map(|r| (r.digest, Ok(())))
        .collect();
    outbox.receipt(&entries, at(now)).unwrap();
}

fn request(issued_at: i64, sequences: &[u64]) -> ResendRequest {
    ResendRequest::of(key(1).identity(), at(issued_at), sequences.iter().copied()).unwrap()
}

fn tidy(outbox: &mut Outbox, bytes: u64, now: i64) -> u64 {
    let keep = Keep { days: 30, bytes };
    outbox.tidy(keep, at(now), ClockState::Synchronised).unwrap()
}

/// Leaves the file no page more than it has.
fn fill_the_disk(outbox: &Outbox) {
    let pages: i64 = outbox
        .connection
        .query_row("PRAGMA page_count", [], |row| row.get(0))
        .unwrap();
    outbox
        .connection
        .query_row(&format!("PRAGMA max_page_count = {pages}"), [], |_| Ok(()))
        .unwrap();
}

fn empty_the_disk(outbox: &Outbox) {
    outbox
        .connection
        .query_row("PRAGMA max_page_count = 1000000", [], |_| Ok(()))
        .unwrap();
}

#[test]
fn delivered_reports_stay_for_a_week_and_are_no_loss_when_they_go() {
    let directory = tempfile::tempdir().unwrap();
    let mut outbox = open(&directory);
    fill(&mut outbox, 0..3);
    deliver(&mut outbox, 2, 20_000);
    let status = outbox.status().unwrap();
    assert_eq!((status.waiting, status.delivered, outbox.depth()), (1, 2, 1));
    assert_eq!(status.oldest, Some(at(7_500)));
    assert_eq!(tidy(&mut outbox, u64::MAX, 20_000 + 7 * 86_400), 0);
    assert_eq!(outbox.status().unwrap().delivered, 2);
    assert_eq!(tidy(&mut outbox, u64::MAX, 20_001 + 7 * 86_400), 0);
    let status = outbox.status().unwrap();
    assert_eq!((status.delivered, status.dropped), (0, vec![]));
}

#[test]
fn where_space_is_short_delivered_ones_go_first_then_the_oldest_reports_and_acknowledgements_last() {
    let directory = tempfile::tempdir().unwrap();
    let mut outbox = Outbox::open(directory.path(), key(1), false).unwrap();
    let empty = outbox.status().unwrap().file_bytes;
    outbox.admit(&instruction(1), opted_in(900), at(10)).unwrap();
    fill(&mut outbox, 0..300);
    deliver_reports(&mut outbox, 100);
    let full = outbox.status().unwrap();
    assert_eq!((full.waiting, full.delivered), (202, 100));

    // Room for all that waits: only delivered ones go.
    assert_eq!(tidy(&mut outbox, full.file_bytes - 8_192, 800_000), 0);
    let status = outbox.status().unwrap();
    assert!(status.delivered < 100, "{status:?}");
    assert_eq!((status.waiting, status.dropped), (202, vec![]));

    // Room for about half of it: the oldest go, and are recorded.
    let half = empty.midpoint(full.file_bytes);
    let lost = tidy(&mut outbox, half, 800_000);
    let status = outbox.status().unwrap();
    assert!(
        status.file_bytes <= half && (1..200).contains(&lost),
        "{lost} {status:?}"
    );
    let first_kept = 101 + lost;
    let kept: Vec<u64> = outbox
        .outgoing_after(0, 1_000)
        .unwrap()
        .iter()
        .filter(|m| m.kind == Kind::Report)
        .map(|m| Report::open(&m.envelope).unwrap().message.sequence)
        .collect();
    assert_eq!(kept, (first_kept..=300).collect::<Vec<_>>());
    let record = |count, last| Dropped {
        kind: Kind::Report,
        reason: DropReason::Size,
        count,
        sequences: Some((101, last)),
        at: (at(800_000), at(800_000)),
    };
    assert_eq!(status.dropped, [record(lost, first_kept - 1)]);

    // No room at all: the acknowledgement goes, too, after every report; the record outlives a restart.
    tidy(&mut outbox, 0, 900_000);
    drop(outbox);
    let status = open(&directory).status().unwrap();
    let counts: Vec<_> = status.dropped.iter().map(|d| (d.kind, d.count)).collect();
    assert_eq!(counts, [(Kind::Report, 200), (Kind::Acknowledgement, 2)]);
    assert_eq!(status.dropped[0].sequences, Some((101, 300)));
    assert_eq!(status.dropped[0].at, (at(800_000), at(900_000)));
    assert_eq!(status.waiting, 0);
}

fn deliver_reports(outbox: &mut Outbox, count: usize) {
    let entries: Vec<_> = outbox
        .outgoing_after(0, 1_000)
        .unwrap()
        .iter()
        .filter(|m| m.kind == Kind::Report)
        .take(count)
        .map(|m| (Digest::of(&m.envelope), Ok(())))
        .collect();
    outbox.receipt(&entries, at(0)).unwrap();
}

#[test]
fn what_the_engine_asks_for_again_waits_again_and_the_rest_is_counted_as_gone() {
    let directory = tempfile::tempdir().unwrap();
    let mut outbox = open(&directory);
    fill(&mut outbox, 0..5);
    deliver(&mut outbox, 4, 20_000);
    let before = outbox.status().unwrap();
    let again = outbox.ask_again(&request(30_000, &[2, 4, 5, 9])).unwrap();
    assert_eq!((again.ids.len(), again.gone, again.postponed), (3, 1, 0));
    assert_eq!((sequences(&outbox), outbox.depth()), (vec![2, 4, 5], 3));
    drop(outbox);

    let mut outbox = open(&directory);
    assert_eq!(
        (outbox.depth(), outbox.last_asked().unwrap()),
        (3, Some(at(30_000)))
    );
    deliver(&mut outbox, 2, 40_000);
    let after = outbox.status().unwrap();
    assert_eq!(
        (after.waiting, after.delivered),
        (before.waiting, before.delivered)
    );
    // The first receipt is the one that counts for how long they are kept.
    tidy(&mut outbox, u64::MAX, 20_001 + 7 * 86_400);
    assert_eq!(outbox.status().unwrap().delivered, 0);
}

#[test]
fn a_request_makes_a_bounded_number_of_reports_due_again() {
    let directory = tempfile::tempdir().unwrap();
    let mut outbox = Outbox::open(directory.path(), key(1), false).unwrap();
    fill(&mut outbox, 0..300);
    let all: Vec<_> = reports(&outbox).iter().map(|r| (r.digest, Ok(()))).collect();
    outbox.receipt(&all, at(0)).unwrap();
    let wanted: Vec<u64> = (1..=300).collect();
    let first = outbox.ask_again(&request(0, &wanted)).unwrap();
    assert_eq!((first.ids.len(), first.postponed), (AGAIN_MAX, 44));
    let again = outbox.ask_again(&request(1, &wanted)).unwrap();
    assert_eq!((again.ids, again.postponed), (first.ids, 44));
    assert_eq!(outbox.depth(), u64::try_from(AGAIN_MAX).unwrap());
}

#[test]
fn a_full_disk_loses_nothing_and_ends_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let mut outbox = open(&directory);
    fill(&mut outbox, 0..20);
    fill_the_disk(&outbox);
    let mut kept_in_memory = 0;
    for n in 20..200 {
        keep(&mut outbox, &[ended(n * 3_600, &[(1, Ok(n))])]);
        kept_in_memory = outbox.status().unwrap().unkept_intervals;
        seal(&mut outbox, n * 3_600 + 300);
        tidy(&mut outbox, u64::MAX, n * 3_600 + 300);
    }
    let status = outbox.status().unwrap();
    assert!(kept_in_memory > 0, "the disk was never full");
    let trouble = status.trouble.unwrap();
    assert!(trouble.contains("full"), "{trouble}");

    empty_the_disk(&outbox);
    keep(&mut outbox, &[ended(200 * 3_600, &[(1, Ok(200))])]);
    while seal(&mut outbox, 201 * 3_600) {}
    let status = outbox.status().unwrap();
    assert_eq!((status.trouble, status.unkept_intervals), (None, 0));
    let counted: Vec<i64> = reports(&outbox)
        .iter()
        .flat_map(|r| {
            r.message
                .readings()
                .map(|r| r.value.unwrap().get())
                .collect::<Vec<_>>()
        })
        .collect();
    assert_eq!(
        counted,
        (0..=200).collect::<Vec<_>>(),
        "every interval once, in order"
    );
    assert_eq!(sequences(&outbox), (1..=counted.len() as u64).collect::<Vec<_>>());
}

#[test]
fn memory_is_bounded_while_the_disk_is_full() {
    let directory = tempfile::tempdir().unwrap();
    let mut outbox = open(&directory);
    fill(&mut outbox, 0..1);
    fill_the_disk(&outbox);
    for n in 1..2_000 {
        keep(
            &mut outbox,
            &[ended(
                n * 300 + 7_200,
                &[(1, Ok(n)), (2, Err(Missing::Unreachable))],
            )],
        );
    }
    assert!(outbox.status().unwrap().unkept_intervals <= UNKEPT_MAX);
}

#[test]
fn a_restored_disk_leaps_over_the_numbers_that_were_used() {
    let directory = tempfile::tempdir().unwrap();
    let mut outbox = open(&directory);
    fill(&mut outbox, 0..2);
    let digests: Vec<_> = reports(&outbox).iter().map(|r| r.digest).collect();
    outbox
        .receipt(
            &[
                (digests[0], Err(Refusal::TooLate)),
                (digests[1], Err(Refusal::Equivocation)),
            ],
            at(9_000),
        )
        .unwrap();
    // The same verdict again changes nothing more.
    outbox
        .receipt(&[(digests[1], Err(Refusal::Equivocation))], at(9_000))
        .unwrap();
    fill(&mut outbox, 5..6);
    let next = &reports(&outbox)[0].message;
    assert_eq!((next.sequence, next.previous), (3 + (1 << 20), digests[1]));
}

/// The layout of the first version, as it was shipped.
const FIRST: &str = "
CREATE TABLE chain (one INTEGER PRIMARY KEY CHECK (one = 1), gateway TEXT NOT NULL, sequence INTEGER NOT NULL CHECK (sequence >= 0), digest BLOB NOT NULL CHECK (length(digest) = 32)) STRICT;
CREATE TABLE meters (one INTEGER PRIMARY KEY CHECK (one = 1), boundary INTEGER NOT NULL, state TEXT NOT NULL) STRICT;
CREATE TABLE interval (start INTEGER PRIMARY KEY, length INTEGER NOT NULL, samples TEXT NOT NULL) STRICT;
CREATE TABLE message (id INTEGER PRIMARY KEY AUTOINCREMENT, kind TEXT NOT NULL CHECK (kind IN ('report', 'ack')), digest BLOB NOT NULL UNIQUE CHECK (length(digest) = 32), envelope BLOB NOT NULL, sealed_at INTEGER NOT NULL) STRICT;
CREATE TABLE refused (id INTEGER PRIMARY KEY AUTOINCREMENT, kind TEXT NOT NULL, digest BLOB NOT NULL UNIQUE, envelope BLOB NOT NULL, reason TEXT NOT NULL, refused_at INTEGER NOT NULL) STRICT;
CREATE TABLE instruction (digest BLOB PRIMARY KEY CHECK (length(digest) = 32), sequence INTEGER NOT NULL UNIQUE, event TEXT NOT NULL, starts_at INTEGER NOT NULL, ends_at INTEGER NOT NULL, expires_at INTEGER NOT NULL, power INTEGER, progress TEXT NOT NULL CHECK (progress IN ('waiting', 'begun', 'written', 'held', 'stopped', 'done'))) STRICT;
CREATE TABLE owner_setting (one INTEGER PRIMARY KEY CHECK (one = 1), setting TEXT NOT NULL, saved_at INTEGER NOT NULL) STRICT;
PRAGMA user_version = 1;
";

#[test]
fn the_state_of_the_first_version_is_taken_over() {
    let source = tempfile::tempdir().unwrap();
    let mut outbox = open(&source);
    fill(&mut outbox, 0..3);
    let (chain, messages) = (outbox.chain().unwrap(), outbox.outgoing_after(0, 10).unwrap());
    drop(outbox);

    let directory = tempfile::tempdir().unwrap();
    let old = Connection::open(directory.path().join(FILE)).unwrap();
    old.execute_batch(FIRST).unwrap();
    old.execute(
        "INSERT INTO chain (one, gateway, sequence, digest) VALUES (1, ?1, ?2, ?3)",
        params![key(1).identity().to_string(), 3, chain.1.as_bytes()],
    )
    .unwrap();
    for message in &messages {
        old.execute(
            "INSERT INTO message (kind, digest, envelope, sealed_at) VALUES ('report', ?1, ?2, 0)",
            params![Digest::of(&message.envelope).as_bytes(), message.envelope],
        )
        .unwrap();
    }
    drop(old);

    let mut outbox = open(&directory);
    assert_eq!((outbox.depth(), outbox.chain().unwrap()), (3, chain));
    deliver(&mut outbox, 3, 0);
    let again = outbox.ask_again(&request(0, &[2])).unwrap();
    assert_eq!((again.ids, sequences(&outbox)), (vec![2], vec![2]));
}

/// What may happen to an outbox.
#[derive(Debug, Clone)]
enum Happening {
    Report,
    Deliver(usize),
    Refuse,
    AskAgain(u64),
    Tidy(u64),
    Restart,
}

fn happening() -> impl Strategy<Value = Happening> {
    prop_oneof![
        6 => Just(Happening::Report),
        3 => (1_usize..6).prop_map(Happening::Deliver),
        1 => Just(Happening::Refuse),
        2 => (1_u64..40).prop_map(Happening::AskAgain),
        1 => (40_000_u64..80_000).prop_map(Happening::Tidy),
        1 => Just(Happening::Restart),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Every report that was signed is waiting, kept after its receipt, refused, dropped of age after its
    /// receipt, or on the record of losses: the numbers go up by one, and the depth is what waits.
    #[test]
    fn no_report_disappears_without_a_record(happenings in prop::collection::vec(happening(), 1..60)) {
        let directory = tempfile::tempdir().unwrap();
        let open = || Outbox::open(directory.path(), key(1), false).unwrap();
        let mut outbox = open();
        let (mut made, mut receipted) = (0_u64, BTreeSet::new());
        for (n, happening) in (0_i64..).zip(happenings) {
            match happening {
                Happening::Report => {
                    fill(&mut outbox, n..n + 1);
                    made += 1;
                }
                Happening::Deliver(count) => {
                    receipted.extend(sequences(&outbox).into_iter().take(count));
                    deliver(&mut outbox, count, n * 3_600);
                }
                Happening::Refuse => {
                    if let Some(report) = reports(&outbox).first() {
                        receipted.insert(report.message.sequence);
                        outbox.receipt(&[(report.digest, Err(Refusal::TooLate))], at(0)).unwrap();
                    }
                }
                Happening::AskAgain(first) => {
                    outbox.ask_again(&request(n, &[first, first + 1, first + 7])).unwrap();
                }
                Happening::Tidy(bytes) => {
                    tidy(&mut outbox, bytes, n * 3_600);
                }
                Happening::Restart => {
                    drop(outbox);
                    outbox = open();
                }
            }
            let status = outbox.status().unwrap();
            prop_assert_eq!(outbox.depth(), status.waiting);
            prop_assert_eq!(outbox.chain().unwrap().0, made);
            let waiting = sequences(&outbox);
            prop_assert!(waiting.windows(2).all(|pair| pair[0] < pair[1]));
            let lost: u64 = status.dropped.iter().map(|d| d.count).sum();
            let undelivered = waiting.iter().filter(|s| !receipted.contains(s)).count() as u64;
            prop_assert!(undelivered + receipted.len() as u64 + lost >= made, "a report is gone");
        }
    }
}
