//! A device proves on itself that it obeys and that it goes back; each way to fail has its own name, and the
//! owner's setting is back in the end whatever happened.

mod commission_support;

use std::time::Duration;

use commission_support::{BATTERY, Bench, NIGHT, NOON, PV, failure, modern, quiet, record};
use gridtally_edge::commission::{Obstacle, Outcome};
use gridtally_edge::control::policy::Proof;
use gridtally_edge::device::Hand;
use gridtally_edge::home;
use gridtally_protocol::channel::DeviceNumber;
use gridtally_protocol::commission::{CommissionRecord, Failure, Step, StepResult};
use gridtally_protocol::message::Message as _;
use gridtally_simulators::{Device, Fault, HomeSpec};

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
    bench.time.dies_at = Some(NIGHT + 60 + 30);
    let died = tokio::time::timeout(Duration::from_secs(5), bench.battery()).await;
    assert!(died.is_err());
    assert!(device.value(124, "StorCtl_Mod").is_some_and(|mode| mode != 0));
}
