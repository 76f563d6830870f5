//! A device proves on itself that it obeys and that it goes back; each way to fail has its own name, and the
//! owner's setting is back in the end whatever happened.

mod commission_support;

use std::time::Duration;

use commission_support::{BATTERY, Bench, NIGHT, NOON, PV, failure, key, modern, quiet, record};
use gridtally_edge::commission::{CommissionError, Obstacle, Outcome, Time as _};
use gridtally_edge::control::policy::{Decision, Moment, Proof, decide};
use gridtally_edge::device::Hand;
use gridtally_edge::home;
use gridtally_protocol::acknowledgement::Declined;
use gridtally_protocol::channel::DeviceNumber;
use gridtally_protocol::commission::{CommissionRecord, Failure, Step, StepResult};
use gridtally_protocol::instruction::{Instruction, Target};
use gridtally_protocol::message::Message as _;
use gridtally_protocol::quantity::Milliwatts;
use gridtally_protocol::report::ClockState;
use gridtally_protocol::time::Timestamp;
use gridtally_simulators::{Device, Fault, Home, HomeSpec, Role};

/// The registers by which a battery or an inverter is controlled, as the device holds them.
fn controls(device: &Device) -> Vec<Option<i64>> {
    let of = |model, points: &[&str]| {
        points
            .iter()
            .map(|point| device.value(model, point))
            .collect::<Vec<_>>()
    };
    [
        of(123, &["WMaxLimPct", "WMaxLim_Ena"]),
        of(124, &["StorCtl_Mod", "OutWRte", "InWRte", "ChaGriSet"]),
        of(704, &["WMaxLimPctEna", "WMaxLimPct", "WSetEna", "WSet"]),
    ]
    .concat()
}

#[tokio::test]
async fn a_healthy_battery_passes_and_shows_it_at_the_meter_and_in_the_counters() {
    for (spec, name) in [(quiet(), "model 124"), (modern(), "model 704")] {
        let mut bench = Bench::new(spec, NIGHT).await;
        let before = controls(bench.time.home.battery_inverter());
        let outcome = bench.battery().await;
        let record = record(&outcome);
        assert!(record.passed(), "{name}: {:#?}", bench.told);
        assert_eq!(record.told.get().abs(), 500_000, "{name}");
        assert_eq!(record.reversion_seconds, 60);
        assert!(record.fingerprint.is_some());
        let results: Vec<_> = record.steps.iter().map(|step| (step.step, step.result)).collect();
        let passed: Vec<_> = Step::ALL.map(|step| (step, StepResult::Passed)).to_vec();
        assert_eq!(results, passed, "{name}: {:#?}", bench.told);
        assert_eq!(controls(bench.time.home.battery_inverter()), before, "{name}");
        let outbox = bench.outbox();
        assert_eq!(
            outbox.proof(DeviceNumber(BATTERY), Hand::Battery).unwrap(),
            Proof::Passed
        );
        assert_eq!(outbox.owner_setting(Hand::Battery).unwrap(), None);
        let stored = outbox
            .commission(DeviceNumber(BATTERY), Hand::Battery)
            .unwrap()
            .unwrap();
        let signed = CommissionRecord::open(&stored).unwrap();
        assert_eq!((signed.signer, &signed.message), (outbox.identity(), record));
    }
}

async fn fails(spec: HomeSpec, fault: Fault, hand: Hand) -> Option<(Step, Failure)> {
    let start = if hand == Hand::Battery { NIGHT } else { NOON };
    let mut bench = Bench::new(spec, start).await;
    let device = |bench: &Bench| match hand {
        Hand::Battery => bench.time.home.battery_inverter().clone(),
        Hand::Production => bench.time.home.pv_inverter().clone(),
    };
    let before = controls(&device(&bench));
    device(&bench).inject(fault);
    let outcome = match hand {
        Hand::Battery => bench.battery().await,
        Hand::Production => bench.production().await,
    };
    let number = if hand == Hand::Battery { BATTERY } else { PV };
    let outbox = bench.outbox();
    assert_eq!(outbox.proof(DeviceNumber(number), hand).unwrap(), Proof::Failed);
    assert_eq!(outbox.owner_setting(hand).unwrap(), None, "{:#?}", bench.told);
    assert_eq!(
        controls(&device(&bench)),
        before,
        "the owner's setting is back: {:#?}",
        bench.told
    );
    failure(&outcome)
}

