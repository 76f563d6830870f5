//! What must hold for whatever bytes a stranger sends: no decoder panics, and what it accepts it writes
//! back byte for byte. The property tests and the fuzz targets (`fuzz/`) run these same bodies.

use gridtally_protocol::acknowledgement::Acknowledgement;
use gridtally_protocol::agreement::{
    Acceptance, Admission, Claim, DEVICES_MAX, GROUPS_MAX, NAME_LEN_MAX, Papers, Revocation, Rotation,
    Transfer, read_claim, write_claim,
};
use gridtally_protocol::beacon::Beacon;
use gridtally_protocol::commission::{AGENT_LEN_MAX, CommissionRecord, Step};
use gridtally_protocol::envelope::{ENVELOPE_LEN_MAX, Envelope, Purpose};
use gridtally_protocol::identity::{Digest, Identity};
use gridtally_protocol::instruction::{EVENT_SECONDS_MAX, Instruction, Target};
use gridtally_protocol::message::{Message, SEQUENCE_MAX};
use gridtally_protocol::original::{ORIGINAL_LEN_MAX, Original};
use gridtally_protocol::quantity::{Asset, MilliwattHours, Milliwatts, TokenAmount, parse_scaled};
use gridtally_protocol::receipt::{ENTRIES_MAX, Receipt};
use gridtally_protocol::report::{Report, SAMPLES_MAX, SERIES_MAX};
use gridtally_protocol::resend::{BITMAP_LEN_MAX, ResendRequest};
use gridtally_protocol::statement::{LINES_MAX, SITE_LEN_MAX, SiteStatement};
use gridtally_protocol::topic::Topic;

/// A body: bytes in, panic where a law is broken.
pub type Body = fn(&[u8]);

/// Every body with the name of its fuzz target.
pub const ALL: [(&str, Body); 20] = [
    ("envelope", envelope),
    ("report", report),
    ("instruction", instruction),
    ("acknowledgement", acknowledgement),
    ("receipt", receipt),
    ("resend", resend),
    ("commission", commission),
    ("original", original),
    ("statement", statement),
    ("topic", topic),
    ("identity", identity),
    ("quantity", quantity),
    ("claim", claim),
    ("acceptance", acceptance),
    ("admission", admission),
    ("revocation", revocation),
    ("rotation", rotation),
    ("transfer", transfer),
    ("papers", papers),
    ("beacon", beacon),
];

/// Reads a payload, and shows that an accepted one is written back as it came.
fn accepted<M: Message>(payload: &[u8]) -> Option<M> {
    let message = M::decode(payload).ok()?;
    assert_eq!(
        message.encode().expect("an accepted message can be written"),
        payload
    );
    Some(message)
}

/// Envelopes: canonical and bounded, and no purpose but the one in the header.
pub fn envelope(bytes: &[u8]) {
    let Ok(envelope) = Envelope::parse(bytes) else {
        return;
    };
    assert!(bytes.len() <= ENVELOPE_LEN_MAX);
    assert_eq!(envelope.digest(), Digest::of(bytes));
    assert_eq!(rewritten(bytes, &envelope.signer()), bytes);
    let verified: Vec<Purpose> = Purpose::ALL
        .into_iter()
        .filter(|purpose| envelope.verify(*purpose).is_ok())
        .collect();
    assert!(verified.len() <= 1, "{verified:?} by one signature");
    let opened = [
        Report::open(bytes).is_ok(),
        Instruction::open(bytes).is_ok(),
        Acknowledgement::open(bytes).is_ok(),
        Receipt::open(bytes).is_ok(),
        ResendRequest::open(bytes).is_ok(),
        CommissionRecord::open(bytes).is_ok(),
        SiteStatement::open(bytes).is_ok(),
        Claim::open(bytes).is_ok(),
        Acceptance::open(bytes).is_ok(),
        Admission::open(bytes).is_ok(),
        Revocation::open(bytes).is_ok(),
        Rotation::open(bytes).is_ok(),
        Transfer::open(bytes).is_ok(),
        Beacon::open(bytes).is_ok(),
        Original::open(bytes).is_ok(),
    ];
    assert!(opened.into_iter().filter(|opened| *opened).count() <= verified.len());
}

