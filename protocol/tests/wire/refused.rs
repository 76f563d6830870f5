//! Forgeries for the published vectors: each breaks one thing, and all else about it is honest.

use gridtally_protocol::channel::Missing;
use gridtally_protocol::envelope::Purpose;
use gridtally_protocol::identity::{Digest, SigningIdentity};
use gridtally_protocol::message::Message;
use gridtally_protocol::report::Report;
use gridtally_protocol::time::Timestamp;
use minicbor::Encoder;
use num_bigint::BigUint;
use sha2::{Digest as _, Sha512};

use crate::examples::{self, engine, gateway, home_report, realistic};
use crate::forge::{Forgery, byte_string};

mod others;

type Forged = (&'static str, Purpose, Vec<u8>);

/// Everything that must be refused: name, the purpose to open it for, bytes.
pub fn forgeries() -> Vec<Forged> {
    [
        envelopes(),
        keys_and_signatures(),
        report_layouts(),
        report_rules(),
        others::forgeries(),
    ]
    .concat()
}

/// Keys that are no sound ed25519 public keys.
pub fn unsound_keys() -> Vec<(&'static str, [u8; 32])> {
    let with = |first: u8, middle: u8, last: u8| {
        core::array::from_fn(|i| match i {
            0 => first,
            31 => last,
            _ => middle,
        })
    };
    let order_8 = "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a";
    vec![
        ("the neutral element", with(1, 0, 0)),
        ("the point of order 2", with(0xec, 0xff, 0x7f)),
        ("a point of order 4", with(0, 0, 0)),
        (
            "a point of order 8",
            hex::decode(order_8).expect("hex").try_into().expect("32 bytes"),
        ),
        ("the neutral element with y + p", with(0xee, 0xff, 0x7f)),
        ("a point of large order with y + p", with(0xf0, 0xff, 0x7f)),
        ("no point of the curve", with(2, 0, 0)),
    ]
}

/// What the message says, whether or not it may.
fn unchecked<M: Message>(message: &M) -> Vec<u8> {
    let mut encoder = Encoder::new(Vec::new());
    message.write(&mut encoder).expect("memory");
    encoder.into_writer()
}

fn honest() -> Forgery {
    Forgery::honest(Purpose::Report, &unchecked(&report()), &gateway())
}

fn report() -> Report {
    home_report(3, realistic)
}

fn envelopes() -> Vec<Forged> {
    let header = honest().protected;
    let (alg, content_type, key_id) = (&header[1..3], &header[3..7], &header[7..]);
    let with_header = |entries: &[&[u8]], count: u8| Forgery {
        protected: [&[0xa0 | count], entries.concat().as_slice()].concat(),
        ..honest()
    };
    let forged = [
        (
            "without the tag",
            Forgery {
                tag: vec![],
                ..honest()
            },
        ),
        (
            "the tag in a longer form",
            Forgery {
                tag: vec![0xd8, 18],
                ..honest()
            },
        ),
        (
            "an array of indefinite length",
            Forgery {
                array: vec![0x9f],
                trailing: vec![0xff],
                ..honest()
            },
        ),
        (
            "a byte after the end",
            Forgery {
                trailing: vec![0],
                ..honest()
            },
        ),
        (
            "an unprotected header",
            Forgery {
                unprotected: vec![0xa1, 0x03, 0x19, 0xfe, 0x4d],
                ..honest()
            },
        ),
        (
            "headers in another order",
            with_header(&[content_type, alg, key_id], 3),
        ),
        (
            "a fourth protected header",
            with_header(&[alg, content_type, key_id, &[0x05, 0x41, 0x00]], 4),
        ),
        ("no content type", with_header(&[alg, key_id], 2)),
        ("no key id", with_header(&[alg, content_type], 2)),
        (
            "ES256 for an algorithm",
            with_header(&[&[0x01, 0x26], content_type, key_id], 3),
        ),
        (
            "the content type in a longer form",
            with_header(&[alg, &[0x03, 0x1a, 0, 0, 0xfe, 0x4d], key_id], 3),
        ),
    ];
    let mut all: Vec<Forged> = forged
        .into_iter()
        .map(|(name, forgery)| (name, Purpose::Report, forgery.sealed(&gateway())))
        .collect();
    let whole = honest().sealed(&gateway());
    let (before, after) = (
        whole.len() - 66 - byte_string(&honest().payload).len(),
        whole.len() - 66,
    );
    all.push((
        "a detached payload",
        Purpose::Report,
        [&whole[..before], &[0xf6], &whole[after..]].concat(),
    ));
    all.push(("nothing at all", Purpose::Report, vec![]));
    all.push(("cut in half", Purpose::Report, whole[..whole.len() / 2].to_vec()));
    all.push(("a report opened as an instruction", Purpose::Instruction, whole));
    all
}

fn keys_and_signatures() -> Vec<Forged> {
    let whole = honest().sealed(&gateway());
    let flipped = |at: usize| {
        let mut bytes = whole.clone();
        bytes[at] ^= 1;
        bytes
    };
    let another_key = Forgery::honest(Purpose::Report, &honest().payload, &engine());
    let moved = Forgery::honest(Purpose::Instruction, &honest().payload, &gateway());
    let signature = &whole[whole.len() - 64..];
    let mut all: Vec<Forged> = vec![
        (
            "a bit of the payload flipped",
            Purpose::Report,
            flipped(whole.len() - 70),
        ),
        (
            "a bit of the signature flipped",
            Purpose::Report,
            flipped(whole.len() - 1),
        ),
        (
            "signed by another key than the one named",
            Purpose::Report,
            another_key.sealed(&gateway()),
        ),
        (
            "the signature of another purpose",
            Purpose::Instruction,
            moved.with_signature(signature),
        ),
        (
            "the scalar in its second form",
            Purpose::Report,
            with_second_scalar(&whole),
        ),
        (
            "the neutral element for R",
            Purpose::Report,
            with_neutral_nonce(&honest(), &examples::GATEWAY_SEED),
        ),
    ];
    for (name, key) in unsound_keys() {
        let mut forgery = honest();
        let at = forgery.protected.len() - 32;
        forgery.protected[at..].copy_from_slice(&key);
        // The signature that satisfies the plain equation under the neutral element.
        let mut signature = [0; 64];
        signature[0] = 1;
        all.push((name, Purpose::Report, forgery.with_signature(&signature)));
    }
    all
}

/// L, the order of the base point (RFC 8032 §5.1).
fn order() -> BigUint {
    "7237005577332262213973186563042994240857116359379907606001950938285454250989"
        .parse()
        .expect("a number")
}

/// The same signature with S + L for S: only a strict verifier refuses it (RFC 8032 §5.1.7).
fn with_second_scalar(envelope: &[u8]) -> Vec<u8> {
    let (before, scalar) = envelope.split_at(envelope.len() - 32);
    let larger = (BigUint::from_bytes_le(scalar) + order()).to_bytes_le();
    [before, &larger].concat()
}

/// A signature with the neutral element for R and S = k a, which satisfies the plain equation S B = R + k A.
fn with_neutral_nonce(forgery: &Forgery, seed: &[u8; 32]) -> Vec<u8> {
    let mut secret = Sha512::digest(seed);
    secret[0] &= 0xf8;
    secret[31] = (secret[31] & 0x7f) | 0x40;
    let mut signature = [0; 64];
    signature[0] = 1;
    let hash = Sha512::new()
        .chain_update(&signature[..32])
        .chain_update(&forgery.protected[forgery.protected.len() - 32..])
        .chain_update(forgery.to_be_signed())
        .finalize();
    let product = BigUint::from_bytes_le(&hash) * BigUint::from_bytes_le(&secret[..32]);
    let scalar = (product % order()).to_bytes_le();
    signature[32..32 + scalar.len()].copy_from_slice(&scalar);
    forgery.with_signature(&signature)
}

fn sealed(payload: &[u8], purpose: Purpose, key: &SigningIdentity) -> Vec<u8> {
    Forgery::honest(purpose, payload, key).sealed(key)
}

/// A report of one channel and three intervals, with what follows after the resolution written by hand.
fn report_of_one_series(series_len: u8, samples: &[u8], marks: &[u8]) -> Vec<u8> {
    let mut report = report();
    report.series.truncate(1);
    let payload = unchecked(&report);
    // The head of the array of series is 0x81; what follows is written anew.
    let series_at = unchecked(&Report {
        series: vec![],
        ..report.clone()
    })
    .len();
    let mut head = payload[..series_at].to_vec();
    head.extend([0x80 | series_len, 0x01, 0x01, 0x02]);
    [head, byte_string(samples), marks.to_vec()].concat()
}

fn report_layouts() -> Vec<Forged> {
    let payload = honest().payload;
    let longer_version = [&payload[..1], &[0x18, 0x01], &payload[2..]].concat();
    let mut version_2 = payload.clone();
    version_2[1] = 2;
    let layouts = [
        ("version 2", version_2),
        ("the version in a longer form", longer_version),
        (
            "a payload with a byte after its end",
            [&payload[..], &[0]].concat(),
        ),
        ("a payload cut short", payload[..payload.len() - 1].to_vec()),
        ("a payload that is a map", vec![0xa0]),
        (
            "a sample in a longer form",
            report_of_one_series(4, &[0x82, 0x00, 0x00, 0x00], &[]),
        ),
        (
            "fewer samples than intervals",
            report_of_one_series(4, &[2, 0], &[]),
        ),
        (
            "more samples than intervals",
            report_of_one_series(4, &[2, 0, 0, 0], &[]),
        ),
        (
            "a sample of 65 bits",
            report_of_one_series(
                4,
                &[0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x02, 0, 0],
                &[],
            ),
        ),
        (
            "an empty list of marks",
            report_of_one_series(5, &[2, 0, 0], &[0x80]),
        ),
        (
            "a value under a mark of a missing sample",
            report_of_one_series(5, &[2, 2, 0], &[0x81, 0x83, 1, 1, 1]),
        ),
        (
            "marks out of order",
            report_of_one_series(5, &[2, 0, 0], &[0x82, 0x83, 2, 1, 1, 0x83, 1, 1, 2]),
        ),
        (
            "marks that could be one",
            report_of_one_series(5, &[2, 0, 0], &[0x82, 0x83, 1, 1, 1, 0x83, 2, 1, 1]),
        ),
        (
            "a mark without an interval",
            report_of_one_series(5, &[2, 0, 0], &[0x81, 0x83, 1, 0, 1]),
        ),
        (
            "a mark beyond the intervals",
            report_of_one_series(5, &[2, 0, 0], &[0x81, 0x83, 2, 2, 1]),
        ),
        (
            "a mark with an unknown reason",
            report_of_one_series(5, &[2, 0, 0], &[0x81, 0x83, 2, 1, 8]),
        ),
        (
            "a mark with an unknown quality",
            report_of_one_series(5, &[2, 0, 0], &[0x81, 0x83, 2, 1, 22]),
        ),
        (
            "a quality of a missing sample",
            report_of_one_series(5, &[2, 0, 0], &[0x82, 0x83, 1, 1, 1, 0x83, 1, 1, 16]),
        ),
        (
            "a value with two qualities",
            report_of_one_series(5, &[2, 0, 0], &[0x82, 0x83, 0, 2, 16, 0x83, 1, 2, 17]),
        ),
        (
            "qualities out of order",
            report_of_one_series(5, &[2, 0, 0], &[0x82, 0x83, 2, 1, 16, 0x83, 0, 1, 17]),
        ),
        (
            "qualities that could be one",
            report_of_one_series(5, &[2, 0, 0], &[0x82, 0x83, 0, 1, 16, 0x83, 1, 1, 16]),
        ),
        (
            "a quality beyond the intervals",
            report_of_one_series(5, &[2, 0, 0], &[0x81, 0x83, 2, 2, 16]),
        ),
        (
            "a quality without an interval",
            report_of_one_series(5, &[2, 0, 0], &[0x81, 0x83, 2, 0, 16]),
        ),
    ];
    layouts
        .map(|(name, payload)| {
            (
                name,
                Purpose::Report,
                sealed(&payload, Purpose::Report, &gateway()),
            )
        })
        .to_vec()
}

fn report_rules() -> Vec<Forged> {
    type Break = fn(&mut Report);
    let breaks: [(&str, Break); 13] = [
        ("sequence 0", |r| r.sequence = 0),
        ("sequence 2^63", |r| r.sequence = 1 << 63),
        ("a first report that names one before", |r| r.sequence = 1),
        ("a later report that names none before", |r| {
            r.previous = Digest::NONE
        }),
        ("a start between two intervals", |r| r.start = moved(r.start, 60)),
        ("an interval that ends after the report was issued", |r| {
            r.issued_at = moved(r.start, 899)
        }),
        ("a channel twice", |r| r.series[1] = r.series[0].clone()),
        ("channels out of order", |r| r.series.swap(0, 1)),
        ("no channel", |r| r.series.clear()),
        ("thirty-three channels", |r| {
            r.series = core::array::from_fn::<_, 33, _>(|_| r.series[0].clone()).into()
        }),
        ("resolution 10", |r| r.series[0].resolution = 10),
        ("a value beyond 64 bits in its smallest unit", |r| {
            r.series[0].samples[1] = Ok(i64::MAX / 100 + 1)
        }),
        ("a beacon of zero bytes", |r| r.beacon = Some(Digest::NONE)),
    ];
    let mut all: Vec<Forged> = Vec::new();
    for (name, break_it) in breaks {
        let mut report = report();
        break_it(&mut report);
        all.push((
            name,
            Purpose::Report,
            sealed(&unchecked(&report), Purpose::Report, &gateway()),
        ));
    }
    let day = home_report(289, |_, _| Err(Missing::Unreachable));
    all.push((
        "289 intervals",
        Purpose::Report,
        sealed(&unchecked(&day), Purpose::Report, &gateway()),
    ));
    let seven_minutes = replaced(&honest().payload, &[0x19, 0x01, 0x2c], &[0x19, 0x01, 0xa4]);
    all.push((
        "intervals of seven minutes",
        Purpose::Report,
        sealed(&seven_minutes, Purpose::Report, &gateway()),
    ));
    all
}

fn moved(instant: Timestamp, seconds: i64) -> Timestamp {
    instant.checked_add(seconds).expect("in range")
}

/// With the first occurrence of `from` turned into `to`.
fn replaced(bytes: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let at = bytes
        .windows(from.len())
        .position(|window| window == from)
        .expect("it is there");
    [&bytes[..at], to, &bytes[at + from.len()..]].concat()
}
