//! From signed evidence to money: what is paid, and who is refused.

mod scenario;

use gridtally_protocol::acknowledgement::{Declined, Stage};
use gridtally_protocol::channel::{DeviceNumber, Missing};
use gridtally_protocol::identity::{Digest, SigningIdentity};
use gridtally_protocol::message::Message;
use gridtally_protocol::refusal::Refusal;
use gridtally_protocol::report::Report;
use gridtally_settlement::proofs::derive::{Derived, derive};
use gridtally_settlement::proofs::evidence::Carry;
use gridtally_settlement::rules::statement::{
    MissingReason, Participation, Reason, SiteStatement, SiteStatus, Statement,
};
use scenario::{EVENT_START, Scenario, at, gateway, received, refused_by_the_engine};

/// ¾ kWh × 0.85 FLEX, in four intervals, in base units of 10⁻⁶ FLEX.
const PAID_TO_HOME_1: i128 = 4 * 637_500;

fn site(statement: &Statement, home: u8) -> &SiteStatement {
    let name = format!("home-{home}");
    statement.sites.iter().find(|s| s.site.as_str() == name).unwrap()
}

fn paid(derived: &Derived, home: u8) -> i128 {
    site(&derived.statement, home).totals.amount.base_units()
}

fn refusals(derived: &Derived) -> Vec<Refusal> {
    derived.refused.iter().map(|r| r.reason).collect()
}

/// The report that covers the event, as a place in a home's list.
fn event_report(scenario: &Scenario, home: u8) -> usize {
    let start = at(EVENT_START);
    let covers = |r: &Report| r.start <= start && start < r.end().unwrap();
    scenario.reports[&home].iter().position(covers).unwrap()
}

#[test]
fn who_took_part_is_paid_for_what_the_meter_did_not_count() {
    let derived = derive(&Scenario::new().evidence()).unwrap();
    assert_eq!(
        [1, 2, 3].map(|home| paid(&derived, home)),
        [PAID_TO_HOME_1, 0, 3 * PAID_TO_HOME_1]
    );
    assert_eq!(site(&derived.statement, 2).status, SiteStatus::OptedOut);
    assert_eq!(derived.refused, []);
    assert_eq!((derived.counts.reports, derived.counts.readings), (108, 108 * 24));
    assert_eq!(derived.counts.signatures, 108 + 3 + 5);

    let transaction = derived.bookings.settlement.unwrap();
    let entries: Vec<_> = transaction
        .entries()
        .iter()
        .map(|e| (e.account.to_string(), e.amount.base_units()))
        .collect();
    let total = 4 * PAID_TO_HOME_1;
    let expected = [
        ("escrow:evening-flex", -total),
        ("beneficiary:owner-1", PAID_TO_HOME_1),
        ("beneficiary:owner-3", 3 * PAID_TO_HOME_1),
    ];
    assert_eq!(
        entries,
        expected.map(|(account, amount)| (account.to_owned(), amount))
    );
    assert_eq!(transaction.key().to_string(), "settlement/tuesday-evening/1");
}

#[test]
fn who_never_answered_or_answered_for_another_is_not_paid() {
    let mut scenario = Scenario::new();
    let mut stolen = scenario.acknowledgements.clone();
    scenario
        .acknowledgements
        .retain(|a| a.gateway != gateway(3).identity());
    let derived = derive(&scenario.evidence()).unwrap();
    assert_eq!(site(&derived.statement, 3).participation, Participation::NoAnswer);
    assert_eq!(paid(&derived, 3), 0);

    // Home 1's answer on the topic of home 3, and home 3's answer to what home 1 was asked.
    stolen.retain(|a| a.gateway == gateway(1).identity());
    for acknowledgement in &mut stolen {
        acknowledgement.gateway = gateway(3).identity();
    }
    scenario.acknowledgements.extend(stolen);
    let asked_of_one = Digest::of(&scenario.instructions[0].envelope);
    scenario.answer(3, asked_of_one, Stage::OptedIn(Default::default()));
    let derived = derive(&scenario.evidence()).unwrap();
    assert_eq!(site(&derived.statement, 3).participation, Participation::NoAnswer);
    let mut reasons = refusals(&derived);
    reasons.sort();
    assert_eq!(
        reasons,
        [
            Refusal::WrongTopic,
            Refusal::WrongTopic,
            Refusal::UnknownInstruction
        ]
    );
}

#[test]
fn of_a_yes_and_a_no_at_once_the_no_counts() {
    let mut scenario = Scenario::new();
    let asked = Digest::of(&scenario.instructions[0].envelope);
    scenario.answer(1, asked, Stage::OptedOut(Declined::OwnerOptOut));
    let derived = derive(&scenario.evidence()).unwrap();
    assert_eq!(paid(&derived, 1), 0);
    let reason = "owner_opt_out".to_owned();
    assert_eq!(
        site(&derived.statement, 1).participation,
        Participation::OptedOut { reason }
    );
}