/// The one way to write an envelope of this length, signer and content type, by hand instead of by codec.
fn rewritten(bytes: &[u8], signer: &Identity) -> Vec<u8> {
    let signature = &bytes[bytes.len() - 64..];
    let header_len = usize::from(bytes[3]);
    let content_type = match header_len - 39 {
        1 => u16::from(bytes[8]),
        2 => u16::from(bytes[9]),
        _ => u16::from_be_bytes([bytes[9], bytes[10]]),
    };
    let mut header = vec![0xa3, 0x01, 0x27, 0x03];
    head(&mut header, 0, content_type.into());
    header.push(0x04);
    head(&mut header, 2, 32);
    header.extend_from_slice(signer.as_bytes());
    let mut out = vec![0xd2, 0x84];
    head(&mut out, 2, header.len());
    out.extend_from_slice(&header);
    out.push(0xa0);
    let rest = bytes.len() - out.len() - 66;
    let head_len = match rest {
        ..=24 => 1,
        25..=257 => 2,
        _ => 3,
    };
    head(&mut out, 2, rest - head_len);
    out.extend_from_slice(&bytes[bytes.len() - 66 - (rest - head_len)..bytes.len() - 66]);
    head(&mut out, 2, 64);
    out.extend_from_slice(signature);
    out
}

/// A CBOR head in its shortest form (RFC 8949 §3), for arguments of up to 16 bits.
pub fn head(out: &mut Vec<u8>, major: u8, argument: usize) {
    let major = major << 5;
    match (u8::try_from(argument), u16::try_from(argument)) {
        (Ok(small), _) if small < 24 => out.push(major | small),
        (Ok(byte), _) => out.extend([major | 24, byte]),
        (_, Ok(word)) => {
            out.push(major | 25);
            out.extend(word.to_be_bytes());
        }
        _ => unreachable!("nothing here is longer than 16 KiB"),
    }
}

/// Reports: within their bounds, and every reading is there.
pub fn report(payload: &[u8]) {
    let Some(report) = accepted::<Report>(payload) else {
        return;
    };
    let (series, intervals) = (report.series.len(), report.interval_count());
    assert!((1..=SERIES_MAX).contains(&series) && (1..=SAMPLES_MAX).contains(&intervals));
    assert!((1..=SEQUENCE_MAX).contains(&report.sequence));
    assert_eq!(report.readings().count(), series * intervals);
    assert_ne!(report.beacon, Some(Digest::NONE));
    let end = report
        .end()
        .expect("an accepted report ends within the years that have a text");
    assert!(report.start < end && end <= report.issued_at);
    assert_eq!(report.readings().map(|r| r.interval.end()).max(), Some(end));
}

/// Instructions: in their bounds.
pub fn instruction(payload: &[u8]) {
    let Some(instruction) = accepted::<Instruction>(payload) else {
        return;
    };
    assert!((1..=EVENT_SECONDS_MAX).contains(&instruction.end.seconds_since(instruction.start)));
    assert!(instruction.issued_at < instruction.expires_at && instruction.expires_at <= instruction.end);
    let target = instruction.target;
    assert_eq!(Target::from_parts(target.kind(), target.value()), Some(target));
    if let Some(price) = instruction.price {
        assert_eq!(price.to_string().parse(), Ok(price));
    }
    assert!((1..=64).contains(&instruction.event.as_str().len()));
}

/// Acknowledgements.
pub fn acknowledgement(payload: &[u8]) {
    let Some(acknowledgement) = accepted::<Acknowledgement>(payload) else {
        return;
    };
    assert!((1..=9).contains(&acknowledgement.stage.code()));
}

