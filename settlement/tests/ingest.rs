//! What the engine does with what comes from the broker, on a real PostgreSQL and a real mosquitto.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod room;

use gridtally_link::{LinkConfig, LinkEvent};
use gridtally_protocol::acknowledgement::{Acknowledgement, Stage};
use gridtally_protocol::channel::{DeviceNumber, Missing};
use gridtally_protocol::envelope::ENVELOPE_LEN_MAX;
use gridtally_protocol::identity::Digest;
use gridtally_protocol::quantity::Milliwatts;
use gridtally_protocol::refusal::Refusal;
use gridtally_protocol::time::IntervalLength;
use gridtally_protocol::topic::TopicKind;
use gridtally_settlement::store::reports::ReadingValue;

use room::{Home, NOON, Room, Sealed, Wire, at, eventually, kill};

#[test]
fn a_report_is_receipted_and_its_readings_are_kept() {
    let mut room = Room::open();
    let (mut home, mut wire) = (room.home(1), room.wire());
    home.draft().series[1].samples = vec![Err(Missing::Unreachable)];
    let report = home.report();
    assert_eq!(wire.deliver(&report), Ok(()));
    assert_eq!(room.kept(&home), [report.digest]);
    let values: Vec<ReadingValue> = room.readings(&home).iter().map(|r| r.value).collect();
    let expected = [
        ReadingValue::Value(1_001),
        ReadingValue::Missing(Missing::Unreachable),
        ReadingValue::Value(500_000),
    ];
    assert_eq!(values, expected);
    assert_eq!(room.refused(), []);
}

#[test]
fn a_report_that_comes_twice_is_kept_once_and_receipted_again() {
    let mut room = Room::open();
    let (mut home, mut wire) = (room.home(1), room.wire());
    let report = home.report();
    assert_eq!(wire.deliver(&report), Ok(()));
    let volume = room.volume();
    assert_eq!(wire.deliver(&report), Ok(()));
    (0..50).for_each(|_| wire.send(&report));
    assert_eq!(wire.deliver(&home.report()), Ok(()));
    assert_eq!(room.volume(), (volume.0 + 1, volume.1 + 3));
    assert_eq!(room.refused(), []);
}

#[test]
fn reports_out_of_order_and_a_day_late_give_the_same_as_in_order() {
    let mut room = Room::open();
    let (mut straight, mut crooked, mut wire) = (room.home(1), room.home(2), room.wire());
    room.clock.set(at("2026-04-21T22:59:00Z"));
    for report in straight.reports(12) {
        assert_eq!(wire.deliver(&report), Ok(()));
    }
    let reports = crooked.reports(12);
    for index in [7, 3, 11, 0, 1, 2, 10, 4, 9, 5, 8, 6] {
        assert_eq!(wire.deliver(&reports[index]), Ok(()));
    }
    let in_order: Vec<Digest> = reports.iter().map(|r| r.digest).collect();
    assert_eq!(room.kept(&crooked), in_order);
    let shape = |room: &mut Room, home: &Home| {
        room.readings(home)
            .into_iter()
            .map(|r| (r.channel, r.start))
            .collect::<Vec<_>>()
    };
    assert_eq!(shape(&mut room, &straight), shape(&mut room, &crooked));
    assert_eq!(room.refused(), []);
}

#[test]
fn the_clock_window_is_35_days_back_and_five_minutes_ahead_to_the_second() {
    let mut room = Room::open();
    let (mut home, mut wire) = (room.home(1), room.wire());
    home.draft().issued_at = at("2026-04-21T12:05:00Z");
    assert_eq!(wire.deliver(&home.report()), Ok(()));
    // The next is issued five minutes later.
    let early = home.report();
    assert_eq!(wire.deliver(&early), Err(Refusal::FromTheFuture));
    room.clock.set(at("2026-04-21T12:05:00Z"));
    assert_eq!(wire.deliver(&early), Ok(()), "when its time has come it is taken");

    home.draft().issued_at = at(NOON);
    let late = home.report();
    room.clock.set(at("2026-05-26T12:00:01Z"));
    assert_eq!(wire.deliver(&late), Err(Refusal::TooLate));
    room.clock.set(at("2026-05-26T12:00:00Z"));
    assert_eq!(wire.deliver(&late), Ok(()));
    assert_eq!(room.await_refusals(2), [Refusal::FromTheFuture, Refusal::TooLate]);
}