#[test]
fn a_forgers_reports_earn_nothing_and_take_nothing_away() {
    let scenario = Scenario::new();
    let mut evidence = scenario.evidence();
    let forger = SigningIdentity::from_secret(&[99; 32]).unwrap();
    let mut forged = scenario.reports[&1][event_report(&scenario, 1)].clone();
    forged.series[0].samples.fill(Ok(0));
    evidence.reports.push(received(&gateway(1), &forger, &forged));
    evidence.reports.push(received(&forger, &forger, &forged));
    let mut flipped = received(&gateway(3), &gateway(3), &forged);
    *flipped.envelope.last_mut().unwrap() ^= 1;
    evidence.reports.push(flipped);

    let derived = derive(&evidence).unwrap();
    assert_eq!(paid(&derived, 1), PAID_TO_HOME_1);
    assert_eq!(paid(&derived, 3), 3 * PAID_TO_HOME_1);
    let mut reasons = refusals(&derived);
    reasons.sort();
    assert_eq!(
        reasons,
        [
            Refusal::UnknownGateway,
            Refusal::BadSignature,
            Refusal::WrongTopic
        ]
    );
}

#[test]
fn a_replayed_report_counts_once_and_on_its_own_topic_only() {
    let scenario = Scenario::new();
    let mut evidence = scenario.evidence();
    let replayed = scenario.reports[&1][event_report(&scenario, 1)].clone();
    let mut later = received(&gateway(1), &gateway(1), &replayed);
    later.received_at = scenario.case.settled_at;
    evidence.reports.push(later);
    evidence
        .reports
        .push(received(&gateway(3), &gateway(1), &replayed));
    let derived = derive(&evidence).unwrap();
    assert_eq!(
        [paid(&derived, 1), paid(&derived, 3)],
        [PAID_TO_HOME_1, 3 * PAID_TO_HOME_1]
    );
    assert_eq!(refusals(&derived), [Refusal::WrongTopic]);
}

#[test]
fn who_signs_two_reports_with_one_number_loses_the_slot() {
    let scenario = Scenario::new();
    let mut evidence = scenario.evidence();
    let mut other = scenario.reports[&1][event_report(&scenario, 1)].clone();
    other.series[0].samples.fill(Ok(0));
    evidence.reports.push(received(&gateway(1), &gateway(1), &other));
    let derived = derive(&evidence).unwrap();
    assert_eq!(paid(&derived, 1), 0);
    for line in &site(&derived.statement, 1).lines {
        assert_eq!(
            (line.missing, line.reason),
            (Some(MissingReason::Equivocation), Some(Reason::Equivocation))
        );
    }
    assert_eq!(refusals(&derived), [Refusal::Equivocation; 2]);
    assert_eq!(paid(&derived, 3), 3 * PAID_TO_HOME_1);
}

#[test]
fn what_was_signed_twice_stays_void_when_it_is_signed_a_third_time_under_a_new_number() {
    let mut scenario = Scenario::new();
    let place = event_report(&scenario, 1);
    let mut other = scenario.reports[&1][place].clone();
    other.series[0].samples.fill(Ok(0));
    let mut third = other.clone();
    third.sequence = 37;
    third.previous = Digest::of(&scenario.reports[&1].last().unwrap().seal(&gateway(1)).unwrap());
    scenario.reports.get_mut(&1).unwrap().push(other);
    scenario.reports.get_mut(&1).unwrap().push(third);
    let derived = derive(&scenario.evidence()).unwrap();
    assert_eq!(paid(&derived, 1), 0);
}

/// Changes the report of home 1 over the event, and tells what became of it.
fn with_changed_report(change: impl FnOnce(&mut Report)) -> Derived {
    let mut scenario = Scenario::new();
    let place = event_report(&scenario, 1);
    let reports = scenario.reports.get_mut(&1).unwrap();
    change(&mut reports[place]);
    // The chain goes on from what was changed.
    for i in place + 1..reports.len() {
        reports[i].previous = Digest::of(&reports[i - 1].seal(&gateway(1)).unwrap());
    }
    derive(&scenario.evidence()).unwrap()
}

#[test]
fn a_missing_or_impossible_value_earns_nothing_and_says_why() {
    let missing = with_changed_report(|r| r.series[0].samples[1] = Err(Missing::BadSample));
    let lines = &site(&missing.statement, 1).lines;
    assert_eq!(
        lines
            .iter()
            .filter(|l| l.missing == Some(MissingReason::Device(Missing::BadSample)))
            .count(),
        1
    );
    assert_eq!(paid(&missing, 1), PAID_TO_HOME_1 / 4 * 3);

    let impossible = with_changed_report(|r| r.series[0].samples[1] = Ok(11_001));
    let reason = Some(MissingReason::Refused(Refusal::BeyondNameplate));
    assert_eq!(
        site(&impossible.statement, 1)
            .lines
            .iter()
            .filter(|l| l.missing == reason)
            .count(),
        1
    );
    assert_eq!(paid(&impossible, 1), PAID_TO_HOME_1 / 4 * 3);
    assert_eq!(refusals(&impossible), [Refusal::BeyondNameplate]);

    let unknown = with_changed_report(|r| r.series[1].channel.device = DeviceNumber(9));
    assert_eq!(refusals(&unknown), [Refusal::UnknownChannel]);
    assert_eq!(paid(&unknown, 1), 0);
}

