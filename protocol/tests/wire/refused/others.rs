//! Forged instructions, acknowledgements and receipts.

use gridtally_protocol::acknowledgement::Stage;
use gridtally_protocol::commission::CommissionRecord;
use gridtally_protocol::envelope::Purpose;
use gridtally_protocol::instruction::Target;
use gridtally_protocol::message::SEQUENCE_MAX;
use gridtally_protocol::quantity::{MilliwattHours, Milliwatts, TokenAmount};
use gridtally_protocol::resend::ResendRequest;
use gridtally_protocol::statement::{PartKind, SiteStatement, StatementPart, ZeroReason};
use gridtally_protocol::time::IntervalLength;

use super::{Forged, moved, replaced, sealed, unchecked};
use crate::examples::{self, engine, gateway};

pub(super) fn forgeries() -> Vec<Forged> {
    let instruction = examples::instruction();
    let event = |name: &[u8; 18]| {
        replaced(
            &unchecked(&instruction),
            instruction.event.as_str().as_bytes(),
            name,
        )
    };
    let with = |target| {
        let mut other = instruction.clone();
        other.target = target;
        unchecked(&other)
    };
    let target = |kind: u8, value: &[u8]| {
        let was = [0x82, 0x02, 0x1a, 0x00, 0x2d, 0xc6, 0xc0];
        replaced(&unchecked(&instruction), &was, &[&[0x82, kind], value].concat())
    };
    let price = |price: &[u8]| replaced(&unchecked(&instruction), &[0x82, 0x18, 85, 0x02], price);
    let program = replaced(&unchecked(&instruction), b"evening-flex", b"evening flex");
    let mut backwards = instruction.clone();
    backwards.end = backwards.start;
    let mut longer_than_a_day = instruction.clone();
    longer_than_a_day.end = moved(longer_than_a_day.start, 86_401);
    let mut never_valid = instruction.clone();
    never_valid.expires_at = never_valid.issued_at;
    let mut for_nobody = unchecked(&instruction);
    let key = gateway().identity();
    for_nobody = replaced(&for_nobody, key.as_bytes(), &[0; 32]);
    let lopsided = examples::acknowledgement(Stage::Written(Milliwatts::new(i64::MIN)));
    let restored = unchecked(&examples::acknowledgement(Stage::Restored));
    let stage = |code: u8, argument: u8| [&restored[..restored.len() - 2], &[code, argument]].concat();
    let with_seconds =
        |code: u8, seconds: u8| [&[0x86], &restored[1..restored.len() - 2], &[code, 0x00, seconds]].concat();
    let mut unordered = examples::receipt();
    unordered.entries.reverse();
    let mut twice = examples::receipt();
    twice.entries[1] = twice.entries[0];
    let mut empty = examples::receipt();
    empty.entries.clear();
    let mut unknown = unchecked(&examples::receipt());
    *unknown.last_mut().expect("a verdict") = 0x17;
    let resend = examples::resends()[1].1.clone();
    let with_bitmap = |bitmap: &[u8]| ResendRequest {
        bitmap: bitmap.to_vec(),
        ..resend.clone()
    };
    let beyond = ResendRequest {
        first_sequence: SEQUENCE_MAX,
        ..with_bitmap(&[3])
    };
    let resends = [
        ("an empty bitmap", with_bitmap(&[])),
        ("a bitmap of 65 bytes", with_bitmap(&[1; 65])),
        ("a bitmap that ends with a zero byte", with_bitmap(&[1, 0])),
        ("a bitmap without its first number", with_bitmap(&[2])),
        ("a missed number beyond all numbers", beyond),
    ]
    .map(|(name, message)| (name, Purpose::Resend, unchecked(&message)));
    let beacon = |number: u64| {
        let (_, mut beacon) = examples::beacons()[0];
        beacon.number = number;
        unchecked(&beacon)
    };
    // The nonce's length is the seventh byte.
    let short = [&beacon(2_712)[..6], &[31], &beacon(2_712)[8..]].concat();
    let beacons = [
        ("a beacon of no number", beacon(0)),
        ("a beacon beyond all numbers", beacon(SEQUENCE_MAX + 1)),
        ("a beacon with a nonce of 31 bytes", short),
    ]
    .map(|(name, payload)| (name, Purpose::Beacon, payload));
    let by_engine = [
        (
            "an event's name in capitals",
            Purpose::Instruction,
            event(b"2026-04-23-EVENING"),
        ),
        (
            "an event's name with a slash",
            Purpose::Instruction,
            event(b"2026/04/23-evening"),
        ),
        (
            "a set-point whose sign cannot be turned",
            Purpose::Instruction,
            with(Target::SetPoint(Milliwatts::new(i64::MIN))),
        ),
        (
            "an import limit below nothing",
            Purpose::Instruction,
            with(Target::ImportLimit(Milliwatts::new(-1))),
        ),
        (
            "an export limit below nothing",
            Purpose::Instruction,
            with(Target::ExportLimit(Milliwatts::new(-1))),
        ),
        ("level 4", Purpose::Instruction, target(1, &[0x04])),
        (
            "more than fully charged",
            Purpose::Instruction,
            target(5, &[0x1a, 0x00, 0x01, 0x86, 0xa1]),
        ),
        ("an unknown kind", Purpose::Instruction, target(6, &[0x00])),
        ("a program's name with a space", Purpose::Instruction, program),
        (
            "a price below nothing",
            Purpose::Instruction,
            price(&[0x82, 0x20, 0x02]),
        ),
        (
            "a price in a longer form",
            Purpose::Instruction,
            price(&[0x82, 0x19, 0x03, 0x52, 0x03]),
        ),
        (
            "a price of nineteen decimals",
            Purpose::Instruction,
            price(&[0x82, 0x01, 0x13]),
        ),
        (
            "a price that is a number",
            Purpose::Instruction,
            price(&[0x18, 85]),
        ),
        (
            "an event that ends as it starts",
            Purpose::Instruction,
            unchecked(&backwards),
        ),
        (
            "an event longer than a day",
            Purpose::Instruction,
            unchecked(&longer_than_a_day),
        ),
        (
            "an instruction that expires as it is issued",
            Purpose::Instruction,
            unchecked(&never_valid),
        ),
        ("an instruction for a weak key", Purpose::Instruction, for_nobody),
        ("entries out of order", Purpose::Receipt, unchecked(&unordered)),
        ("an entry twice", Purpose::Receipt, unchecked(&twice)),
        ("no entry", Purpose::Receipt, unchecked(&empty)),
        ("an unknown refusal", Purpose::Receipt, unknown),
    ];
    let by_gateway = [
        ("a power whose sign cannot be turned", unchecked(&lopsided)),
        ("restored with an argument", stage(6, 1)),
        ("received with an argument", stage(7, 1)),
        ("completed with an argument", stage(9, 1)),
        ("stage 10", stage(10, 0)),
        ("opted out for reason 19", stage(2, 19)),
        ("observed without the seconds", stage(8, 1)),
        ("restored with seconds", with_seconds(6, 0x00)),
        ("observed before it was written", with_seconds(8, 0x20)),
    ];
    let commissions = commissions().map(|(name, payload)| {
        let sealed = sealed(&payload, Purpose::Commission, &gateway());
        (name, Purpose::Commission, sealed)
    });
    let engine = engine();
    let mut all: Vec<Forged> = by_engine
        .into_iter()
        .chain(resends)
        .chain(beacons)
        .map(|(name, purpose, payload)| (name, purpose, sealed(&payload, purpose, &engine)))
        .collect();
    all.extend(by_gateway.map(|(name, payload)| {
        (
            name,
            Purpose::Acknowledgement,
            sealed(&payload, Purpose::Acknowledgement, &gateway()),
        )
    }));
    all.extend(commissions);
    all.extend(statements().map(|(name, payload)| {
        let sealed = sealed(&payload, Purpose::Statement, &engine);
        (name, Purpose::Statement, sealed)
    }));
    all
}