#[test]
fn strangers_forgers_and_replayers_get_no_answer_and_are_listed() {
    let mut room = Room::open();
    let (mut home, mut victim, mut wire) = (room.home(1), room.home(2), room.wire());
    let mut stranger = Home::new(9);
    let mut forged = victim.report();
    forged.bytes[80] ^= 1;
    let mut replayed = home.report();
    replayed.topic = victim.topic(TopicKind::Report);
    let mut wrong_purpose = home.acknowledge(&acknowledgement());
    wrong_purpose.topic = home.topic(TopicKind::Report);
    wire.send(&stranger.report());
    wire.send(&forged);
    wire.send(&replayed);
    wire.send(&wrong_purpose);
    wire.send_bytes(&home.topic(TopicKind::Report), b"\0garbage\xff");
    wire.send_bytes(&home.topic(TopicKind::Report), b"");
    wire.send_bytes(&home.topic(TopicKind::Report), &vec![0; ENVELOPE_LEN_MAX + 1]);
    wire.send_bytes("gridtally/v1/nobody/report", b"x");
    let mut reasons = room.await_refusals(8);
    reasons.dedup();
    let expected = [
        Refusal::Malformed,
        Refusal::UnknownGateway,
        Refusal::BadSignature,
        Refusal::WrongTopic,
    ];
    assert_eq!(reasons, expected);
    for refused in room.refused() {
        assert!(
            !refused.detail.is_empty() && !refused.topic.is_empty(),
            "{refused:?}"
        );
    }
    // An honest report after them is answered, and nothing before it was.
    assert_eq!(wire.deliver(&home.report()), Ok(()));
    assert_eq!(wire.receipts_to, [home.identity()].into());
    assert_eq!(wire.verdicts.len(), 1);
    assert_eq!(room.kept(&victim), []);
}

#[test]
fn a_message_beyond_the_links_bound_is_listed_with_its_length_and_harms_nobody() {
    let mut room = Room::open();
    let (mut home, mut wire) = (room.home(1), room.wire());
    let mut config = LinkConfig::new(room.broker.address().to_string(), "giant");
    config.packet_len_max = 128 * 1024;
    let mut giant = Wire::with(config);
    // As much as the broker lets through: with its topic the packet is longer than the engine's link hands on.
    giant.send_bytes(&home.topic(TopicKind::Report), &vec![7; 64 * 1024]);
    assert_eq!(room.await_refusals(1), [Refusal::Malformed]);
    let refused = room.refused();
    assert!(refused[0].detail.contains("65536"), "{refused:?}");
    assert!(refused[0].bytes.len() < 32 * 1024);
    assert_eq!(wire.deliver(&home.report()), Ok(()));
}

#[test]
fn the_same_refused_message_again_is_kept_once() {
    let mut room = Room::open();
    let (mut home, mut wire) = (room.home(1), room.wire());
    for _ in 0..20 {
        wire.send_bytes(&home.topic(TopicKind::Report), b"garbage");
    }
    assert_eq!(wire.deliver(&home.report()), Ok(()));
    assert_eq!(room.await_refusals(1), [Refusal::Malformed]);
}

#[test]
fn equivocation_keeps_both_reports_and_says_so() {
    let mut room = Room::open();
    let (mut home, mut wire) = (room.home(1), room.wire());
    let mut other = home.draft().clone();
    other.series[0].samples = vec![Ok(7)];
    let (first, second) = (home.report(), home.seal(&other));
    assert_eq!(wire.deliver(&first), Ok(()));
    assert_eq!(wire.deliver(&second), Err(Refusal::Equivocation));
    let mut both = vec![first.digest, second.digest];
    both.sort();
    assert_eq!(room.kept(&home), both);
    assert_eq!(room.await_refusals(1), [Refusal::Equivocation]);
    let detail = &room.refused()[0].detail;
    assert!(detail.contains(&first.digest.to_string()) && detail.contains(&second.digest.to_string()));
}

