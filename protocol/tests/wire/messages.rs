//! Laws of every message: what is written reads back, what is accepted was canonical, nothing panics.

use core::fmt::Debug;

use gridtally_protocol::acknowledgement::{Acknowledgement, Stage};
use gridtally_protocol::agreement::{Acceptance, Admission, Claim, Revocation, Rotation, Transfer};
use gridtally_protocol::beacon::Beacon;
use gridtally_protocol::commission::CommissionRecord;
use gridtally_protocol::identity::{Digest, SigningIdentity};
use gridtally_protocol::instruction::Instruction;
use gridtally_protocol::message::{Message, MessageError};
use gridtally_protocol::quantity::Milliwatts;
use gridtally_protocol::receipt::Receipt;
use gridtally_protocol::report::Report;
use gridtally_protocol::resend::ResendRequest;
use gridtally_protocol::statement::SiteStatement;
use proptest::prelude::*;
use proptest::sample::Index;

use crate::examples::{self, home_report, realistic};
use crate::{agreements, decoders, forge, strategies};

pub fn reads_back<M: Message + PartialEq + Debug>(message: &M, key: &SigningIdentity) {
    let too_long = |error: MessageError| assert!(error.to_string().contains("at most 16384"), "{error}");
    match message.encode() {
        Ok(payload) => assert_eq!(&M::decode(&payload).expect("its own payload"), message),
        Err(error) => too_long(error),
    }
    match message.seal(key) {
        Ok(bytes) => {
            let signed = M::open(&bytes).expect("its own envelope");
            assert_eq!((&signed.message, signed.signer), (message, key.identity()));
        }
        Err(error) => too_long(error),
    }
}

/// Something a forger or a bad line might do to bytes.
#[derive(Debug, Clone)]
pub enum Damage {
    Set(Index, u8),
    Insert(Index, u8),
    Remove(Index),
    Cut(Index),
    Repeat(Index, Index),
}

pub fn damage() -> impl Strategy<Value = Vec<Damage>> {
    let one = prop_oneof![
        4 => any::<(Index, u8)>().prop_map(|(at, byte)| Damage::Set(at, byte)),
        2 => any::<(Index, u8)>().prop_map(|(at, byte)| Damage::Insert(at, byte)),
        2 => any::<Index>().prop_map(Damage::Remove),
        1 => any::<Index>().prop_map(Damage::Cut),
        1 => any::<(Index, Index)>().prop_map(|(from, to)| Damage::Repeat(from, to)),
    ];
    prop::collection::vec(one, 1..4)
}

pub fn damaged(mut bytes: Vec<u8>, damage: &[Damage]) -> Vec<u8> {
    for one in damage {
        let at = |index: &Index| index.index(bytes.len() + 1).min(bytes.len().saturating_sub(1));
        match one {
            _ if bytes.is_empty() => {}
            Damage::Set(index, byte) => {
                let at = at(index);
                bytes[at] = *byte;
            }
            Damage::Insert(index, byte) => bytes.insert(at(index), *byte),
            Damage::Remove(index) => {
                bytes.remove(at(index));
            }
            Damage::Cut(index) => bytes.truncate(at(index)),
            Damage::Repeat(from, to) => {
                let (from, to) = (at(from), at(to));
                let piece = bytes[from.min(to)..from.max(to)].to_vec();
                bytes.extend(piece);
            }
        }
    }
    bytes
}

