//! The published vectors in `tests/vectors/`: what other implementations are measured by.
//!
//! The test fails where a file differs from what this code makes of the examples. After a deliberate change
//! of the format: `GRIDTALLY_WRITE_VECTORS=1 cargo test -p gridtally-protocol --test wire vectors`.

use std::fs;
use std::path::PathBuf;

use gridtally_protocol::acknowledgement::Acknowledgement;
use gridtally_protocol::agreement::{Acceptance, Admission, Claim, Revocation, Rotation, Transfer};
use gridtally_protocol::beacon::Beacon;
use gridtally_protocol::commission::CommissionRecord;
use gridtally_protocol::envelope::{EnvelopeError, Purpose};
use gridtally_protocol::identity::{Identity, IdentityError, SigningIdentity};
use gridtally_protocol::instruction::Instruction;
use gridtally_protocol::message::{Message, MessageError};
use gridtally_protocol::original::Original;
use gridtally_protocol::receipt::Receipt;
use gridtally_protocol::report::Report;
use gridtally_protocol::resend::ResendRequest;
use gridtally_protocol::statement::SiteStatement;
use gridtally_protocol::topic::{Topic, TopicKind};
use serde::Serialize;
use serde_json::{Value, json};

use crate::examples::{self, ENGINE_SEED, GATEWAY_SEED};
use crate::forge::Forgery;
use crate::refused;
use crate::shown::Shown;

#[derive(Serialize)]
struct File<V> {
    description: &'static str,
    vectors: Vec<V>,
}

/// A message that every implementation has to accept, and to write in the same bytes.
#[derive(Serialize)]
pub struct Accepted {
    name: &'static str,
    purpose: String,
    content_type: u16,
    seed: String,
    signer: String,
    payload: String,
    sig_structure: String,
    envelope: String,
    digest: String,
    message: Value,
}

pub fn accepted<M: Message + Shown>(name: &'static str, message: &M, seed: &[u8; 32]) -> Accepted {
    let key = SigningIdentity::from_secret(seed).expect("a sound key");
    let payload = message.encode().expect("a valid example");
    let envelope = message.seal(&key).expect("a valid example");
    let opened = M::open(&envelope).expect("its own envelope");
    Accepted {
        name,
        purpose: M::PURPOSE.to_string(),
        content_type: M::PURPOSE.content_type(),
        seed: hex::encode(seed),
        signer: opened.signer.to_string(),
        sig_structure: hex::encode(Forgery::honest(M::PURPOSE, &payload, &key).to_be_signed()),
        payload: hex::encode(payload),
        envelope: hex::encode(envelope),
        digest: opened.digest.to_string(),
        message: opened.message.shown(),
    }
}

/// Bytes that no implementation may accept.
#[derive(Serialize)]
struct Refused {
    name: &'static str,
    purpose: String,
    reason: &'static str,
    envelope: String,
}

fn reason(error: &MessageError) -> &'static str {
    match error {
        MessageError::Envelope(EnvelopeError::TooLong { .. }) => "too_long",
        MessageError::Envelope(EnvelopeError::NotCose { .. }) => "not_cose",
        MessageError::Envelope(EnvelopeError::NotCanonical) => "envelope_not_canonical",
        MessageError::Envelope(EnvelopeError::WrongPurpose { .. }) => "wrong_purpose",
        MessageError::Envelope(EnvelopeError::Signer(_)) => "unsound_key",
        MessageError::Envelope(EnvelopeError::BadSignature) => "bad_signature",
        MessageError::Envelope(EnvelopeError::Key(_)) => unreachable!("nothing is signed here"),
        MessageError::Malformed { .. } => "malformed",
        MessageError::NotCanonical { .. } => "payload_not_canonical",
        MessageError::Invalid { .. } => "broken_rule",
    }
}

fn refusal_of(purpose: Purpose, bytes: &[u8]) -> MessageError {
    let opened = match purpose {
        Purpose::Report => Report::open(bytes).map(drop),
        Purpose::Instruction => Instruction::open(bytes).map(drop),
        Purpose::Acknowledgement => Acknowledgement::open(bytes).map(drop),
        Purpose::Receipt => Receipt::open(bytes).map(drop),
        Purpose::Resend => ResendRequest::open(bytes).map(drop),
        Purpose::Commission => CommissionRecord::open(bytes).map(drop),
        Purpose::Statement => SiteStatement::open(bytes).map(drop),
        Purpose::Claim => Claim::open(bytes).map(drop),
        Purpose::Acceptance => Acceptance::open(bytes).map(drop),
        Purpose::Admission => Admission::open(bytes).map(drop),
        Purpose::Revocation => Revocation::open(bytes).map(drop),
        Purpose::Rotation => Rotation::open(bytes).map(drop),
        Purpose::Transfer => Transfer::open(bytes).map(drop),
        Purpose::Beacon => Beacon::open(bytes).map(drop),
        Purpose::Original => Original::open(bytes).map(drop),
        Purpose::Bundle => unreachable!("a bundle is no message"),
    };
    opened.expect_err("a forgery is refused")
}