#[tokio::test]
async fn each_way_to_fail_has_its_own_name_and_the_owners_setting_is_back() {
    for (fault, expected) in [
        (Fault::WritesRefused, (Step::Write, Failure::RefusesWrites)),
        (Fault::WritesIgnored, (Step::ReadBack, Failure::IgnoresWrites)),
        (Fault::WritesNotObeyed, (Step::Observe, Failure::DoesNotObey)),
        (Fault::SwappedSign, (Step::Observe, Failure::WrongSign)),
        (Fault::NeverReverts, (Step::Revert, Failure::DoesNotRevert)),
        (
            Fault::ReversionUnit { seconds: 60 },
            (Step::Revert, Failure::RevertsInOtherUnit),
        ),
    ] {
        for spec in [quiet(), modern()] {
            assert_eq!(
                fails(spec, fault, Hand::Battery).await,
                Some(expected),
                "{fault:?}"
            );
        }
    }
}

#[tokio::test]
async fn panels_prove_by_day_that_they_obey_a_limit() {
    for (spec, name) in [(quiet(), "model 123"), (modern(), "model 704")] {
        let mut bench = Bench::new(spec, NOON).await;
        let outcome = bench.production().await;
        assert!(record(&outcome).passed(), "{name}: {:#?}", bench.told);
    }
    for (fault, expected) in [
        (Fault::WritesRefused, (Step::Write, Failure::RefusesWrites)),
        (Fault::WritesIgnored, (Step::ReadBack, Failure::IgnoresWrites)),
        (Fault::WritesNotObeyed, (Step::Observe, Failure::DoesNotObey)),
        (Fault::SwappedSign, (Step::Measure, Failure::WrongSign)),
        (Fault::NeverReverts, (Step::Revert, Failure::DoesNotRevert)),
        (
            Fault::ReversionUnit { seconds: 60 },
            (Step::Revert, Failure::RevertsInOtherUnit),
        ),
    ] {
        for spec in [quiet(), modern()] {
            assert_eq!(
                fails(spec, fault, Hand::Production).await,
                Some(expected),
                "{fault:?}"
            );
        }
    }
}

#[tokio::test]
async fn panels_are_not_tried_at_night_and_nothing_is_stored() {
    let mut bench = Bench::new(quiet(), NIGHT).await;
    let outcome = bench.production().await;
    let Outcome::NotTried { why, is_restored } = outcome else {
        panic!("{outcome:?}")
    };
    assert!(matches!(why, Obstacle::TooDark { .. }), "{why}");
    assert!(is_restored);
    let proof = bench.outbox().proof(DeviceNumber(PV), Hand::Production).unwrap();
    assert_eq!(proof, Proof::Untried);
}

#[tokio::test]
async fn a_meter_with_the_other_sign_is_told_with_the_line_to_change() {
    let mut bench = Bench::new(quiet(), NIGHT).await;
    bench.extra[0] = "positive_power = \"export\"\n".to_owned();
    let outcome = bench.battery().await;
    assert_eq!(
        failure(&outcome),
        Some((Step::Meter, Failure::WrongSign)),
        "{:#?}",
        bench.told
    );
    assert!(
        bench
            .told
            .iter()
            .any(|line| line.contains("positive_power = \"import\"")),
        "{:#?}",
        bench.told
    );
}

#[tokio::test]
async fn a_meter_with_swapped_counters_is_told_with_the_line_to_change() {
    let mut bench = Bench::new(quiet(), NIGHT).await;
    bench.extra[0] = "counters_swapped = true\n".to_owned();
    let outcome = bench.battery().await;
    assert_eq!(
        failure(&outcome),
        Some((Step::Direction, Failure::WrongSign)),
        "{:#?}",
        bench.told
    );
    assert!(
        bench.told.iter().any(|line| line.contains("counters_swapped")),
        "{:#?}",
        bench.told
    );
}

#[tokio::test]
async fn a_commissioning_that_is_interrupted_anywhere_gives_the_device_back_and_keeps_the_earlier_proof() {
    for seconds in [10, 25, 40, 90, 130] {
        let mut bench = Bench::new(quiet(), NIGHT).await;
        let before = controls(bench.time.home.battery_inverter());
        bench.time.interrupted_at = Some(NIGHT + 60 + seconds);
        let outcome = bench.battery().await;
        let expected = Outcome::NotTried {
            why: Obstacle::Interrupted,
            is_restored: true,
        };
        assert_eq!(outcome, expected, "after {seconds} s");
        assert_eq!(
            controls(bench.time.home.battery_inverter()),
            before,
            "after {seconds} s"
        );
        let proof = bench
            .outbox()
            .proof(DeviceNumber(BATTERY), Hand::Battery)
            .unwrap();
        assert_eq!(proof, Proof::Untried);
    }
}

