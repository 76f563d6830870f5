//! Agreements and what changes them: examples, arbitrary ones, and their published vectors.

use gridtally_protocol::agreement::{
    Acceptance, Accepted, Admission, Agreement, AgreementError, BothError, Claim, ClaimedDevice, Holder,
    Papers, PapersError, Revocation, RevocationReason, Rotation, Transfer, both, read_claim, write_claim,
};
use gridtally_protocol::channel::{DeviceNumber, Quantity};
use gridtally_protocol::identity::{Digest, Identity, Signer, SignerError, SigningIdentity};
use gridtally_protocol::message::Message;
use gridtally_protocol::quantity::{MilliwattHours, Milliwatts};
use gridtally_protocol::time::IntervalLength;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::examples::{ENGINE_SEED, GATEWAY_SEED, engine, gateway, instant};
use crate::shown::Shown;
use crate::{decoders, strategies};

pub const OWNER_SEED: [u8; 32] = [0x33; 32];
const NEW_SEED: [u8; 32] = [0x44; 32];

pub fn owner() -> SigningIdentity {
    SigningIdentity::from_secret(&OWNER_SEED).expect("a sound key")
}

fn newcomer() -> SigningIdentity {
    SigningIdentity::from_secret(&NEW_SEED).expect("a sound key")
}

fn device(number: u8, model: &str, serial: &str, watts: i64, quantities: &[Quantity]) -> ClaimedDevice {
    ClaimedDevice {
        number: DeviceNumber(number),
        make: "Example Energy".parse().expect("a label"),
        model: model.parse().expect("a label"),
        serial: serial.parse().expect("a label"),
        nameplate_milliwatts: Milliwatts::new(watts * 1_000),
        capacity_milliwatt_hours: (model == "Store 10").then_some(MilliwattHours::new(10_000_000)),
        quantities: quantities.to_vec(),
    }
}

pub fn claim() -> Claim {
    use Quantity as Q;
    Claim {
        nonce: *b"sixteen of these",
        issued_at: instant("2026-04-01T08:00:00Z"),
        interval: IntervalLength::FIVE_MINUTES,
        devices: vec![
            device(1, "Meter 3", "M-000123", 17_250, &[Q::GridImport, Q::GridExport]),
            device(2, "Roof 8", "R8/00042", 8_000, &[Q::PvProduction]),
            device(
                3,
                "Store 10",
                "S10 77 X",
                5_000,
                &[Q::BatteryDischarge, Q::BatteryCharge, Q::StateOfCharge],
            ),
        ],
        replaces: None,
    }
}

pub fn acceptance() -> Acceptance {
    Acceptance {
        claim: Digest::of(&claim().seal(&gateway()).expect("a valid example")),
        issued_at: instant("2026-04-01T09:00:00Z"),
        site: "home-17".to_owned(),
        location: "59.9,10.7".parse().expect("a location"),
        beneficiary: "ida".to_owned(),
        program: "evening-flex".parse().expect("a program"),
        rules_version: 1,
        nominated_milliwatts: Some(Milliwatts::new(3_000_000)),
        bid_per_kwh: Some("0.85".parse().expect("a price")),
        valid_from: instant("2026-04-02T00:00:00Z"),
        expires_at: instant("2028-04-02T00:00:00Z"),
    }
}

pub fn admission() -> Admission {
    Admission {
        acceptance: Digest::of(&acceptance().seal(&owner()).expect("a valid example")),
        admitted_at: instant("2026-04-01T10:00:00Z"),
        zone: Some("NO1".to_owned()),
        groups: vec!["first-street".to_owned(), "pilot".to_owned()],
    }
}

fn named() -> Digest {
    Digest::of(&admission().seal(&engine()).expect("a valid example"))
}

pub fn revocation() -> Revocation {
    Revocation {
        subject: named(),
        reason: RevocationReason::Ended,
        issued_at: instant("2026-06-01T00:00:00Z"),
        effective_at: instant("2026-06-30T22:00:00Z"),
    }
}

pub fn rotation() -> Rotation {
    Rotation {
        agreement: named(),
        holder: Holder::Gateway,
        old: gateway().identity(),
        new: newcomer().identity(),
        issued_at: instant("2026-06-01T00:00:00Z"),
        effective_at: instant("2026-06-03T00:00:00Z"),
    }
}