/// Receipts: each digest once.
pub fn receipt(payload: &[u8]) {
    let Some(receipt) = accepted::<Receipt>(payload) else {
        return;
    };
    assert!((1..=ENTRIES_MAX).contains(&receipt.entries.len()));
    assert!(receipt.entries.windows(2).all(|pair| pair[0].0 < pair[1].0));
}

/// Resend requests: at least the first number, in ascending order, each within the numbers there are.
pub fn resend(payload: &[u8]) {
    let Some(resend) = accepted::<ResendRequest>(payload) else {
        return;
    };
    let sequences: Vec<u64> = resend.sequences().collect();
    assert_eq!(sequences.first(), Some(&resend.first_sequence));
    assert!(sequences.windows(2).all(|pair| pair[0] < pair[1]));
    assert!(sequences.len() <= 8 * BITMAP_LEN_MAX);
    assert!(sequences.iter().all(|n| (1..=SEQUENCE_MAX).contains(n)));
}

/// Originals: within their bounds, byte for byte.
pub fn original(payload: &[u8]) {
    if let Some(original) = accepted::<Original>(payload) {
        assert!((1..=ORIGINAL_LEN_MAX).contains(&original.bytes.len()));
        assert!(payload.ends_with(&original.bytes));
    }
}

/// Commissioning records: steps in their order, each once, and passed where nothing failed only.
pub fn commission(payload: &[u8]) {
    let Some(record) = accepted::<CommissionRecord>(payload) else {
        return;
    };
    assert!((1..=AGENT_LEN_MAX).contains(&record.agent.len()));
    assert!((1..=Step::ALL.len()).contains(&record.steps.len()));
    let in_order = |pair: &[gridtally_protocol::commission::StepRecord]| {
        pair[0].step < pair[1].step && pair[0].at <= pair[1].at
    };
    assert!(record.steps.windows(2).all(in_order));
    assert!(!record.passed() || record.failure().is_none());
}

/// Statements: within their bounds, a reason for each zero, and a time for each line.
pub fn statement(payload: &[u8]) {
    let Some(statement) = accepted::<SiteStatement>(payload) else {
        return;
    };
    assert!((1..=SITE_LEN_MAX).contains(&statement.site.len()));
    assert!(statement.lines.len() <= LINES_MAX && statement.version > 0);
    assert_eq!(statement.timed_lines().count(), statement.lines.len());
    let last = statement.timed_lines().last();
    assert!(last.is_none_or(|(at, _)| statement.start <= at && at < statement.end));
    let is_told = |amount: TokenAmount, told: bool| (amount == TokenAmount::ZERO) == told;
    assert!(is_told(statement.totals.amount, statement.reason.is_some()));
    assert!(
        statement
            .lines
            .iter()
            .all(|line| is_told(line.amount, line.reason.is_some()))
    );
}

/// Claims: devices in order, each one's quantities once.
pub fn claim(payload: &[u8]) {
    let Some(claim) = accepted::<Claim>(payload) else {
        return;
    };
    assert!((1..=DEVICES_MAX).contains(&claim.devices.len()));
    assert!(
        claim
            .devices
            .windows(2)
            .all(|pair| pair[0].number < pair[1].number)
    );
    for device in &claim.devices {
        assert!(device.nameplate_milliwatts > Milliwatts::ZERO);
        assert_eq!(
            device
                .physical()
                .split('/')
                .filter(|part| !part.is_empty())
                .count(),
            3
        );
    }
}

/// Acceptances: bounded names, and a time in which they hold.
pub fn acceptance(payload: &[u8]) {
    let Some(acceptance) = accepted::<Acceptance>(payload) else {
        return;
    };
    assert!(acceptance.valid_from < acceptance.expires_at && acceptance.rules_version > 0);
    for name in [&acceptance.site, &acceptance.beneficiary] {
        assert!((1..=NAME_LEN_MAX).contains(&name.len()));
    }
}