#[tokio::test]
async fn after_a_kill_in_the_middle_the_agents_start_gives_the_device_back() {
    let mut bench = Bench::new(quiet(), NIGHT).await;
    let before = controls(bench.time.home.battery_inverter());
    bench.time.home.battery_inverter().inject(Fault::NeverReverts);
    bench.time.dies_at = Some(NIGHT + 60 + 45);
    let died = tokio::time::timeout(Duration::from_secs(5), bench.battery()).await;
    assert!(died.is_err());
    assert_ne!(
        controls(bench.time.home.battery_inverter()),
        before,
        "it died under the command"
    );
    assert!(bench.outbox().owner_setting(Hand::Battery).unwrap().is_some());
    bench.agent_looks_once().await;
    assert_eq!(controls(bench.time.home.battery_inverter()), before);
    assert_eq!(bench.outbox().owner_setting(Hand::Battery).unwrap(), None);
}

#[tokio::test]
async fn after_a_kill_in_the_middle_another_commissioning_begins_with_the_owners_setting() {
    let mut bench = Bench::new(quiet(), NIGHT).await;
    let before = controls(bench.time.home.battery_inverter());
    bench.time.dies_at = Some(NIGHT + 60 + 45);
    let died = tokio::time::timeout(Duration::from_secs(5), bench.battery()).await;
    assert!(died.is_err());
    bench.time.dies_at = None;
    let outcome = bench.battery().await;
    assert!(record(&outcome).passed(), "{:#?}", bench.told);
    assert_eq!(controls(bench.time.home.battery_inverter()), before);
}

#[tokio::test]
async fn the_home_is_proven_only_when_each_of_its_controls_passed() {
    let mut bench = Bench::new(quiet(), NOON).await;
    bench.time.home.advance_to(NOON + 120);
    let proof = |bench: &Bench| home::home(&bench.config(), &bench.outbox()).unwrap().proof;
    assert_eq!(proof(&bench), Proof::Untried);
    assert!(record(&bench.battery().await).passed(), "{:#?}", bench.told);
    assert_eq!(proof(&bench), Proof::Untried, "the panels were not tried");
    assert!(record(&bench.production().await).passed(), "{:#?}", bench.told);
    assert_eq!(proof(&bench), Proof::Passed);
    bench.time.home.battery_inverter().inject(Fault::WritesIgnored);
    assert!(!record(&bench.battery().await).passed());
    assert_eq!(proof(&bench), Proof::Failed);
}

#[tokio::test]
async fn somebody_who_sets_the_device_meanwhile_is_not_overruled() {
    let mut bench = Bench::new(quiet(), NIGHT).await;
    let device = bench.time.home.battery_inverter().clone();
    let set = device.clone();
    let meddle = move |_: &Home| {
        // He holds the discharge at 3 % himself.
        let [high, low] = set.address(124, "OutWRte").unwrap().to_be_bytes();
        set.answer_pdu(&[0x06, high, low, 0x01, 0x2c]).unwrap();
    };
    bench.time.meddled_at = Some((NIGHT + 60 + 50, Box::new(meddle)));
    let outcome = bench.battery().await;
    let expected = Outcome::NotTried {
        why: Obstacle::Overruled,
        is_restored: true,
    };
    assert_eq!(outcome, expected, "{:#?}", bench.told);
    assert_eq!(device.value(124, "OutWRte"), Some(300));
    assert_eq!(bench.outbox().owner_setting(Hand::Battery).unwrap(), None);
}

#[tokio::test]
async fn a_hybrid_with_a_profile_and_a_timer_passes() {
    let mut bench = Bench::profiled("huawei-sun2000", NIGHT).await;
    let outcome = bench.battery().await;
    assert!(record(&outcome).passed(), "{:#?}", bench.told);
}

#[tokio::test]
async fn a_device_without_a_timer_is_told_and_given_back() {
    for name in ["sungrow-shxrt", "goodwe-et"] {
        let mut bench = Bench::profiled(name, NIGHT).await;
        let outcome = bench.battery().await;
        let expected = Some((Step::Revert, Failure::NoTimer));
        assert_eq!(failure(&outcome), expected, "{name}: {:#?}", bench.told);
        assert_eq!(record(&outcome).reversion_seconds, 0);
        assert_eq!(bench.outbox().owner_setting(Hand::Battery).unwrap(), None);
    }
}

#[tokio::test]
async fn a_home_without_a_meter_proves_what_can_be_seen() {
    let mut bench = Bench::new(quiet(), NIGHT).await;
    bench.servers.retain(|(role, _)| *role != Role::Meter);
    let outcome = bench.battery().await;
    let record = record(&outcome);
    assert!(record.passed(), "{:#?}", bench.told);
    let meter = record.steps.iter().find(|step| step.step == Step::Meter).unwrap();
    assert_eq!(meter.result, StepResult::Skipped);
}

