//! Enrolments that three have signed: one device once, nobody takes what is not his, and history stays.

#[path = "room/mod.rs"]
mod room;

use gridtally_protocol::agreement::{
    Acceptance, ChangePapers, Claim, ClaimedDevice, Holder, Papers, ROTATION_DELAY_SECONDS, Revocation,
    RevocationReason, Rotation, Transfer,
};
use gridtally_protocol::channel::{DeviceNumber, Quantity};
use gridtally_protocol::identity::{Digest, SigningIdentity};
use gridtally_protocol::message::Message as _;
use gridtally_protocol::quantity::Milliwatts;
use gridtally_protocol::time::{IntervalLength, Timestamp};
use gridtally_settlement::admission::{AdmissionError, Verdict, admit, amend, revoke};
use gridtally_settlement::registry::{ChangeError, Enrolment, Membership, Shared};
use gridtally_settlement::store::agreements::{self, StoredAgreement};
use gridtally_settlement::store::programs;

use room::{NOON, Room, at};

fn key(seed: u8) -> SigningIdentity {
    SigningIdentity::from_secret(&[seed; 32]).unwrap()
}

/// A home with its two keys, and what they sign.
struct House {
    gateway: SigningIdentity,
    owner: SigningIdentity,
    claim: Claim,
    acceptance: Acceptance,
}

fn later(hours: i64) -> Timestamp {
    at(NOON).checked_add(hours * 3_600).unwrap()
}

impl House {
    fn new(number: u8) -> Self {
        let device = |device, watts: i64, quantities: &[Quantity]| ClaimedDevice {
            number: DeviceNumber(device),
            make: "Maker".parse().unwrap(),
            model: format!("Model {device}").parse().unwrap(),
            serial: format!("SN-{number}-{device}").parse().unwrap(),
            nameplate_milliwatts: Milliwatts::new(watts * 1_000),
            capacity_milliwatt_hours: None,
            quantities: quantities.to_vec(),
        };
        let claim = Claim {
            nonce: [number; 16],
            issued_at: at(NOON),
            interval: IntervalLength::FIVE_MINUTES,
            devices: vec![
                device(1, 12_000, &[Quantity::GridImport, Quantity::GridExport]),
                device(2, 6_000, &[Quantity::PvProduction]),
            ],
            replaces: None,
        };
        let acceptance = Acceptance {
            claim: Digest::NONE,
            issued_at: at(NOON),
            site: format!("home-{number}"),
            location: "51.5,-0.1".parse().unwrap(),
            beneficiary: format!("owner-{number}"),
            program: "evening-flex".parse().unwrap(),
            rules_version: 1,
            nominated_milliwatts: None,
            bid_per_kwh: None,
            valid_from: at(NOON),
            expires_at: later(24 * 365),
        };
        Self {
            gateway: key(100 + number),
            owner: key(50 + number),
            claim,
            acceptance,
        }
    }

    fn papers(&self) -> Papers {
        let claim = self.claim.seal(&self.gateway).unwrap();
        let acceptance = Acceptance {
            claim: Digest::of(&claim),
            ..self.acceptance.clone()
        };
        Papers {
            acceptance: acceptance.seal(&self.owner).unwrap(),
            claim,
            admission: None,
        }
    }

    fn admitted(&self, room: &mut Room) -> StoredAgreement {
        match handed_in(room, &self.papers(), later(0)).unwrap() {
            Verdict::Admitted(kept) => *kept,
            Verdict::Taken(conflicts) => panic!("{conflicts:?}"),
        }
    }
}

fn engine(room: &Room) -> SigningIdentity {
    gridtally_settlement::engine::engine_key(&room.options.data).unwrap()
}

fn handed_in(room: &mut Room, papers: &Papers, now: Timestamp) -> Result<Verdict, AdmissionError> {
    let key = engine(room);
    room.store
        .transact(|t| admit(t, &key, papers, &Membership::default(), now))
}

fn at_instant(room: &mut Room, now: Timestamp) -> Vec<Enrolment> {
    room.store.transact(|t| programs::enrolments_at(t, now)).unwrap()
}