/// Admissions: groups in order.
pub fn admission(payload: &[u8]) {
    let Some(admission) = accepted::<Admission>(payload) else {
        return;
    };
    assert!(admission.groups.len() <= GROUPS_MAX);
    assert!(admission.groups.windows(2).all(|pair| pair[0] < pair[1]));
}

/// Revocations: not of before they were signed.
pub fn revocation(payload: &[u8]) {
    if let Some(revocation) = accepted::<Revocation>(payload) {
        assert!(revocation.issued_at <= revocation.effective_at);
    }
}

/// Rotations: to another key, later.
pub fn rotation(payload: &[u8]) {
    if let Some(rotation) = accepted::<Rotation>(payload) {
        assert!(rotation.old != rotation.new && rotation.issued_at < rotation.effective_at);
    }
}

/// Transfers: to somebody else.
pub fn transfer(payload: &[u8]) {
    if let Some(transfer) = accepted::<Transfer>(payload) {
        assert!(transfer.from != transfer.to && transfer.issued_at <= transfer.effective_at);
    }
}

/// Beacons: numbered as sequences are.
pub fn beacon(payload: &[u8]) {
    if let Some(beacon) = accepted::<Beacon>(payload) {
        assert!((1..=SEQUENCE_MAX).contains(&beacon.number));
    }
}

/// Papers and claims as text: one text each.
pub fn papers(bytes: &[u8]) {
    let Ok(text) = core::str::from_utf8(bytes) else {
        return;
    };
    if let Ok(envelope) = read_claim(text) {
        assert_eq!(write_claim(&envelope), text);
    }
    if let Ok(papers) = Papers::parse(text) {
        assert!(papers.to_string().lines().eq(text.lines()));
        let _ = papers.agreement();
    }
}

/// Topics: one text each.
pub fn topic(bytes: &[u8]) {
    let Ok(text) = core::str::from_utf8(bytes) else {
        return;
    };
    if let Ok(topic) = text.parse::<Topic>() {
        assert_eq!(topic.to_string(), text);
    }
}

/// Identities: one text and one row of bytes each.
pub fn identity(bytes: &[u8]) {
    if let Ok(identity) = <&[u8; 32]>::try_from(bytes)
        .map_err(drop)
        .and_then(|b| Identity::from_bytes(b).map_err(drop))
    {
        assert_eq!(identity.as_bytes(), bytes);
        assert_eq!(identity.to_string().parse(), Ok(identity));
    }
    let Ok(text) = core::str::from_utf8(bytes) else {
        return;
    };
    if let Ok(identity) = text.parse::<Identity>() {
        assert_eq!(identity.to_string(), text);
    }
    if let Ok(identity) = Identity::from_multibase(text) {
        assert_eq!(identity.multibase(), text);
    }
}

/// Quantities: a text may have leading or trailing zeros, its value is shown in one way only.
pub fn quantity(bytes: &[u8]) {
    let Some((first, rest)) = bytes.split_first() else {
        return;
    };
    let Ok(text) = core::str::from_utf8(rest) else {
        return;
    };
    if let Ok(energy) = text.parse::<MilliwattHours>() {
        assert_eq!(energy.to_string().parse(), Ok(energy));
        assert_eq!(parse_scaled(text, 6), Ok(energy.get().into()));
    }
    if let Ok(power) = text.parse::<Milliwatts>() {
        assert_eq!(power.to_string().parse(), Ok(power));
    }
    if let Ok(units) = parse_scaled(text, *first) {
        assert_eq!(
            TokenAmount::new(units)
                .map(TokenAmount::base_units)
                .unwrap_or(units),
            units
        );
    }
    if let Ok(asset) = Asset::new("FLEX", *first)
        && let Ok(amount) = asset.parse(text)
    {
        assert_eq!(asset.parse(&asset.show(amount)), Ok(amount));
    }
}