#[test]
fn a_report_that_does_not_follow_its_predecessor_breaks_the_chain_and_is_kept_as_evidence() {
    let mut room = Room::open();
    let (mut home, mut wire) = (room.home(1), room.wire());
    assert_eq!(wire.deliver(&home.report()), Ok(()));
    home.draft().previous = Digest::of(b"another");
    let broken = home.report();
    assert_eq!(wire.deliver(&broken), Err(Refusal::ChainBroken));
    assert_eq!(room.kept(&home).len(), 2);
    assert_eq!(room.readings(&home).len(), 3, "its readings do not count");
    assert_eq!(room.await_refusals(1), [Refusal::ChainBroken]);
}

#[test]
fn intervals_that_were_reported_are_not_taken_from_a_later_report() {
    let mut room = Room::open();
    let (mut home, mut wire) = (room.home(1), room.wire());
    let start = home.draft().start;
    assert_eq!(wire.deliver(&home.report()), Ok(()));
    home.draft().start = start;
    home.draft().series[0].samples = vec![Ok(99)];
    assert_eq!(wire.deliver(&home.report()), Err(Refusal::AlreadyReported));
    assert_eq!(room.readings(&home)[0].value, ReadingValue::Value(1_001));
}

#[test]
fn intervals_of_a_report_of_twelve_days_are_not_taken_again() {
    let mut room = Room::open();
    let mut home = Home::new(1);
    home.enrolment.interval_seconds = IntervalLength::from_seconds(3_600).unwrap();
    room.enrol(&home);
    let mut wire = room.wire();
    let draft = home.draft();
    draft.interval = IntervalLength::from_seconds(3_600).unwrap();
    draft.start = at("2026-04-09T00:00:00Z");
    draft.issued_at = at("2026-04-21T00:00:00Z");
    draft
        .series
        .iter_mut()
        .for_each(|series| series.samples = vec![Ok(0); 288]);
    assert_eq!(wire.deliver(&home.report()), Ok(()));
    // Not the next one, so that only the time betrays it.
    let draft = home.draft();
    draft.sequence = 7;
    draft.start = at("2026-04-20T23:00:00Z");
    draft.issued_at = at("2026-04-21T00:00:00Z");
    draft
        .series
        .iter_mut()
        .for_each(|series| series.samples = vec![Ok(1)]);
    assert_eq!(wire.deliver(&home.report()), Err(Refusal::AlreadyReported));
    assert_eq!(room.readings(&home).len(), 288 * 3);
}

#[test]
fn channels_and_intervals_that_are_not_enrolled_refuse_the_report() {
    let mut room = Room::open();
    let (mut home, mut wire) = (room.home(1), room.wire());
    let mut report = home.draft().clone();
    report.series[2].channel.device = DeviceNumber(3);
    assert_eq!(wire.deliver(&home.seal(&report)), Err(Refusal::UnknownChannel));
    let mut report = home.draft().clone();
    report.interval = IntervalLength::from_seconds(60).unwrap();
    assert_eq!(wire.deliver(&home.seal(&report)), Err(Refusal::WrongInterval));
    assert_eq!(room.kept(&home), []);
    assert_eq!(
        room.await_refusals(2),
        [Refusal::UnknownChannel, Refusal::WrongInterval]
    );
    assert_eq!(
        wire.deliver(&home.report()),
        Ok(()),
        "its number is free for an honest one"
    );
}

#[test]
fn a_reading_beyond_the_nameplate_is_refused_alone() {
    let mut room = Room::open();
    let (mut home, mut wire) = (room.home(1), room.wire());
    // 6 kW × 5 min × 1.1 = 550 Wh, and one milliwatt-hour more.
    home.draft().series[2].samples = vec![Ok(550_001)];
    assert_eq!(wire.deliver(&home.report()), Ok(()));
    home.draft().series[2].samples = vec![Ok(550_000)];
    assert_eq!(wire.deliver(&home.report()), Ok(()));
    let values: Vec<ReadingValue> = room.readings(&home).iter().map(|r| r.value).collect();
    assert_eq!(values[4], ReadingValue::Refused(Refusal::BeyondNameplate));
    assert_eq!(values[5], ReadingValue::Value(550_000));
    assert!(values[..4].iter().all(|v| matches!(v, ReadingValue::Value(_))));
    assert_eq!(room.await_refusals(1), [Refusal::BeyondNameplate]);
}