pub fn transfer() -> Transfer {
    Transfer {
        agreement: named(),
        from: owner().identity(),
        to: newcomer().identity(),
        beneficiary: "jon".to_owned(),
        issued_at: instant("2026-06-01T00:00:00Z"),
        effective_at: instant("2026-07-01T00:00:00Z"),
    }
}

impl Shown for Claim {
    fn shown(&self) -> Value {
        let device = |device: &ClaimedDevice| {
            json!({
                "number": device.number,
                "make": device.make,
                "model": device.model,
                "serial": device.serial,
                "nameplate_milliwatts": device.nameplate_milliwatts.get().to_string(),
                "capacity_milliwatt_hours": device.capacity_milliwatt_hours.map(|e| e.get().to_string()),
                "quantities": device.quantities.iter().map(|q| q.name()).collect::<Vec<_>>(),
                "physical": device.physical(),
            })
        };
        json!({
            "nonce": hex::encode(self.nonce),
            "issued_at": self.issued_at,
            "interval_seconds": self.interval,
            "replaces": self.replaces,
            "devices": self.devices.iter().map(device).collect::<Vec<_>>(),
        })
    }
}

impl Shown for Acceptance {
    fn shown(&self) -> Value {
        json!({
            "claim": self.claim,
            "issued_at": self.issued_at,
            "site": self.site,
            "location": self.location,
            "beneficiary": self.beneficiary,
            "program": self.program,
            "rules_version": self.rules_version,
            "nominated_milliwatts": self.nominated_milliwatts.map(|p| p.get().to_string()),
            "bid_per_kwh": self.bid_per_kwh,
            "valid_from": self.valid_from,
            "expires_at": self.expires_at,
        })
    }
}

impl Shown for Admission {
    fn shown(&self) -> Value {
        json!({
            "acceptance": self.acceptance,
            "admitted_at": self.admitted_at,
            "zone": self.zone,
            "groups": self.groups,
        })
    }
}

impl Shown for Revocation {
    fn shown(&self) -> Value {
        json!({
            "subject": self.subject,
            "reason": self.reason.name(),
            "issued_at": self.issued_at,
            "effective_at": self.effective_at,
        })
    }
}

impl Shown for Rotation {
    fn shown(&self) -> Value {
        json!({
            "agreement": self.agreement,
            "holder": self.holder.name(),
            "old": self.old,
            "new": self.new,
            "issued_at": self.issued_at,
            "effective_at": self.effective_at,
        })
    }
}

impl Shown for Transfer {
    fn shown(&self) -> Value {
        json!({
            "agreement": self.agreement,
            "from": self.from,
            "to": self.to,
            "beneficiary": self.beneficiary,
            "issued_at": self.issued_at,
            "effective_at": self.effective_at,
        })
    }
}

#[test]
fn published_agreements_are_what_the_code_writes() {
    use crate::vectors::{accepted, published};
    let plain = |mut claim: Claim| {
        claim.devices.truncate(1);
        claim.replaces = Some(named());
        claim
    };
    published(
        "claim.json",
        "Claims that must be accepted, signed by a gateway.",
        vec![
            accepted("a home with three devices", &claim(), &GATEWAY_SEED),
            accepted("a meter in the place of another", &plain(claim()), &GATEWAY_SEED),
        ],
    );
    let modest = Acceptance {
        nominated_milliwatts: None,
        bid_per_kwh: None,
        location: "-33.9,-70.6".parse().expect("a location"),
        ..acceptance()
    };
    published(
        "acceptance.json",
        "Acceptances that must be accepted, signed by an owner.",
        vec![
            accepted("with an offer", &acceptance(), &OWNER_SEED),
            accepted("without an offer, in the south and west", &modest, &OWNER_SEED),
        ],
    );
    let alone = Admission {
        zone: None,
        groups: Vec::new(),
        ..admission()
    };
    published(
        "admission.json",
        "Admissions that must be accepted, signed by an engine.",
        vec![
            accepted("with a zone and groups", &admission(), &ENGINE_SEED),
            accepted("with neither", &alone, &ENGINE_SEED),
        ],
    );
    let revocations = RevocationReason::ALL.map(|reason| {
        let revocation = Revocation {
            reason,
            ..revocation()
        };
        accepted(reason.name(), &revocation, &OWNER_SEED)
    });
    published(
        "revocation.json",
        "Revocations that must be accepted, signed by an owner.",
        revocations.into(),
    );
    published(
        "rotation.json",
        "Rotations that must be accepted: the same payload, signed by the old key and by the new one.",
        vec![
            accepted("by the old key", &rotation(), &GATEWAY_SEED),
            accepted("by the new key", &rotation(), &NEW_SEED),
        ],
    );
    published(
        "transfer.json",
        "Transfers that must be accepted: the same payload, signed by the old owner and by the new one.",
        vec![
            accepted("by the old owner", &transfer(), &OWNER_SEED),
            accepted("by the new owner", &transfer(), &NEW_SEED),
        ],
    );
}

