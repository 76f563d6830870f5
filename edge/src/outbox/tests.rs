use std::collections::BTreeSet;

use gridtally_protocol::acknowledgement::{Acknowledgement, Declined, Stage};
use gridtally_protocol::channel::{Channel, DeviceNumber, Missing, Quantity};
use gridtally_protocol::instruction::{Instruction, Target};
use gridtally_protocol::message::{Message as _, Signed};
use gridtally_protocol::quantity::{MilliwattHours, Milliwatts};
use gridtally_protocol::refusal::Refusal;
use gridtally_protocol::report::{ClockState, Report};
use tempfile::TempDir;

use super::*;
use crate::control::policy::Decision;
use crate::device::Hand;
use crate::device::controls::{Controls, Ratings, Saved};

const MIDNIGHT: i64 = 1_775_692_800;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_unix(MIDNIGHT + seconds).unwrap()
}

fn key(seed: u8) -> SigningIdentity {
    SigningIdentity::from_secret(&[seed; 32]).unwrap()
}

fn open(directory: &TempDir) -> Outbox {
    Outbox::open(directory.path(), key(1), true).unwrap()
}

fn channel(device: u8) -> Channel {
    Channel {
        device: DeviceNumber(device),
        quantity: Quantity::GridImport,
    }
}

fn ended(start: i64, values: &[(u8, Result<i64, Missing>)]) -> Pending {
    Pending {
        interval: Interval::new(at(start), IntervalLength::FIVE_MINUTES).unwrap(),
        samples: values
            .iter()
            .map(|&(device, value)| Sample {
                channel: channel(device),
                value: value.map(MilliwattHours::new),
            })
            .collect(),
    }
}

fn keep(outbox: &mut Outbox, pending: &[Pending]) {
    let boundary = pending.last().unwrap().interval.end();
    outbox
        .keep_intervals(boundary, &Meters::default(), pending)
        .unwrap();
}

fn seal(outbox: &mut Outbox, now: i64) -> bool {
    outbox
        .seal_report(288, at(now), ClockState::Synchronised)
        .unwrap()
}

fn reports(outbox: &Outbox) -> Vec<Signed<Report>> {
    let outgoing = outbox.outgoing_after(0, 1_000).unwrap();
    outgoing
        .iter()
        .map(|m| Report::open(&m.envelope).unwrap())
        .collect()
}

fn instruction(sequence: u64) -> Signed<Instruction> {
    let instruction = Instruction {
        sequence,
        gateway: key(1).identity(),
        event: "evening".parse().unwrap(),
        issued_at: at(0),
        expires_at: at(900),
        start: at(600),
        end: at(1_200),
        target: Target::SetPoint(Milliwatts::new(1_000)),
        program: Some("evening_flex".parse().unwrap()),
        price: Some("0.85".parse().unwrap()),
    };
    Instruction::open(&instruction.seal(&key(2)).unwrap()).unwrap()
}

fn opted_in(power: i64) -> Decision {
    let power = Milliwatts::new(power);
    Decision::OptedIn {
        target: Target::SetPoint(power),
        power,
    }
}

/// Controls of model 124 with this discharge rate, as their owner has them.
fn setting(out_rate: u16) -> Saved {
    let mut words = vec![0; 26];
    words[0] = 124;
    words[1] = 24;
    words[2] = 5_000;
    words[12] = out_rate;
    Controls::of_model(&words, Ratings::default()).unwrap().saved()
}

#[test]
fn reports_are_chained_and_hold_every_interval_once() {
    let directory = tempfile::tempdir().unwrap();
    let mut outbox = open(&directory);
    keep(&mut outbox, &[ended(0, &[(1, Ok(100))])]);
    keep(&mut outbox, &[ended(300, &[(1, Err(Missing::BadSample))])]);
    assert!(seal(&mut outbox, 600));
    assert!(!seal(&mut outbox, 600), "nothing is sealed twice");
    keep(&mut outbox, &[ended(600, &[(1, Ok(7))])]);
    assert!(seal(&mut outbox, 900));
    assert_eq!(outbox.depth(), 2);

    let reports = reports(&outbox);
    let [first, second] = reports.as_slice() else {
        panic!("two reports")
    };
    assert_eq!(
        (first.message.sequence, first.message.previous),
        (1, Digest::NONE)
    );
    assert_eq!(
        (second.message.sequence, second.message.previous),
        (2, first.digest)
    );
    let values: Vec<_> = first.message.readings().map(|r| r.value).collect();
    assert_eq!(values, [Ok(MilliwattHours::new(100)), Err(Missing::BadSample)]);
    assert_eq!(outbox.chain().unwrap(), (2, second.digest));
}