fn acknowledgement() -> Acknowledgement {
    Acknowledgement {
        instruction: Digest::of(b"never sent"),
        at: at(NOON),
        stage: Stage::OptedIn(Milliwatts::new(1)),
    }
}

#[test]
fn an_acknowledgement_of_an_instruction_that_was_never_sent_is_refused() {
    let mut room = Room::open();
    let (home, mut wire) = (room.home(1), room.wire());
    assert_eq!(
        wire.deliver(&home.acknowledge(&acknowledgement())),
        Err(Refusal::UnknownInstruction)
    );
    assert_eq!(room.await_refusals(1), [Refusal::UnknownInstruction]);
}

/// Holds back every commit of a report while it lives.
struct Held(postgres::Client);

impl Held {
    fn hold(room: &Room) -> Self {
        let mut client = room.client();
        client
            .batch_execute("BEGIN; LOCK TABLE report IN SHARE MODE")
            .unwrap();
        Self(client)
    }

    fn until_the_engine_waits(&mut self) {
        let waiting = "SELECT count(*) FROM pg_locks WHERE relation = 'report'::regclass AND NOT granted";
        eventually("the engine waits for the table", || {
            self.0.query_one(waiting, &[]).unwrap().get::<_, i64>(0) > 0
        });
    }
}

#[test]
fn no_receipt_is_sent_before_the_commit() {
    let mut room = Room::open();
    let (mut home, mut wire) = (room.home(1), room.wire());
    let report = home.report();
    let mut held = Held::hold(&room);
    wire.send(&report);
    held.until_the_engine_waits();
    wire.note_all();
    assert!(wire.verdicts.is_empty());
    drop(held);
    assert_eq!(wire.verdict(&report), Ok(()));
    assert_eq!(room.kept(&home), [report.digest]);
}

#[test]
fn no_message_is_acknowledged_to_the_broker_before_the_commit() {
    let mut room = Room::open();
    let (mut home, mut wire) = (room.home(1), room.wire());
    let report = home.report();
    let mut held = Held::hold(&room);
    wire.send(&report);
    held.until_the_engine_waits();
    // Who takes the engine's session over gets what the engine has not acknowledged.
    let name = format!("engine-{}", room.engine().identity().multibase());
    let mut config = LinkConfig::new(room.broker.address().to_string(), name);
    config.clean_session = false;
    let thief = Wire::with(config);
    let delivered = loop {
        if let LinkEvent::Message(delivery) = thief.next_event() {
            break delivery.payload.clone();
        }
    };
    assert_eq!(delivered, report.bytes);
    drop(thief);
    drop(held);
    eventually("it is stored in the end", || room.kept(&home) == [report.digest]);
}

#[test]
fn what_came_while_the_engine_was_away_is_taken_when_it_is_back() {
    let mut room = Room::open();
    let (mut home, mut wire) = (room.home(1), room.wire());
    room.engine.take().unwrap().stop();
    let reports = home.reports(20);
    reports.iter().for_each(|report| wire.send(report));
    room.restart_engine();
    for report in &reports {
        assert_eq!(wire.verdict(report), Ok(()));
    }
}

#[test]
fn a_database_killed_in_the_middle_of_a_stream_loses_nothing_and_keeps_nothing_twice() {
    let mut room = Room::alone();
    let (mut home, mut wire) = (room.home(1), room.wire());
    let reports = home.reports(300);
    let postmaster = room.cluster.postgres.process_id().unwrap();
    stream(&mut wire, &reports, |done| {
        if done == 100 {
            kill(postmaster);
        }
    });
    for report in &reports {
        assert_eq!(wire.verdict(report), Ok(()));
    }
    assert!(room.store_answers());
    let expected: Vec<Digest> = reports.iter().map(|r| r.digest).collect();
    assert_eq!(room.kept(&home), expected);
    assert_eq!(room.volume(), (300, 900));
    assert_eq!(room.refused(), []);
    assert!(room.cluster.postgres.restarts() >= 1);
}