fn amended(
    room: &mut Room,
    papers: &ChangePapers,
    now: Timestamp,
) -> Result<agreements::StoredChange, AdmissionError> {
    room.store
        .transact(|t| amend(t, papers, ROTATION_DELAY_SECONDS, now))
}

#[test]
fn what_three_signed_is_the_enrolment_and_the_same_again_changes_nothing() {
    let mut room = Room::open();
    let house = House::new(1);
    let kept = house.admitted(&mut room);
    let again = house.admitted(&mut room);
    assert_eq!(kept, again);
    let enrolled = at_instant(&mut room, later(1));
    assert_eq!(enrolled.len(), 1);
    let standing = enrolled[0].agreement.as_ref().unwrap();
    assert_eq!(standing.agreement, kept.agreement.admission.digest);
    assert_eq!(enrolled[0].gateway, house.gateway.identity());
    assert_eq!(enrolled[0].beneficiary.as_str(), "owner-1");
    assert!(at_instant(&mut room, later(-1)).is_empty(), "not yet");
    assert!(at_instant(&mut room, later(24 * 365)).is_empty(), "no more");
}

#[test]
fn a_serial_seen_twice_is_refused_and_both_agreements_are_kept() {
    let mut room = Room::open();
    let first = House::new(1).admitted(&mut room);
    let mut second = House::new(2);
    second.claim.devices[0].serial = "sn 1 1".parse().unwrap();
    second.claim.devices[0].make = "MAKER".parse().unwrap();
    let papers = second.papers();
    let Verdict::Taken(conflicts) = handed_in(&mut room, &papers, later(1)).unwrap() else {
        panic!("admitted twice");
    };
    assert_eq!(conflicts.len(), 1);
    assert_eq!(conflicts[0].with, first.agreement.admission.digest);
    let Shared::Devices(devices) = &conflicts[0].shared else {
        panic!("{conflicts:?}")
    };
    assert!(devices.contains("MAKER/MODEL1/SN11"));
    let kept = room.store.transact(|t| agreements::conflicts(t)).unwrap();
    assert_eq!(kept.len(), 1);
    assert_eq!(kept[0].papers, papers);
    assert_eq!(
        at_instant(&mut room, later(2)).len(),
        1,
        "the second is not enrolled"
    );
    // When the first is over, the device is free.
    second.acceptance.valid_from = later(24 * 365);
    second.acceptance.expires_at = later(24 * 700);
    assert!(matches!(
        handed_in(&mut room, &second.papers(), later(2)).unwrap(),
        Verdict::Admitted(_)
    ));
}

#[test]
fn one_gateway_or_site_is_not_enrolled_twice_at_a_time() {
    let mut room = Room::open();
    House::new(1).admitted(&mut room);
    let mut moved = House::new(2);
    moved.gateway = key(101);
    let Verdict::Taken(conflicts) = handed_in(&mut room, &moved.papers(), later(1)).unwrap() else {
        panic!("one box at two sites");
    };
    assert!(matches!(conflicts[0].shared, Shared::Gateway(_)));
    let mut squatter = House::new(3);
    squatter.acceptance.site = "home-1".into();
    let Verdict::Taken(conflicts) = handed_in(&mut room, &squatter.papers(), later(1)).unwrap() else {
        panic!("two boxes at one site");
    };
    assert!(matches!(conflicts[0].shared, Shared::Site(_)));
}

#[test]
fn what_is_over_of_the_future_or_under_other_rules_is_not_admitted() {
    let mut room = Room::open();
    let mut house = House::new(1);
    house.acceptance.rules_version = 2;
    let refused = handed_in(&mut room, &house.papers(), later(0)).unwrap_err();
    assert!(matches!(
        refused,
        AdmissionError::OtherRules {
            accepted: 2,
            current: 1,
            ..
        }
    ));
    let house = House::new(1);
    let refused = handed_in(&mut room, &house.papers(), later(-1)).unwrap_err();
    assert!(matches!(refused, AdmissionError::FromTheFuture { .. }));
    let refused = handed_in(&mut room, &house.papers(), later(24 * 365)).unwrap_err();
    assert!(matches!(refused, AdmissionError::Expired(_)));
    assert!(at_instant(&mut room, later(1)).is_empty());
}