#[test]
fn everything_is_there_again_after_a_restart_and_the_chain_goes_on() {
    let directory = tempfile::tempdir().unwrap();
    let mut outbox = open(&directory);
    keep(&mut outbox, &[ended(0, &[(1, Ok(1))])]);
    seal(&mut outbox, 300);
    keep(&mut outbox, &[ended(300, &[(1, Ok(2))])]);
    let before = (
        outbox.pending().unwrap(),
        outbox.meters().unwrap(),
        outbox.chain().unwrap(),
    );
    drop(outbox);

    let mut outbox = open(&directory);
    assert_eq!(
        (
            outbox.pending().unwrap(),
            outbox.meters().unwrap(),
            outbox.chain().unwrap()
        ),
        before
    );
    assert_eq!(outbox.depth(), 1);
    seal(&mut outbox, 600);
    let sequences: Vec<_> = reports(&outbox).iter().map(|r| r.message.sequence).collect();
    assert_eq!(sequences, [1, 2]);
}

#[test]
fn a_transaction_that_was_not_committed_leaves_no_trace() {
    let directory = tempfile::tempdir().unwrap();
    let mut outbox = open(&directory);
    keep(&mut outbox, &[ended(0, &[(1, Ok(1))])]);
    // The second of these intervals exists already, so neither is kept.
    let twice = [ended(300, &[(1, Ok(5))]), ended(0, &[(1, Ok(6))])];
    assert!(
        outbox
            .keep_intervals(at(600), &Meters::default(), &twice)
            .is_err()
    );
    assert_eq!(outbox.pending().unwrap(), [ended(0, &[(1, Ok(1))])]);
    assert_eq!(outbox.meters().unwrap().unwrap().0, at(300));
    // A report from the future breaks the report's own rule: the chain and the intervals stay as they are.
    assert!(
        outbox
            .seal_report(288, at(100), ClockState::Synchronised)
            .is_err()
    );
    assert_eq!((outbox.chain().unwrap().0, outbox.depth()), (0, 0));
    assert!(seal(&mut outbox, 300));
}

#[test]
fn a_gap_between_intervals_begins_a_new_report() {
    let directory = tempfile::tempdir().unwrap();
    let mut outbox = open(&directory);
    let intervals = [0, 300, 900].map(|start| ended(start, &[(1, Ok(start))]));
    keep(&mut outbox, &intervals);
    while seal(&mut outbox, 1_200) {}
    let starts: Vec<_> = reports(&outbox)
        .iter()
        .map(|r| (r.message.start, r.message.interval_count()))
        .collect();
    assert_eq!(starts, [(at(0), 2), (at(900), 1)]);
}

#[test]
fn a_channel_that_came_later_has_no_start_before() {
    let directory = tempfile::tempdir().unwrap();
    let mut outbox = open(&directory);
    keep(
        &mut outbox,
        &[ended(0, &[(1, Ok(1))]), ended(300, &[(1, Ok(2)), (2, Ok(3))])],
    );
    seal(&mut outbox, 600);
    let of_two: Vec<_> = reports(&outbox)[0]
        .message
        .readings()
        .filter(|r| r.channel == channel(2))
        .map(|r| r.value)
        .collect();
    assert_eq!(of_two, [Err(Missing::NoStart), Ok(MilliwattHours::new(3))]);
}

#[test]
fn intervals_that_fit_no_report_together_are_shared_out() {
    let directory = tempfile::tempdir().unwrap();
    let mut outbox = open(&directory);
    // Thirty-two channels with values that swing over 64 bits: nine bytes a sample.
    let wild = |n: i64| if n % 2 == 0 { i64::MAX / 2 } else { 1 };
    let intervals: Vec<_> = (0..288)
        .map(|n| {
            let values: Vec<_> = (0..32).map(|device| (device, Ok(wild(n)))).collect();
            ended(n * 300, &values)
        })
        .collect();
    keep(&mut outbox, &intervals);
    while seal(&mut outbox, 86_400) {}
    let starts: BTreeSet<_> = reports(&outbox)
        .iter()
        .flat_map(|r| {
            r.message
                .readings()
                .map(|r| r.interval.start())
                .collect::<Vec<_>>()
        })
        .collect();
    assert_eq!(starts.len(), 288);
    assert!(outbox.depth() > 1);
}

#[test]
fn only_the_digest_on_a_receipt_removes_a_message_and_a_refusal_is_kept_with_its_reason() {
    let directory = tempfile::tempdir().unwrap();
    let mut outbox = open(&directory);
    for n in 0..3 {
        keep(&mut outbox, &[ended(n * 300, &[(1, Ok(n))])]);
        seal(&mut outbox, (n + 1) * 300);
    }
    let digests: Vec<_> = reports(&outbox).iter().map(|r| r.digest).collect();
    let none = outbox
        .receipt(&[(Digest::of(b"another"), Ok(()))], at(900))
        .unwrap();
    assert_eq!((none, outbox.depth()), (Receipted::default(), 3));

    let entries = [(digests[0], Ok(())), (digests[2], Err(Refusal::ChainBroken))];
    let receipted = outbox.receipt(&entries, at(900)).unwrap();
    assert_eq!((receipted.ids.len(), receipted.refused), (2, 1));
    assert_eq!(outbox.receipt(&entries, at(900)).unwrap(), Receipted::default());
    assert_eq!(outbox.depth(), 1);
    assert_eq!(
        outbox.refused().unwrap(),
        [(digests[2], "chain_broken".to_owned())]
    );
    assert_eq!(reports(&outbox)[0].digest, digests[1]);
}