#[test]
fn a_report_that_breaks_the_chain_or_repeats_intervals_is_refused() {
    let mut scenario = Scenario::new();
    let reports = scenario.reports.get_mut(&1).unwrap();
    reports[20].previous = Digest::of(b"another");
    reports[21].previous = Digest::of(&reports[20].seal(&gateway(1)).unwrap());
    // From 21 on every report names the changed one's successor, which is untouched.
    for i in 22..reports.len() {
        reports[i].previous = Digest::of(&reports[i - 1].seal(&gateway(1)).unwrap());
    }
    let derived = derive(&scenario.evidence()).unwrap();
    assert_eq!(refusals(&derived), [Refusal::ChainBroken]);

    let mut scenario = Scenario::new();
    let reports = scenario.reports.get_mut(&1).unwrap();
    let mut again = reports[35].clone();
    again.sequence = 37;
    again.previous = Digest::of(&reports[35].seal(&gateway(1)).unwrap());
    again.series[0].samples.fill(Ok(0));
    reports.push(again);
    let derived = derive(&scenario.evidence()).unwrap();
    assert_eq!(refusals(&derived), [Refusal::AlreadyReported]);
    assert_eq!(paid(&derived, 1), PAID_TO_HOME_1);
}

#[test]
fn a_carry_and_other_events_are_taken_into_account() {
    let mut scenario = Scenario::new();
    scenario.case.carried_from = Some(Carry {
        event: "monday".parse().unwrap(),
        version: 1,
        statement: Digest::of(b"x"),
        carry_out: 999_999,
        pool_carry: Default::default(),
    });
    let mut monday = scenario.case.event.clone();
    monday.id = "monday".parse().unwrap();
    monday.start = at("2026-04-20T17:00:00Z");
    monday.end = at("2026-04-20T19:00:00Z");
    scenario.case.other_events = vec![monday];
    let derived = derive(&scenario.evidence()).unwrap();
    assert_eq!(derived.statement.rounding.carry_in, 999_999);
    assert_eq!(derived.statement.event_days, ["2026-04-20".parse().unwrap()]);
}

#[test]
fn history_that_was_brought_after_the_announcement_is_not_compared() {
    let scenario = Scenario::new();
    let announced = scenario.case.event.announced_at;
    let monday = at("2026-04-20T00:00:00Z");
    let brought = |received_at: &str| {
        let mut evidence = scenario.evidence();
        let of_home_1 = gateway(1).identity();
        for record in evidence.reports.iter_mut().filter(|r| r.gateway == of_home_1) {
            let report = Report::open(&record.envelope).unwrap().message;
            if report.end().unwrap() <= monday {
                record.received_at = at(received_at);
            }
        }
        derive(&evidence).unwrap()
    };
    // The week's history came in one go, an instant before the event was known: it is as good as any.
    assert!(announced > at("2026-04-21T11:59:59Z"));
    let early = brought("2026-04-21T11:59:59Z");
    assert_eq!((paid(&early, 1), early.refused.len()), (PAID_TO_HOME_1, 0));
    // Afterwards it could have been written for it.
    let late = brought("2026-04-21T12:00:01Z");
    assert_eq!(site(&late.statement, 1).status, SiteStatus::NoBaseline);
    assert_eq!(paid(&late, 1), 0);
    assert!(refusals(&late).iter().all(|reason| *reason == Refusal::TooLate));
    assert_eq!(late.refused.len(), 28, "four reports of each of the seven days");
    assert_eq!(paid(&late, 3), 3 * PAID_TO_HOME_1);
}

#[test]
fn the_engine_cannot_refuse_a_good_report_away() {
    let scenario = Scenario::new();
    let place = event_report(&scenario, 1);
    let good = received(&gateway(1), &gateway(1), &scenario.reports[&1][place]);
    for claimed in [
        Refusal::BadSignature,
        Refusal::Malformed,
        Refusal::TooLate,
        Refusal::BeyondNameplate,
    ] {
        let mut evidence = scenario.evidence();
        evidence.reports.retain(|r| *r != good);
        evidence.refusals.push(refused_by_the_engine(&good, claimed));
        let error = derive(&evidence).unwrap_err();
        assert!(error.record.starts_with("refusal/"), "{error}");
        assert!(error.to_string().contains("every check passes"), "{error}");
    }
    // What depends on other reports is judged with them, and found to be good.
    let mut evidence = scenario.evidence();
    evidence.reports.retain(|r| *r != good);
    evidence
        .refusals
        .push(refused_by_the_engine(&good, Refusal::ChainBroken));
    assert_eq!(paid(&derive(&evidence).unwrap(), 1), PAID_TO_HOME_1);
}
