//! What a bundle shows of an enrolment that three have signed: it follows from their envelopes, or the bundle fails.

mod scenario;

use gridtally_protocol::agreement::{
    Acceptance, Admission, Agreement, ChangePapers, Claim, ClaimedDevice, Holder, Papers, Revocation,
    RevocationReason, Rotation,
};
use gridtally_protocol::identity::{Digest, SigningIdentity};
use gridtally_protocol::message::Message as _;
use gridtally_protocol::refusal::Refusal;
use gridtally_protocol::time::Timestamp;
use gridtally_settlement::proofs::agreements::SignedSite;
use gridtally_settlement::proofs::bundle::Bundle;
use gridtally_settlement::proofs::derive::{DeriveError, derive};
use gridtally_settlement::proofs::evidence::Evidence;
use gridtally_settlement::proofs::verify::verify;
use gridtally_settlement::registry::history::{Change, Recorded, versions};
use gridtally_settlement::store::agreements::{SiteHistory, StoredAgreement, StoredChange, open_change};
use scenario::{Scenario, engine, gateway, received};

fn owner() -> SigningIdentity {
    SigningIdentity::from_secret(&[77; 32]).unwrap()
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

const LONG_AGO: &str = "2026-01-01T00:00:00Z";

/// What the first home of the scenario signs, with the operator's word on it.
fn signed(evidence: &Evidence, operator: &SigningIdentity) -> StoredAgreement {
    let enrolled = &evidence.enrolments[0];
    let devices = enrolled.devices.iter().map(|device| ClaimedDevice {
        number: device.number,
        make: "Maker".parse().unwrap(),
        model: "Model".parse().unwrap(),
        serial: format!("SN {}", device.number).parse().unwrap(),
        nameplate_milliwatts: device.nameplate_milliwatts,
        capacity_milliwatt_hours: None,
        quantities: device.quantities.clone(),
    });
    let claim = Claim {
        nonce: [1; 16],
        issued_at: at(LONG_AGO),
        interval: enrolled.interval_seconds,
        devices: devices.collect(),
        replaces: None,
    };
    let claim = claim.seal(&gateway(1)).unwrap();
    let acceptance = Acceptance {
        claim: Digest::of(&claim),
        issued_at: at(LONG_AGO),
        site: enrolled.site.to_string(),
        location: "51.5,-0.1".parse().unwrap(),
        beneficiary: enrolled.beneficiary.to_string(),
        program: enrolled.program.clone(),
        rules_version: 1,
        nominated_milliwatts: None,
        bid_per_kwh: None,
        valid_from: at(LONG_AGO),
        expires_at: at("2027-01-01T00:00:00Z"),
    };
    let acceptance = acceptance.seal(&owner()).unwrap();
    let admission = Admission {
        acceptance: Digest::of(&acceptance),
        admitted_at: at(LONG_AGO),
        zone: None,
        groups: Vec::new(),
    };
    let admission = admission.seal(operator).unwrap();
    StoredAgreement {
        agreement: Agreement::open(&claim, &acceptance, &admission).unwrap(),
        papers: Papers {
            claim,
            acceptance,
            admission: Some(admission),
        },
    }
}

fn change(papers: &ChangePapers, agreement: &StoredAgreement, when: &str) -> StoredChange {
    let change = open_change(papers.kind, &papers.first, papers.second.as_deref()).unwrap();
    StoredChange {
        agreement: agreement.agreement.admission.digest,
        recorded: Recorded {
            change,
            effective_at: at(when),
        },
        recorded_at: at(LONG_AGO),
        envelope: papers.first.clone(),
        countersigned: papers.second.clone(),
    }
}

/// Evidence in which the first home has an agreement with these changes.
fn evidence(operator: &SigningIdentity, changes: impl Fn(&StoredAgreement) -> Vec<StoredChange>) -> Evidence {
    let mut evidence = Scenario::new().evidence();
    let agreement = signed(&evidence, operator);
    let history = SiteHistory {
        changes: changes(&agreement),
        agreements: vec![agreement],
    };
    let start = evidence.case.event.start;
    let versions = versions(&history.signed(), &history.recorded()).unwrap();
    let held = versions
        .into_iter()
        .rev()
        .find(|version| version.holds_from <= start);
    evidence.enrolments[0] = held.unwrap().enrolment;
    let site = evidence.enrolments[0].site.clone();
    evidence.agreements = vec![SignedSite::of(site, history, evidence.case.settled_at)];
    evidence
}

fn none(_: &StoredAgreement) -> Vec<StoredChange> {
    Vec::new()
}

fn refused(evidence: &Evidence) -> String {
    let error: DeriveError = derive(evidence).expect_err("it must not hold");
    error.to_string()
}

#[test]
fn a_bundle_with_an_agreement_verifies_and_pays_as_by_word() {
    let word = derive(&Scenario::new().evidence()).unwrap();
    let (bundle, derived) = Bundle::seal(evidence(&engine(), none), &engine()).unwrap();
    let text = bundle.to_text();
    assert!(text.contains(" agreement/home-1 "));
    verify(text.as_bytes(), Some(&engine().identity())).unwrap();
    assert_eq!(derived.statement, word.statement);
    assert_eq!(derived.counts.by_agreement, 1);
    assert_eq!(derived.counts.agreement_signatures, 3);
    assert_eq!(
        derived.counts.by_word,
        u64::try_from(derived.statement.sites.len()).unwrap() - 1
    );
    assert_eq!(word.counts.by_agreement, 0);
}

#[test]
fn an_enrolment_that_says_anything_else_than_was_signed_does_not_hold() {
    let honest = evidence(&engine(), none);
    let bent: [fn(&mut Evidence); 5] = [
        |e| e.enrolments[0].beneficiary = "mallory".parse().unwrap(),
        |e| e.enrolments[0].devices[0].nameplate_milliwatts = e.enrolments[0].devices[1].nameplate_milliwatts,
        |e| e.enrolments[0].agreement.as_mut().unwrap().ends_at = Timestamp::LATEST,
        |e| e.enrolments[0].agreement = None,
        |e| e.agreements.clear(),
    ];
    for bend in bent {
        let mut bent = honest.clone();
        bend(&mut bent);
        let said = refused(&bent);
        assert!(said.contains("home-1"), "{said}");
    }
    let mut other_site = honest.clone();
    other_site.agreements[0].site = "home-99".parse().unwrap();
    refused(&other_site);
}

#[test]
fn an_agreement_with_a_changed_byte_or_of_another_engine_does_not_hold() {
    let honest = evidence(&engine(), none);
    for envelope in 0..3 {
        let mut forged = honest.clone();
        let agreement = &mut forged.agreements[0].agreements[0];
        let bytes = [
            &mut agreement.claim,
            &mut agreement.acceptance,
            &mut agreement.admission,
        ];
        *bytes.into_iter().nth(envelope).unwrap().last_mut().unwrap() ^= 1;
        let said = refused(&forged);
        assert!(said.contains("agreement/home-1"), "{said}");
    }
    let stranger = SigningIdentity::from_secret(&[78; 32]).unwrap();
    let said = refused(&evidence(&stranger, none));
    assert!(said.contains("not by this engine"), "{said}");
}

#[test]
fn what_is_measured_after_the_end_of_an_agreement_does_not_count() {
    let ended = evidence(&engine(), |agreement| {
        let event = Scenario::new().evidence().case.event;
        let last = event.end.checked_add(-1_800).unwrap();
        let revocation = Revocation {
            subject: agreement.agreement.admission.digest,
            reason: RevocationReason::Ended,
            issued_at: at(LONG_AGO),
            effective_at: last,
        };
        let papers = ChangePapers {
            kind: "revocation",
            first: revocation.seal(&owner()).unwrap(),
            second: None,
        };
        vec![change(&papers, agreement, &last.to_string())]
    });
    let derived = derive(&ended).unwrap();
    let reasons: Vec<Refusal> = derived.refused.iter().map(|refused| refused.reason).collect();
    assert!(reasons.contains(&Refusal::NotValidThen), "{reasons:?}");
}

/// The box changes its key just before the event, and sends the event's reports with the new one.
#[test]
fn a_home_whose_key_was_rotated_is_compared_with_what_its_old_key_signed() {
    let new = SigningIdentity::from_secret(&[79; 32]).unwrap();
    let scenario = Scenario::new();
    let plain = scenario.evidence();
    let gateway_key = gateway(1);
    // Reports are six hours long, and the event is within the last of them.
    let reports = &scenario.reports[&1];
    let first_new = reports
        .iter()
        .position(|report| report.end().unwrap() > plain.case.event.start)
        .unwrap();
    let moment = reports[first_new].start;
    let mut rotated = evidence(&engine(), |agreement| {
        let rotation = Rotation {
            agreement: agreement.agreement.admission.digest,
            holder: Holder::Gateway,
            old: gateway_key.identity(),
            new: new.identity(),
            issued_at: at(LONG_AGO),
            effective_at: moment,
        };
        let papers = ChangePapers {
            kind: "rotation",
            first: rotation.seal(&gateway(1)).unwrap(),
            second: Some(rotation.seal(&new).unwrap()),
        };
        vec![change(&papers, agreement, &moment.to_string())]
    });
    assert_eq!(rotated.enrolments[0].gateway, new.identity());
    rotated
        .reports
        .retain(|report| report.gateway != gateway_key.identity());
    let (mut sequence, mut previous) = (1, Digest::NONE);
    for (place, report) in reports.iter().enumerate() {
        if place < first_new {
            rotated.reports.push(received(&gateway(1), &gateway(1), report));
            continue;
        }
        let mut report = report.clone();
        (report.sequence, report.previous) = (sequence, previous);
        let sent = received(&new, &new, &report);
        (sequence, previous) = (sequence + 1, Digest::of(&sent.envelope));
        rotated.reports.push(sent);
    }
    let paid = |evidence: &Evidence| {
        let statement = derive(evidence).unwrap().statement;
        let site = statement
            .sites
            .into_iter()
            .find(|site| site.site.as_str() == "home-1");
        site.unwrap().lines
    };
    assert_eq!(paid(&rotated), paid(&plain));
    // What the old key signs of the event is nothing, and takes nothing away.
    for report in &reports[first_new..] {
        let mut report = report.clone();
        report.series[0].samples.fill(Ok(0));
        rotated.reports.push(received(&gateway(1), &gateway(1), &report));
    }
    assert_eq!(paid(&rotated), paid(&plain));
    let derived = derive(&rotated).unwrap();
    assert!(
        derived
            .refused
            .iter()
            .any(|refused| refused.reason == Refusal::Revoked)
    );
}

#[test]
fn a_rotation_that_only_the_old_key_signed_does_not_hold() {
    let mut half = evidence(&engine(), |agreement| {
        let rotation = Rotation {
            agreement: agreement.agreement.admission.digest,
            holder: Holder::Owner,
            old: owner().identity(),
            new: gateway(9).identity(),
            issued_at: at(LONG_AGO),
            effective_at: at("2026-01-03T00:00:00Z"),
        };
        let papers = ChangePapers {
            kind: "rotation",
            first: rotation.seal(&owner()).unwrap(),
            second: Some(rotation.seal(&gateway(9)).unwrap()),
        };
        let change = change(&papers, agreement, "2026-01-03T00:00:00Z");
        assert!(matches!(change.recorded.change, Change::Rotated(_)));
        vec![change]
    });
    derive(&half).unwrap();
    half.agreements[0].changes[0].envelopes.pop();
    assert!(refused(&half).contains("two signatures"));
}