proptest! {
    #[test]
    fn a_report_reads_back(message in strategies::report(), key in strategies::key()) {
        reads_back(&message, &key);
    }

    #[test]
    fn an_instruction_reads_back(message in strategies::instruction(), key in strategies::key()) {
        reads_back(&message, &key);
    }

    #[test]
    fn an_acknowledgement_reads_back(message in strategies::acknowledgement(), key in strategies::key()) {
        reads_back(&message, &key);
    }

    #[test]
    fn a_receipt_reads_back(message in strategies::receipt(), key in strategies::key()) {
        reads_back(&message, &key);
    }

    #[test]
    fn a_resend_request_reads_back(message in strategies::resend(), key in strategies::key()) {
        reads_back(&message, &key);
    }

    #[test]
    fn a_beacon_reads_back(message in strategies::beacon(), key in strategies::key()) {
        reads_back(&message, &key);
    }

    #[test]
    fn a_commissioning_record_reads_back(message in strategies::commission(), key in strategies::key()) {
        reads_back(&message, &key);
    }

    #[test]
    fn an_original_reads_back(message in strategies::original(), key in strategies::key()) {
        reads_back(&message, &key);
    }

    #[test]
    fn a_statement_reads_back(message in strategies::statement(), key in strategies::key()) {
        reads_back(&message, &key);
    }

    #[test]
    fn a_resend_request_names_what_is_missed_from_the_lowest_on(
        missed in prop::collection::btree_set(1_u64..2_000, 1..200), key in strategies::key(),
    ) {
        let lowest = *missed.first().expect("not empty");
        let request = ResendRequest::of(key.identity(), home_report(1, |_, _| Ok(0)).issued_at, missed.iter().copied());
        let request = request.expect("something is missed");
        prop_assert_eq!(request.check(), Ok(()));
        let expected: Vec<u64> = missed.range(..lowest + 512).copied().collect();
        prop_assert_eq!(request.sequences().collect::<Vec<_>>(), expected);
    }

    #[test]
    fn arbitrary_bytes_break_no_decoder(bytes in prop::collection::vec(any::<u8>(), 0..512)) {
        decoders::ALL.iter().for_each(|(_, body)| body(&bytes));
    }

    #[test]
    fn arbitrary_texts_break_no_decoder(text in "(did:key:|gridtally/v1/|[0-9])?[-0-9a-zA-Z./]{0,64}(/report|/ack)?") {
        decoders::ALL.iter().for_each(|(_, body)| body(text.as_bytes()));
    }

    #[test]
    fn a_damaged_report_is_refused_or_canonical(message in strategies::report(), damage in damage()) {
        decoders::report(&damaged(message.encode().unwrap_or_default(), &damage));
    }

    #[test]
    fn a_damaged_instruction_is_refused_or_canonical(message in strategies::instruction(), damage in damage()) {
        decoders::instruction(&damaged(message.encode().unwrap_or_default(), &damage));
    }

    #[test]
    fn a_damaged_acknowledgement_is_refused_or_canonical(
        message in strategies::acknowledgement(), damage in damage(),
    ) {
        decoders::acknowledgement(&damaged(message.encode().unwrap_or_default(), &damage));
    }

    #[test]
    fn a_damaged_resend_request_is_refused_or_canonical(message in strategies::resend(), damage in damage()) {
        decoders::resend(&damaged(message.encode().unwrap_or_default(), &damage));
    }

    #[test]
    fn a_damaged_beacon_is_refused_or_canonical(message in strategies::beacon(), damage in damage()) {
        decoders::beacon(&damaged(message.encode().unwrap_or_default(), &damage));
    }

    #[test]
    fn a_beacon_adds_its_digest_and_nothing_else_to_a_report(
        mut message in strategies::report(), beacon in strategies::digest(),
    ) {
        message.beacon = None;
        let Ok(without) = message.encode() else { return Ok(()) };
        message.beacon = Some(beacon);
        let Ok(with) = message.encode() else { return Ok(()) };
        prop_assert_eq!(without[0], 0x89);
        prop_assert_eq!(with, [&[0x8a], &without[1..], &[0x58, 0x20], beacon.as_bytes()].concat());
    }

    #[test]
    fn a_damaged_original_is_refused_or_canonical(message in strategies::original(), damage in damage()) {
        decoders::original(&damaged(message.encode().unwrap_or_default(), &damage));
    }

    #[test]
    fn a_damaged_commissioning_record_is_refused_or_canonical(
        message in strategies::commission(), damage in damage(),
    ) {
        decoders::commission(&damaged(message.encode().unwrap_or_default(), &damage));
    }

    #[test]
    fn a_damaged_statement_is_refused_or_canonical(message in strategies::statement(), damage in damage()) {
        decoders::statement(&damaged(message.encode().unwrap_or_default(), &damage));
    }

    #[test]
    fn a_damaged_receipt_is_refused_or_canonical(message in strategies::receipt(), damage in damage()) {
        decoders::receipt(&damaged(message.encode().unwrap_or_default(), &damage));
    }

    #[test]
    fn a_damaged_envelope_is_refused(
        message in strategies::acknowledgement(), key in strategies::key(), damage in damage(),
    ) {
        let sealed = message.seal(&key).unwrap();
        let bytes = damaged(sealed.clone(), &damage);
        decoders::envelope(&bytes);
        prop_assert_eq!(Acknowledgement::open(&bytes).is_ok(), bytes == sealed);
    }
}