fn papers() -> Papers {
    Papers {
        claim: claim().seal(&gateway()).expect("valid"),
        acceptance: acceptance().seal(&owner()).expect("valid"),
        admission: Some(admission().seal(&engine()).expect("valid")),
    }
}

#[test]
fn three_envelopes_that_name_each_other_are_an_agreement() {
    let agreement = papers().agreement().unwrap();
    assert_eq!(agreement.accepted.gateway(), gateway().identity());
    assert_eq!(agreement.accepted.owner(), owner().identity());
    assert_eq!(agreement.admission.signer, engine().identity());
    assert_eq!(agreement.admission.digest, named());
}

#[test]
fn an_envelope_of_another_chain_is_no_part_of_an_agreement() {
    let whole = papers();
    let admission_bytes = whole.admission.clone().unwrap();
    let mut other_claim = claim();
    other_claim.nonce = [0; 16];
    let other_claim = other_claim.seal(&gateway()).unwrap();
    let refused = Agreement::open(&other_claim, &whole.acceptance, &admission_bytes).unwrap_err();
    let AgreementError::Unchained { which, .. } = refused else {
        panic!("{refused}")
    };
    assert_eq!(which, "acceptance");
    let mut other = acceptance();
    other.beneficiary = "mallory".to_owned();
    let other = other.seal(&owner()).unwrap();
    let refused = Agreement::open(&whole.claim, &other, &admission_bytes).unwrap_err();
    assert!(matches!(
        refused,
        AgreementError::Unchained {
            which: "admission",
            ..
        }
    ));
    // Each in the place of another.
    assert!(Agreement::open(&whole.acceptance, &whole.claim, &admission_bytes).is_err());
}

#[test]
fn nobody_signs_for_two_sides() {
    let whole = papers();
    let by_the_box = acceptance().seal(&gateway()).unwrap();
    assert!(matches!(
        Accepted::open(&whole.claim, &by_the_box),
        Err(AgreementError::OneKey(_))
    ));
    for key in [owner(), gateway()] {
        let admission = admission().seal(&key).unwrap();
        assert!(matches!(
            Agreement::open(&whole.claim, &whole.acceptance, &admission),
            Err(AgreementError::OneKey(_))
        ));
    }
}

#[test]
fn papers_are_written_in_one_way_and_an_agreement_needs_all_three() {
    let whole = papers();
    let text = whole.to_string();
    assert_eq!(Papers::parse(&text).unwrap(), whole);
    assert_eq!(Papers::parse(&text.replace('\n', "\r\n")).unwrap(), whole);
    let handed_in = Papers {
        admission: None,
        ..whole
    };
    assert_eq!(Papers::parse(&handed_in.to_string()).unwrap(), handed_in);
    assert_eq!(handed_in.agreement(), Err(PapersError::NotAdmitted));
    for wrong in [
        String::new(),
        text.replace("gridtally-agreement 1", "gridtally-agreement 2"),
        format!("{text}claim AAAA\n"),
        format!("\n{text}"),
        text.replace("acceptance", "admission"),
        text.replacen("claim ", "claim  ", 1),
        text.replacen("claim ", "claim =", 1),
    ] {
        assert!(Papers::parse(&wrong).is_err(), "{wrong}");
    }
}