fn statements() -> [(&'static str, Vec<u8>); 18] {
    let with = |change: fn(&mut SiteStatement)| {
        let mut other = examples::statement();
        change(&mut other);
        unchecked(&other)
    };
    let plain = unchecked(&examples::statement());
    // The last line ends with its amount, 0, and its reason, 5.
    let last = |end: &[u8]| [&plain[..plain.len() - 2], end].concat();
    [
        (
            "a site's name with a space",
            with(|s| s.site = "home 1".to_owned()),
        ),
        ("a statement of version 0", with(|s| s.version = 0)),
        ("a settlement before the end", with(|s| s.settled_at = s.start)),
        ("a line too few", with(|s| s.lines.truncate(3))),
        (
            "lines where there are more intervals than fit",
            with(|s| {
                s.interval = IntervalLength::from_seconds(60).expect("a minute");
                s.end = moved(s.start, 289 * 60);
            }),
        ),
        (
            "totals that are not the sums",
            with(|s| s.totals.credited = MilliwattHours::new(1)),
        ),
        ("a zero without a reason", last(&[0x00, 0xf6])),
        ("a reason for an amount", last(&[0x01, 0x05])),
        ("reason 22", last(&[0x00, 0x16])),
        (
            "an amount as a bignum that a plain number holds",
            last(&[0xc2, 0x41, 0x00, 0x05]),
        ),
        (
            "an amount beyond the ledger's",
            last(&[&[0xc2, 0x50, 0x7f][..], &[0xff; 15], &[0x05]].concat()),
        ),
        (
            "an amount beyond 128 bits",
            last(&[&[0xc2, 0x51, 0x01][..], &[0; 16], &[0x05]].concat()),
        ),
        (
            "an event that does not begin with an interval",
            with(|s| s.start = moved(s.start, 60)),
        ),
        (
            "parts that do not make the amount",
            with(|s| s.parts = vec![fee(Some(-1), None)]),
        ),
        (
            "a part that is not known, without a reason",
            with(|s| {
                s.parts = vec![fee(None, None)];
                (s.totals.amount, s.reason) = (TokenAmount::ZERO, Some(ZeroReason::NoPrice));
            }),
        ),
        (
            "eighteen parts",
            with(|s| {
                s.parts = vec![fee(Some(0), Some(ZeroReason::RoundedToZero)); 18];
                (s.totals.amount, s.reason) = (TokenAmount::ZERO, Some(ZeroReason::NoPrice));
            }),
        ),
        (
            "no parts, and room for them",
            [&[0x92], &plain[1..], &[0x80]].concat(),
        ),
        (
            "a part of kind 8",
            [&[0x92], &plain[1..], &[0x81, 0x83, 0x08, 0x01, 0xf6]].concat(),
        ),
    ]
}

fn fee(amount: Option<i128>, reason: Option<ZeroReason>) -> StatementPart {
    StatementPart {
        kind: PartKind::Fee,
        amount: amount.map(|units| TokenAmount::new(units).expect("small")),
        reason,
    }
}

fn commissions() -> [(&'static str, Vec<u8>); 7] {
    let record = examples::commissions()[0].1.clone();
    let with = |change: fn(&mut CommissionRecord)| {
        let mut other = record.clone();
        change(&mut other);
        unchecked(&other)
    };
    let plain = unchecked(&record);
    // The control stands before the version of the agent.
    let control = replaced(&plain, b"\x01\x650.1.0", b"\x03\x650.1.0");
    [
        ("steps out of order", with(|record| record.steps.swap(0, 1))),
        ("a step twice", with(|record| record.steps[1] = record.steps[0])),
        ("no step", with(|record| record.steps.clear())),
        (
            "a step before the one before it",
            with(|record| record.steps[0].at = record.steps[9].at),
        ),
        (
            "an agent's version with a space",
            with(|record| record.agent = "0 1".to_owned()),
        ),
        (
            "a command whose sign cannot be turned",
            with(|record| record.told = Milliwatts::new(i64::MIN)),
        ),
        ("an unknown control", control),
    ]
}