#[tokio::test]
async fn a_household_that_lives_meanwhile_does_not_hide_it() {
    let mut passed = 0;
    for hour in 0..6 {
        let mut spec = quiet();
        spec.load.scale_permille = 1_000;
        let mut bench = Bench::new(spec, NIGHT + hour * 3_600).await;
        let outcome = bench.battery().await;
        match failure(&outcome) {
            None => passed += 1,
            // A kettle is larger than what is tried: it is told, and nothing else is.
            Some(why) => assert_eq!(why, (Step::Meter, Failure::MeterDoesNotShow), "{:#?}", bench.told),
        }
    }
    assert!(passed >= 4, "{passed} of 6");
}

#[tokio::test]
async fn a_device_that_does_not_answer_is_not_tried_and_keeps_its_proof() {
    let mut bench = Bench::new(quiet(), NIGHT).await;
    assert!(record(&bench.battery().await).passed());
    bench.time.home.battery_inverter().inject(Fault::Offline);
    let outcome = bench.battery().await;
    assert!(
        matches!(
            outcome,
            Outcome::NotTried {
                why: Obstacle::Unanswered(_),
                is_restored: true
            }
        ),
        "{outcome:?}"
    );
    let proof = bench
        .outbox()
        .proof(DeviceNumber(BATTERY), Hand::Battery)
        .unwrap();
    assert_eq!(proof, Proof::Passed);
}

#[tokio::test]
async fn a_meter_has_nothing_that_could_be_commissioned() {
    let mut bench = Bench::new(quiet(), NIGHT).await;
    let tried = bench.try_for(1, Hand::Battery, 60).await;
    assert!(matches!(tried, Err(CommissionError::NoControl { .. })));
}

#[tokio::test]
async fn events_are_refused_until_the_devices_have_proven_themselves_or_the_owner_takes_the_risk() {
    let mut bench = Bench::new(quiet(), NOON).await;
    let declined = |bench: &Bench, owner: &str| {
        let config = bench.config_with(owner);
        let home = home::home(&config, &bench.outbox()).unwrap();
        let moment = Moment {
            now: bench.time.now(),
            clock: ClockState::Synchronised,
            opted_out_until: None,
        };
        match decide(&an_event(bench.time.now()), &config.owner, &home, moment) {
            Decision::OptedIn { .. } => None,
            Decision::OptedOut(why) => Some(why),
        }
    };
    let risk = "accept_unproven_control = true";
    assert_eq!(declined(&bench, ""), Some(Declined::NotCommissioned));
    assert_eq!(declined(&bench, risk), None);
    assert!(record(&bench.battery().await).passed(), "{:#?}", bench.told);
    assert!(record(&bench.production().await).passed(), "{:#?}", bench.told);
    assert_eq!(declined(&bench, ""), None);
    bench.time.home.battery_inverter().inject(Fault::NeverReverts);
    assert!(!record(&bench.battery().await).passed());
    assert_eq!(declined(&bench, ""), Some(Declined::NotCommissioned));
    assert_eq!(declined(&bench, risk), None);
}

#[tokio::test]
async fn another_device_in_its_place_has_proven_nothing() {
    let mut bench = Bench::new(quiet(), NOON).await;
    bench.time.home.advance_to(NOON + 300);
    assert!(record(&bench.battery().await).passed(), "{:#?}", bench.told);
    assert!(record(&bench.production().await).passed(), "{:#?}", bench.told);
    assert_eq!(bench.agent_looks_once().await, Proof::Passed);
    let mut spec = quiet();
    spec.device_mut(Role::Battery).unwrap().serial_number = "ANOTHER".to_owned();
    let mut other = Bench::new(spec, NOON).await;
    std::mem::swap(&mut bench.servers, &mut other.servers);
    std::mem::swap(&mut bench.time.home, &mut other.time.home);
    bench.time.home.advance_to(NOON + 3_600);
    assert_eq!(bench.agent_looks_once().await, Proof::Untried);
    // It is the device that counts: the one that was tried is still proven when it is back.
    std::mem::swap(&mut bench.servers, &mut other.servers);
    std::mem::swap(&mut bench.time.home, &mut other.time.home);
    bench.time.home.advance_to(NOON + 7_200);
    assert_eq!(bench.agent_looks_once().await, Proof::Passed);
}

/// Two kilowatts from in an hour on.
fn an_event(now: Timestamp) -> Instruction {
    let start = now.checked_add(3_600).unwrap();
    Instruction {
        sequence: 1,
        gateway: key(1).identity(),
        event: "evening".parse().unwrap(),
        issued_at: now,
        expires_at: start,
        start,
        end: start.checked_add(3_600).unwrap(),
        target: Target::SetPoint(Milliwatts::new(2_000_000)),
        program: None,
        price: None,
    }
}