/// Compares a file with what it should be, or writes it when asked to.
pub fn published<V: Serialize>(name: &str, description: &'static str, vectors: Vec<V>) {
    let path: PathBuf = [env!("CARGO_MANIFEST_DIR"), "..", "tests", "vectors", name]
        .iter()
        .collect();
    let mut text = serde_json::to_string_pretty(&File { description, vectors }).expect("plain data");
    text.push('\n');
    if std::env::var_os("GRIDTALLY_WRITE_VECTORS").is_some() {
        fs::write(&path, &text).expect("the vectors' folder can be written");
    }
    let stored = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        stored == text,
        "{name} differs from what the code writes. If the format was changed on purpose, say so in \
         docs/wire-format.md and run with GRIDTALLY_WRITE_VECTORS=1."
    );
}

#[test]
fn published_reports_are_what_the_code_writes() {
    let vectors = examples::reports()
        .into_iter()
        .map(|(name, report)| accepted(name, &report, &GATEWAY_SEED))
        .collect();
    published(
        "report.json",
        "Reports that must be accepted, signed by a gateway.",
        vectors,
    );
}

#[test]
fn published_instructions_are_what_the_code_writes() {
    let vectors = examples::instructions()
        .into_iter()
        .map(|(name, i)| accepted(name, &i, &ENGINE_SEED))
        .collect();
    published(
        "instruction.json",
        "Instructions that must be accepted, signed by an engine.",
        vectors,
    );
}

#[test]
fn published_acknowledgements_are_what_the_code_writes() {
    let vectors = examples::acknowledgements()
        .into_iter()
        .map(|(name, a)| accepted(name, &a, &GATEWAY_SEED))
        .collect();
    published(
        "acknowledgement.json",
        "Acknowledgements that must be accepted, signed by a gateway.",
        vectors,
    );
}

#[test]
fn published_receipts_are_what_the_code_writes() {
    let vectors = examples::receipts()
        .into_iter()
        .map(|(name, r)| accepted(name, &r, &ENGINE_SEED))
        .collect();
    published(
        "receipt.json",
        "Receipts that must be accepted, signed by an engine.",
        vectors,
    );
}

#[test]
fn published_resend_requests_are_what_the_code_writes() {
    let vectors = examples::resends()
        .into_iter()
        .map(|(name, r)| accepted(name, &r, &ENGINE_SEED))
        .collect();
    published(
        "resend.json",
        "Resend requests that must be accepted, signed by an engine.",
        vectors,
    );
}

#[test]
fn published_beacons_are_what_the_code_writes() {
    let vectors = examples::beacons()
        .into_iter()
        .map(|(name, b)| accepted(name, &b, &ENGINE_SEED))
        .collect();
    published(
        "beacon.json",
        "Beacons that must be accepted, signed by an engine.",
        vectors,
    );
}

#[test]
fn published_originals_are_what_the_code_writes() {
    let vectors = examples::originals()
        .into_iter()
        .map(|(name, o)| accepted(name, &o, &GATEWAY_SEED))
        .collect();
    published(
        "original.json",
        "Originals that must be accepted, signed by a gateway.",
        vectors,
    );
}

#[test]
fn published_commissioning_records_are_what_the_code_writes() {
    let vectors = examples::commissions()
        .into_iter()
        .map(|(name, r)| accepted(name, &r, &GATEWAY_SEED))
        .collect();
    published(
        "commission.json",
        "Commissioning records that must be accepted, signed by a gateway.",
        vectors,
    );
}

#[test]
fn published_statements_are_what_the_code_writes() {
    let vectors = examples::statements()
        .into_iter()
        .map(|(name, s)| accepted(name, &s, &ENGINE_SEED))
        .collect();
    published(
        "statement.json",
        "Statements that must be accepted, signed by an engine.",
        vectors,
    );
}

#[test]
fn published_forgeries_are_refused_for_the_stated_reason() {
    let vectors: Vec<Refused> = refused::forgeries()
        .into_iter()
        .map(|(name, purpose, bytes)| Refused {
            name,
            purpose: purpose.to_string(),
            reason: reason(&refusal_of(purpose, &bytes)),
            envelope: hex::encode(bytes),
        })
        .collect();
    for reason in [
        "not_cose",
        "envelope_not_canonical",
        "wrong_purpose",
        "unsound_key",
        "bad_signature",
        "malformed",
        "payload_not_canonical",
        "broken_rule",
    ] {
        assert!(
            vectors.iter().any(|v| v.reason == reason),
            "there is a forgery that is refused as {reason}"
        );
    }
    published(
        "refused.json",
        "Envelopes that must be refused when opened as the purpose that is named.",
        vectors,
    );
}

#[test]
fn published_identities_are_what_the_code_writes() {
    let seeds = [[0; 32], GATEWAY_SEED, ENGINE_SEED, [0xff; 32]];
    let sound = seeds.map(|seed| {
        let identity = SigningIdentity::from_secret(&seed)
            .expect("a sound key")
            .identity();
        let topics = TopicKind::ALL.map(|kind| {
            Topic {
                gateway: identity,
                kind,
            }
            .to_string()
        });
        json!({
            "seed": hex::encode(seed),
            "public_key": hex::encode(identity.as_bytes()),
            "did_key": identity.to_string(),
            "topics": topics,
        })
    });
    let unsound = refused::unsound_keys().into_iter().map(|(name, bytes)| {
        let error = Identity::from_bytes(&bytes).expect_err("an unsound key");
        let refused = if error == IdentityError::Weak {
            "weak"
        } else {
            "not_a_point"
        };
        json!({ "name": name, "public_key": hex::encode(bytes), "refused": refused })
    });
    let vectors = sound.into_iter().chain(unsound).collect();
    published(
        "identity.json",
        "Public keys as did:key and in topics; those that are marked must be refused.",
        vectors,
    );
}