fn with_beacon() -> Report {
    let mut report = home_report(12, realistic);
    report.beacon = Some(Digest::of(b"the beacon's envelope"));
    report
}

fn payloads() -> [(&'static str, Vec<u8>); 15] {
    [
        ("report", home_report(12, realistic).encode().unwrap()),
        ("report", with_beacon().encode().unwrap()),
        ("beacon", examples::beacons()[0].1.encode().unwrap()),
        ("instruction", examples::instruction().encode().unwrap()),
        (
            "acknowledgement",
            examples::acknowledgement(Stage::OptedIn(Milliwatts::new(1)))
                .encode()
                .unwrap(),
        ),
        ("receipt", examples::receipt().encode().unwrap()),
        ("resend", examples::resends()[1].1.encode().unwrap()),
        ("commission", examples::commissions()[1].1.encode().unwrap()),
        ("statement", examples::statements()[0].1.encode().unwrap()),
        ("claim", agreements::claim().encode().unwrap()),
        ("acceptance", agreements::acceptance().encode().unwrap()),
        ("admission", agreements::admission().encode().unwrap()),
        ("revocation", agreements::revocation().encode().unwrap()),
        ("rotation", agreements::rotation().encode().unwrap()),
        ("transfer", agreements::transfer().encode().unwrap()),
    ]
}

fn decodes(name: &str, payload: &[u8]) -> Result<(), MessageError> {
    match name {
        "report" => Report::decode(payload).map(drop),
        "instruction" => Instruction::decode(payload).map(drop),
        "acknowledgement" => Acknowledgement::decode(payload).map(drop),
        "receipt" => Receipt::decode(payload).map(drop),
        "beacon" => Beacon::decode(payload).map(drop),
        "resend" => ResendRequest::decode(payload).map(drop),
        "statement" => SiteStatement::decode(payload).map(drop),
        "claim" => Claim::decode(payload).map(drop),
        "acceptance" => Acceptance::decode(payload).map(drop),
        "admission" => Admission::decode(payload).map(drop),
        "revocation" => Revocation::decode(payload).map(drop),
        "rotation" => Rotation::decode(payload).map(drop),
        "transfer" => Transfer::decode(payload).map(drop),
        _ => CommissionRecord::decode(payload).map(drop),
    }
}

#[test]
fn every_other_form_of_the_same_data_is_refused() {
    for (name, payload) in payloads() {
        decodes(name, &payload).unwrap();
        let others = forge::other_forms(&payload);
        assert!(others.len() > 15, "{name}: {} other forms", others.len());
        for other in others {
            assert!(
                decodes(name, &other).is_err(),
                "{name}: {} was accepted",
                hex::encode(other)
            );
        }
    }
}

#[test]
fn bytes_after_the_end_and_bytes_cut_off_are_refused() {
    for (name, payload) in payloads() {
        for len in 0..payload.len() {
            assert!(
                decodes(name, &payload[..len]).is_err(),
                "{name} cut to {len} bytes"
            );
        }
        for more in [&[0x00][..], &[0xff], &payload] {
            assert!(
                decodes(name, &[&payload[..], more].concat()).is_err(),
                "{name} and more"
            );
        }
    }
}

#[test]
fn another_version_is_refused() {
    for (name, mut payload) in payloads() {
        payload[1] = 2;
        let error = decodes(name, &payload).unwrap_err().to_string();
        assert!(error.contains("version"), "{name}: {error}");
    }
}

#[test]
fn a_payload_of_one_message_is_none_of_another() {
    for (name, payload) in payloads() {
        for (other, _) in payloads() {
            assert_eq!(
                decodes(other, &payload).is_ok(),
                name == other,
                "{name} as {other}"
            );
        }
    }
}

#[test]
fn a_payload_beyond_the_bound_is_refused_unread() {
    for (name, _) in payloads() {
        let error = decodes(name, &[0x82; 1 << 20]).unwrap_err().to_string();
        assert!(error.contains("1048576 bytes; at most 16384"), "{name}: {error}");
    }
}

/// Writes a report by hand: `series` is what follows after the head of the array of series.
fn report_with(count: &[u8], series_head: &[u8], series: &[u8]) -> Vec<u8> {
    let head = [&[0x89, 0x01, 0x01][..], &[0x58, 0x20], &[0; 32]].concat();
    // Issued at 3600 s by a synchronised clock, from 0 s on in intervals of 300 s.
    [
        &head[..],
        &[0x19, 0x0e, 0x10, 0x02, 0x00, 0x19, 0x01, 0x2c],
        count,
        series_head,
        series,
    ]
    .concat()
}

#[test]
fn lengths_that_promise_more_than_is_there_are_refused_without_memory() {
    let huge = [0x1b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff];
    let huge_array = [0x9b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff];
    let huge_bytes = [0x5b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff];
    let one = [0x84, 0x01, 0x01, 0x02];
    let cases = [
        report_with(&huge, &[0x81], &[&one[..], &[0x41, 0x00]].concat()),
        report_with(&[0x00], &[0x81], &[&one[..], &[0x40]].concat()),
        report_with(&[0x01], &huge_array, &[&one[..], &[0x41, 0x00]].concat()),
        report_with(&[0x01], &[0x98, 33], &[&one[..], &[0x41, 0x00]].concat()),
        report_with(&[0x01], &[0x80], &[]),
        report_with(&[0x01], &[0x81], &[&one[..], &huge_bytes].concat()),
        report_with(
            &[0x19, 0x01, 0x21],
            &[0x81],
            &[&one[..], &[0x59, 0x01, 0x21], &[0; 289]].concat(),
        ),
    ];
    for payload in cases {
        assert!(
            Report::decode(&payload).is_err(),
            "{} was accepted",
            hex::encode(payload)
        );
    }
    assert!(
        Report::decode(&report_with(
            &[0x01],
            &[0x81],
            &[&one[..], &[0x41, 0x00]].concat()
        ))
        .is_ok()
    );
}

#[test]
fn marks_have_one_form_only() {
    // Three intervals, the values 1, missing, missing: one series with device 1, grid import, resolution 2.
    let with_marks = |samples: [u8; 3], marks: &[u8]| {
        let series = [&[0x85, 0x01, 0x01, 0x02, 0x43][..], &samples, marks].concat();
        Report::decode(&report_with(&[0x03], &[0x81], &series))
    };
    assert!(with_marks([2, 0, 0], &[0x81, 0x83, 1, 2, 1]).is_ok());
    assert!(with_marks([2, 0, 0], &[0x82, 0x83, 1, 1, 1, 0x83, 2, 1, 2]).is_ok());
    // A quality stands on any value, beside a missing sample.
    assert!(with_marks([2, 2, 0], &[0x82, 0x83, 0, 2, 16, 0x83, 2, 1, 1]).is_ok());
    let refused: [(&str, [u8; 3], &[u8]); 13] = [
        ("no mark at all", [2, 0, 0], &[0x80]),
        ("a run in two", [2, 0, 0], &[0x82, 0x83, 1, 1, 1, 0x83, 2, 1, 1]),
        ("out of order", [2, 0, 0], &[0x82, 0x83, 2, 1, 1, 0x83, 1, 1, 2]),
        ("overlapping", [2, 0, 0], &[0x82, 0x83, 1, 2, 1, 0x83, 2, 1, 2]),
        ("empty", [2, 0, 0], &[0x82, 0x83, 0, 0, 1, 0x83, 1, 2, 1]),
        ("beyond the end", [2, 0, 0], &[0x81, 0x83, 1, 3, 1]),
        (
            "far beyond the end",
            [2, 0, 0],
            &[0x81, 0x83, 0x19, 0xff, 0xff, 0x19, 0xff, 0xff, 1],
        ),
        ("an unknown reason", [2, 0, 0], &[0x81, 0x83, 1, 2, 8]),
        ("an unknown quality", [2, 0, 0], &[0x81, 0x83, 1, 2, 22]),
        (
            "both kinds at once",
            [2, 0, 0],
            &[0x82, 0x83, 1, 2, 1, 0x83, 1, 2, 16],
        ),
        (
            "a quality in two runs",
            [2, 2, 2],
            &[0x82, 0x83, 0, 1, 16, 0x83, 1, 2, 16],
        ),
        ("a value under a mark", [2, 2, 0], &[0x81, 0x83, 1, 2, 1]),
        (
            "more marks than intervals",
            [2, 0, 0],
            &[0x84, 0x83, 0, 1, 1, 0x83, 1, 1, 2, 0x83, 2, 1, 1, 0x83, 2, 1, 1],
        ),
    ];
    for (what, samples, marks) in refused {
        assert!(with_marks(samples, marks).is_err(), "{what} was accepted");
    }
}