#[test]
fn a_broker_killed_in_the_middle_of_a_stream_loses_nothing_and_keeps_nothing_twice() {
    let mut room = Room::open();
    let (mut home, mut wire) = (room.home(1), room.wire());
    let reports = home.reports(300);
    let broker = room.broker.process_id().unwrap();
    stream(&mut wire, &reports, |done| {
        if done == 100 {
            kill(broker);
        }
    });
    // What the homes have no receipt for after a new connection they send again, until they have.
    wire.until("connected again", |w| w.connections > 1);
    let unreceipted = |wire: &Wire| {
        reports
            .iter()
            .filter(|r| !wire.verdicts.contains_key(&r.digest))
            .cloned()
            .collect::<Vec<Sealed>>()
    };
    eventually("everything is receipted", || {
        wire.note_all();
        let left = unreceipted(&wire);
        left.iter().for_each(|report| wire.send(report));
        left.is_empty()
    });
    let expected: Vec<Digest> = reports.iter().map(|r| r.digest).collect();
    assert_eq!(room.kept(&home), expected);
    assert_eq!(room.volume(), (300, 900));
    assert_eq!(room.refused(), []);
}

/// Sends one report after the other, and waits for every tenth receipt, so that the engine is at work meanwhile.
fn stream(wire: &mut Wire, reports: &[Sealed], mut at_count: impl FnMut(usize)) {
    for (index, report) in reports.iter().enumerate() {
        wire.send(report);
        if index % 10 == 9 && index < 100 {
            assert_eq!(wire.verdict(report), Ok(()));
        }
        at_count(index + 1);
    }
}

#[test]
fn what_is_missing_between_two_reports_is_asked_for_until_it_has_come_and_counts_once() {
    let mut room = Room::open();
    let (mut home, mut other, mut wire) = (room.home(1), room.home(2), room.wire());
    let reports = home.reports(9);
    // The second, and the fifth to the seventh, are lost on the way. The other home's are all there.
    for report in [0, 2, 3, 7, 8].map(|n| &reports[n]) {
        assert_eq!(wire.deliver(report), Ok(()));
    }
    for report in other.reports(3) {
        assert_eq!(wire.deliver(&report), Ok(()));
    }
    // At first it may be a matter of time.
    room.engine().tick(at(NOON)).unwrap();
    let later = |seconds: i64| at(NOON).checked_add(seconds).unwrap();
    room.clock.set(later(600));
    room.engine().tick(later(600)).unwrap();
    wire.until("a resend request", |wire| !wire.resends.is_empty());
    let asked = wire.resends.remove(0);
    assert_eq!(asked.signer, room.engine().identity());
    assert_eq!(
        (asked.message.gateway, asked.message.issued_at),
        (home.identity(), later(600))
    );
    assert_eq!(asked.message.sequences().collect::<Vec<_>>(), [2, 5, 6, 7]);

    // The home sends more than was asked for, and twice.
    for _ in 0..2 {
        for report in [1, 3, 4, 5, 6].map(|n| &reports[n]) {
            assert_eq!(wire.deliver(report), Ok(()));
        }
    }
    let expected: Vec<Digest> = reports.iter().map(|r| r.digest).collect();
    assert_eq!(room.kept(&home), expected);
    assert_eq!(room.volume(), (12, 36));
    assert_eq!(room.refused(), []);
    // Nothing is missing any more, and nobody is asked; the verdict shows that the time to ask has passed.
    room.clock.set(later(1_200));
    room.engine().tick(later(1_200)).unwrap();
    assert_eq!(wire.deliver(&home.report()), Ok(()));
    wire.note_all();
    assert_eq!(wire.resends, []);
}

#[test]
fn a_hole_that_is_too_old_to_be_filled_is_not_asked_for() {
    let mut room = Room::open();
    let (mut home, mut wire) = (room.home(1), room.wire());
    let reports = home.reports(3);
    for report in [&reports[0], &reports[2]] {
        assert_eq!(wire.deliver(report), Ok(()));
    }
    let late = at("2026-05-26T12:00:00Z");
    room.clock.set(late);
    room.engine().tick(late).unwrap();
    let mut other = room.home(2);
    other.draft().start = at("2026-05-26T11:55:00Z");
    other.draft().issued_at = late;
    assert_eq!(wire.deliver(&other.report()), Ok(()));
    wire.note_all();
    assert_eq!(wire.resends, []);
}