fn rotation(kept: &StoredAgreement, old: &SigningIdentity, new: &SigningIdentity) -> ChangePapers {
    let rotation = Rotation {
        agreement: kept.agreement.admission.digest,
        holder: Holder::Gateway,
        old: old.identity(),
        new: new.identity(),
        issued_at: later(1),
        effective_at: later(2),
    };
    ChangePapers {
        kind: "rotation",
        first: rotation.seal(old).unwrap(),
        second: Some(rotation.seal(new).unwrap()),
    }
}

#[test]
fn a_new_key_counts_after_two_days_and_the_owner_can_forbid_it_until_then() {
    let mut room = Room::open();
    let house = House::new(1);
    let kept = house.admitted(&mut room);
    let new = key(9);
    let papers = rotation(&kept, &house.gateway, &new);
    let recorded = amended(&mut room, &papers, later(1)).unwrap();
    assert_eq!(
        recorded.recorded.effective_at,
        later(49),
        "not at the hour that it asks for"
    );
    assert_eq!(
        at_instant(&mut room, later(48))[0].gateway,
        house.gateway.identity()
    );
    let after = at_instant(&mut room, later(49)).remove(0);
    assert_eq!(after.gateway, new.identity());
    assert_eq!(after.former().next().unwrap().gateway, house.gateway.identity());
    let veto = |by: &SigningIdentity| ChangePapers {
        kind: "revocation",
        first: Revocation {
            subject: recorded.recorded.change.digest(),
            reason: RevocationReason::Vetoed,
            issued_at: later(2),
            effective_at: later(2),
        }
        .seal(by)
        .unwrap(),
        second: None,
    };
    let refused = amended(&mut room, &veto(&house.gateway), later(2)).unwrap_err();
    assert!(matches!(
        refused,
        AdmissionError::Change(ChangeError::NotTheHolder { .. })
    ));
    let refused = amended(&mut room, &veto(&house.owner), later(49)).unwrap_err();
    assert!(matches!(refused, AdmissionError::Change(ChangeError::TooLate(_))));
    amended(&mut room, &veto(&house.owner), later(3)).unwrap();
    assert_eq!(
        at_instant(&mut room, later(60))[0].gateway,
        house.gateway.identity()
    );
    let of_new = room
        .store
        .transact(|t| programs::enrolments_of(t, [new.identity()], later(60)))
        .unwrap();
    assert!(of_new.is_empty(), "a key that was vetoed is nobody's");
}

#[test]
fn a_stranger_rotates_transfers_and_revokes_nothing() {
    let mut room = Room::open();
    let house = House::new(1);
    let kept = house.admitted(&mut room);
    let (stranger, other) = (key(8), key(9));
    let refused = amended(&mut room, &rotation(&kept, &stranger, &other), later(1)).unwrap_err();
    assert!(matches!(
        refused,
        AdmissionError::Change(ChangeError::NotTheHolder { .. })
    ));
    let refused = amended(&mut room, &transfer(&kept, &stranger, &other), later(1)).unwrap_err();
    assert!(matches!(
        refused,
        AdmissionError::Change(ChangeError::NotTheHolder { .. })
    ));
    let revocation = ChangePapers {
        kind: "revocation",
        first: Revocation {
            subject: kept.agreement.admission.digest,
            reason: RevocationReason::Ended,
            issued_at: later(1),
            effective_at: later(1),
        }
        .seal(&stranger)
        .unwrap(),
        second: None,
    };
    let refused = amended(&mut room, &revocation, later(1)).unwrap_err();
    assert!(matches!(
        refused,
        AdmissionError::Change(ChangeError::Stranger(_))
    ));
    // And a rotation that only the old key has signed is none.
    let mut half = rotation(&kept, &house.gateway, &other);
    half.second = None;
    assert!(matches!(
        amended(&mut room, &half, later(1)),
        Err(AdmissionError::Unsigned(_))
    ));
}