#[test]
fn a_claim_is_a_text_and_back() {
    let envelope = claim().seal(&gateway()).unwrap();
    let text = write_claim(&envelope);
    assert!(text.len() < 600, "{} characters fit into a QR code", text.len());
    assert_eq!(read_claim(&text).unwrap(), envelope);
    for wrong in [&text[1..], "gridtally:claim:A", &format!("{text}=")] {
        assert!(read_claim(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn what_two_sign_takes_both_in_their_order() {
    let (old, new) = (
        rotation().seal(&gateway()).unwrap(),
        rotation().seal(&newcomer()).unwrap(),
    );
    let who = |r: &Rotation| (r.old, r.new);
    assert_eq!(both(&old, &new, who).unwrap().digest, Digest::of(&old));
    for (first, second) in [(&new, &old), (&old, &old), (&new, &new)] {
        assert!(matches!(both(first, second, who), Err(BothError::Signers { .. })));
    }
    let mut later = rotation();
    later.effective_at = instant("2026-07-01T00:00:00Z");
    let later = later.seal(&newcomer()).unwrap();
    assert_eq!(both(&old, &later, who), Err(BothError::Differ));
}

/// A key in a chip that is busy, worn out, or not the one it claims to be.
struct Chip(SigningIdentity, Result<SigningIdentity, &'static str>);

impl Signer for Chip {
    fn identity(&self) -> Identity {
        self.0.identity()
    }

    fn try_sign(&self, message: &[u8]) -> Result<[u8; 64], SignerError> {
        match &self.1 {
            Ok(key) => Ok(key.sign(message)),
            Err(why) => Err(SignerError((*why).to_owned())),
        }
    }
}

#[test]
fn a_key_in_a_chip_seals_the_same_bytes_or_none() {
    let sealed = claim().seal_with(&Chip(gateway(), Ok(gateway()))).unwrap();
    assert_eq!(sealed, claim().seal(&gateway()).unwrap());
    let busy = claim().seal_with(&Chip(gateway(), Err("busy"))).unwrap_err();
    assert!(busy.to_string().contains("busy"), "{busy}");
    assert!(claim().seal_with(&Chip(gateway(), Ok(owner()))).is_err());
}

#[test]
fn a_plate_typed_otherwise_is_the_same_device() {
    let typed = |make: &str, serial: &str| ClaimedDevice {
        make: make.parse().unwrap(),
        ..device(1, "Meter 3", serial, 1, &[Quantity::GridImport])
    };
    let one = typed("Example Energy", "M-000123").physical();
    assert_eq!(one, "EXAMPLEENERGY/METER3/M000123");
    for (make, serial) in [("EXAMPLE-ENERGY", "m 000 123"), ("ExampleEnergy", "M000123.")] {
        assert_eq!(typed(make, serial).physical(), one);
    }
    assert_ne!(typed("Example Energy", "M-000124").physical(), one);
}

#[test]
fn one_device_is_claimed_once_for_each_quantity() {
    let mut twice = claim();
    let mut copy = twice.devices[2].clone();
    copy.number = DeviceNumber(9);
    twice.devices.push(copy);
    assert!(twice.encode().is_err());
    // A hybrid inverter may be two devices in the reports.
    let last = twice.devices.last_mut().unwrap();
    last.quantities = vec![Quantity::PvProduction];
    assert!(twice.encode().is_ok());
}

proptest! {
    #[test]
    fn a_claim_reads_back(message in strategies::claim(), key in strategies::key()) {
        crate::messages::reads_back(&message, &key);
    }

    #[test]
    fn an_acceptance_reads_back(message in strategies::acceptance(), key in strategies::key()) {
        crate::messages::reads_back(&message, &key);
    }

    #[test]
    fn an_admission_reads_back(message in strategies::admission(), key in strategies::key()) {
        crate::messages::reads_back(&message, &key);
    }

    #[test]
    fn changes_read_back(
        (revocation, rotation, transfer) in strategies::changes(), key in strategies::key(),
    ) {
        crate::messages::reads_back(&revocation, &key);
        crate::messages::reads_back(&rotation, &key);
        crate::messages::reads_back(&transfer, &key);
    }

    #[test]
    fn any_text_is_papers_or_an_error(text in "(gridtally-agreement 1\n)?(claim [A-Za-z0-9_-]{0,9}\n)?(acceptance [A-Za-z0-9_-]{0,9}\n)?.{0,20}") {
        decoders::papers(text.as_bytes());
    }

    #[test]
    fn damaged_messages_are_refused_or_canonical(
        message in strategies::claim(), acceptance in strategies::acceptance(), admission in strategies::admission(),
        (revocation, rotation, transfer) in strategies::changes(), damage in crate::messages::damage(),
    ) {
        let hurt = |payload: Vec<u8>| crate::messages::damaged(payload, &damage);
        decoders::claim(&hurt(message.encode().unwrap()));
        decoders::acceptance(&hurt(acceptance.encode().unwrap()));
        decoders::admission(&hurt(admission.encode().unwrap()));
        decoders::revocation(&hurt(revocation.encode().unwrap()));
        decoders::rotation(&hurt(rotation.encode().unwrap()));
        decoders::transfer(&hurt(transfer.encode().unwrap()));
    }
}