#[test]
fn what_is_not_delivered_in_time_goes_oldest_first_and_the_chain_goes_on() {
    let directory = tempfile::tempdir().unwrap();
    let mut outbox = open(&directory);
    keep(&mut outbox, &[ended(0, &[(1, Ok(1))])]);
    seal(&mut outbox, 300);
    keep(&mut outbox, &[ended(300, &[(1, Ok(1))])]);
    seal(&mut outbox, 600);
    let keep = Keep::new(1, 64);
    assert_eq!(
        outbox.tidy(keep, at(86_700), ClockState::Synchronised).unwrap(),
        0
    );
    assert_eq!(
        outbox.tidy(keep, at(9_999_999), ClockState::FreeRunning).unwrap(),
        0,
        "a clock that nobody has set does not empty the outbox"
    );
    assert_eq!(
        outbox.tidy(keep, at(86_701), ClockState::Synchronised).unwrap(),
        1
    );
    assert_eq!((outbox.depth(), reports(&outbox)[0].message.sequence), (1, 2));
    assert_eq!(outbox.chain().unwrap().0, 2);
}

#[test]
fn another_key_and_another_agent_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    let held = open(&directory);
    drop(held);
    let foreign = Outbox::open(directory.path(), key(9), true).unwrap_err();
    assert!(matches!(foreign, OutboxError::Foreign { .. }), "{foreign}");
}

#[test]
fn an_instruction_and_its_answer_are_one() {
    let directory = tempfile::tempdir().unwrap();
    let mut outbox = open(&directory);
    let taken = instruction(5);
    outbox.admit(&taken, opted_in(900), at(10)).unwrap();
    assert!(outbox.admit(&taken, opted_in(900), at(11)).is_err());
    assert_eq!(outbox.depth(), 2, "received, and opted in");
    assert!(outbox.knows_instruction(taken.digest).unwrap());
    assert_eq!(outbox.last_instruction().unwrap(), Some((5, taken.digest)));
    let [dispatch] = outbox.dispatches().unwrap()[..] else {
        panic!("one dispatch")
    };
    assert_eq!(
        (dispatch.power, dispatch.progress),
        (Milliwatts::new(900), Progress::Waiting)
    );

    let declined = instruction(6);
    outbox
        .admit(&declined, Decision::OptedOut(Declined::OwnerOptOut), at(12))
        .unwrap();
    assert_eq!(outbox.dispatches().unwrap().len(), 1);
    assert_eq!(outbox.last_instruction().unwrap(), Some((6, declined.digest)));
}

#[test]
fn the_first_owner_s_setting_is_the_one_that_is_kept() {
    let directory = tempfile::tempdir().unwrap();
    let mut outbox = open(&directory);
    let (first, second) = (setting(100), setting(50));
    assert_ne!(first, second);
    outbox.keep_owner_setting(Hand::Battery, &first, at(0)).unwrap();
    outbox.keep_owner_setting(Hand::Battery, &second, at(1)).unwrap();
    outbox
        .keep_owner_setting(Hand::Production, &second, at(1))
        .unwrap();
    drop(outbox);
    let mut outbox = open(&directory);
    assert_eq!(outbox.owner_setting(Hand::Battery).unwrap(), Some(first));
    assert_eq!(outbox.owner_setting(Hand::Production).unwrap(), Some(second));

    let taken = instruction(1);
    outbox.admit(&taken, opted_in(1), at(2)).unwrap();
    outbox
        .advance(taken.digest, Progress::Stopped, None, at(3))
        .unwrap();
    outbox.restored(Hand::Production, at(4)).unwrap();
    outbox.close_stopped().unwrap();
    assert_eq!(
        outbox.dispatches().unwrap().len(),
        1,
        "the battery is displaced still"
    );
    outbox.restored(Hand::Battery, at(4)).unwrap();
    assert_eq!(outbox.owner_setting(Hand::Battery).unwrap(), None);
    assert!(outbox.dispatches().unwrap().is_empty());
    let last = outbox.outgoing_after(0, 10).unwrap().pop().unwrap();
    assert_eq!(last.kind, Kind::Acknowledgement);
    let last = Acknowledgement::open(&last.envelope).unwrap();
    assert_eq!(last.message.stage, Stage::Restored);
}

#[test]
fn the_same_stage_at_the_same_time_is_told_once() {
    let directory = tempfile::tempdir().unwrap();
    let mut outbox = open(&directory);
    let taken = instruction(1);
    outbox.admit(&taken, opted_in(1), at(2)).unwrap();
    for _ in 0..2 {
        let written = Some(Stage::Written(Milliwatts::new(1)));
        outbox
            .advance(taken.digest, Progress::Written, written, at(3))
            .unwrap();
    }
    assert_eq!(outbox.depth(), 3, "received, opted in, and written once");
    assert_eq!(outbox.outgoing_after(0, 10).unwrap().len(), 3);
}

mod bounds;