fn transfer(kept: &StoredAgreement, from: &SigningIdentity, to: &SigningIdentity) -> ChangePapers {
    let transfer = Transfer {
        agreement: kept.agreement.admission.digest,
        from: from.identity(),
        to: to.identity(),
        beneficiary: "jon".into(),
        issued_at: later(1),
        effective_at: later(24),
    };
    ChangePapers {
        kind: "transfer",
        first: transfer.seal(from).unwrap(),
        second: Some(transfer.seal(to).unwrap()),
    }
}

#[test]
fn what_was_earned_before_a_transfer_stays_with_the_old_beneficiary() {
    let mut room = Room::open();
    let house = House::new(1);
    let kept = house.admitted(&mut room);
    amended(&mut room, &transfer(&kept, &house.owner, &key(9)), later(1)).unwrap();
    assert_eq!(
        at_instant(&mut room, later(23))[0].beneficiary.as_str(),
        "owner-1"
    );
    let after = at_instant(&mut room, later(24)).remove(0);
    assert_eq!(after.beneficiary.as_str(), "jon");
    assert_eq!(after.agreement.unwrap().owner, key(9).identity());
    let again = amended(&mut room, &transfer(&kept, &house.owner, &key(7)), later(25)).unwrap_err();
    assert!(matches!(
        again,
        AdmissionError::Change(ChangeError::NotTheHolder { .. })
    ));
}

#[test]
fn a_replaced_device_goes_on_where_the_old_one_ended() {
    let mut room = Room::open();
    let house = House::new(1);
    let kept = house.admitted(&mut room);
    let mut replaced = House::new(1);
    replaced.claim.devices[1].serial = "SN-NEW".parse().unwrap();
    replaced.claim.devices[1].nameplate_milliwatts = Milliwatts::new(8_000_000);
    replaced.acceptance.valid_from = later(10);
    // Without naming what it replaces it is a second enrolment.
    assert!(matches!(
        handed_in(&mut room, &replaced.papers(), later(1)).unwrap(),
        Verdict::Taken(_)
    ));
    replaced.claim.replaces = Some(kept.agreement.accepted.claim.digest);
    let stolen = House {
        owner: key(8),
        claim: replaced.claim.clone(),
        acceptance: replaced.acceptance.clone(),
        gateway: key(101),
    };
    assert!(
        matches!(
            handed_in(&mut room, &stolen.papers(), later(1)).unwrap(),
            Verdict::Taken(_)
        ),
        "only the owner replaces"
    );
    replaced.admitted(&mut room);
    let nameplate = |room: &mut Room, when| at_instant(room, when)[0].devices[1].nameplate_milliwatts.get();
    assert_eq!(nameplate(&mut room, later(9)), 6_000_000);
    assert_eq!(nameplate(&mut room, later(10)), 8_000_000);
    let standing = at_instant(&mut room, later(10)).remove(0).agreement.unwrap();
    assert_eq!(
        standing.valid_from,
        later(0),
        "what was measured before is still compared with"
    );
}

#[test]
fn an_agreement_that_the_operator_revoked_holds_no_more() {
    let mut room = Room::open();
    House::new(1).admitted(&mut room);
    let key = engine(&room);
    let site = "home-1".parse().unwrap();
    let revocation = |subject| Revocation {
        subject,
        reason: RevocationReason::Compromised,
        issued_at: later(5),
        effective_at: later(5),
    };
    room.store
        .transact(|t| revoke(t, &key, &site, revocation, later(5)))
        .unwrap();
    assert_eq!(at_instant(&mut room, later(4)).len(), 1);
    assert!(at_instant(&mut room, later(5)).is_empty());
    let known = room
        .store
        .transact(|t| programs::enrolments_of(t, [self::key(101).identity()], later(6)))
        .unwrap();
    assert!(known[0].agreement.as_ref().unwrap().is_compromised(later(5)));
}
