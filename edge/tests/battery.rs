//! What the agent does to a battery, register by register, and that it always goes back to its owner.

mod support;

use std::time::Duration;

use gridtally_edge::agent::{Agent, Pace};
use gridtally_edge::home;
use gridtally_edge::outbox::Outbox;
use gridtally_edge::uplink::inbox::Judge;
use gridtally_protocol::acknowledgement::{Acknowledgement, Declined, Stage};
use gridtally_protocol::instruction::Instruction;
use gridtally_protocol::message::Message as _;
use gridtally_protocol::quantity::Milliwatts;
use gridtally_protocol::report::ClockState;
use support::engine::instruction;
use support::map::{self, Device, Seen};
use support::{at, config, devices, key};
use tempfile::TempDir;
use tokio_modbus::ExceptionCode;

const ENGINE: u8 = 2;
const MOD: u16 = 5;
const OUT: u16 = 12;
const IN: u16 = 13;
const TIMER: u16 = 15;

/// A home whose broker is nowhere: what it would send is read from its outbox.
struct Home {
    agent: Option<Agent>,
    battery: Device,
    directory: TempDir,
    devices: String,
}

impl Home {
    /// With an event from 600 to 1800 seconds after midnight, accepted.
    async fn with_event() -> Self {
        let meter = Device::serve(map::meter(1_000, 500)).await;
        let pv = Device::serve(map::inverter(2_000)).await;
        let battery = Device::serve(map::battery(3_000, 800)).await;
        let devices = devices(&meter.address(), &pv.address(), &battery.address());
        let directory = tempfile::tempdir().unwrap();
        let mut home = Self {
            agent: None,
            battery,
            directory,
            devices,
        };
        home.accept(1, 600, 1_800);
        home.wake();
        home
    }

    fn config(&self) -> gridtally_edge::config::AgentConfig {
        config(
            self.directory.path(),
            key(ENGINE).identity(),
            "127.0.0.1:1",
            "",
            &self.devices,
        )
    }

    /// Puts an instruction and the owner's answer into the outbox.
    fn accept(&mut self, sequence: u64, start: i64, end: i64) {
        self.die();
        let asked = instruction(key(1).identity(), sequence, start, end);
        let signed = Instruction::open(&asked.seal(&key(ENGINE)).unwrap()).unwrap();
        let config = self.config();
        let mut outbox = Outbox::open(&config.gateway.data, key(1), true).unwrap();
        let judge = Judge {
            engine: config.gateway.engine,
            owner: config.owner.clone(),
            home: home::home(&config, &outbox).unwrap(),
            clock: ClockState::Synchronised,
        };
        let decision = judge.decide(&signed.message, None, at(0));
        outbox.admit(&signed, decision, at(0)).unwrap();
    }

    fn wake(&mut self) {
        let pace = Pace {
            tick_seconds: 300,
            resend_after: Duration::from_secs(60),
        };
        self.agent = Some(Agent::start(self.config(), key(1), pace).unwrap());
    }

    /// As kill −9 would: nothing is given back.
    fn die(&mut self) {
        self.agent = None;
    }

    async fn tick(&mut self, seconds: i64) {
        let agent = self.agent.as_mut().unwrap();
        agent.tick(at(seconds), ClockState::Synchronised).await.unwrap();
    }

    fn shown(&self) -> [i16; 4] {
        let registers = self.battery.lock();
        [MOD, OUT, IN, TIMER].map(|offset| registers.get(124, offset).cast_signed())
    }

    fn writes(&self) -> Vec<(u16, Vec<u16>)> {
        let registers = self.battery.lock();
        let base = registers.models[&124];
        let write = |seen: &Seen| match seen {
            Seen::Write(address, words) => Some((address - base, words.clone())),
            Seen::Read(..) => None,
        };
        registers.seen.iter().filter_map(write).collect()
    }

    /// All stages that were told, in order, with their seconds after midnight.
    fn stages(&mut self) -> Vec<(Stage, i64)> {
        self.die();
        let outbox = Outbox::open(&self.config().gateway.data, key(1), true).unwrap();
        let outgoing = outbox.outgoing_after(0, 1_000).unwrap();
        outgoing
            .iter()
            .filter_map(|m| Acknowledgement::open(&m.envelope).ok())
            .map(|a| (a.message.stage, a.message.at.seconds_since(at(0))))
            .filter(|(stage, _)| *stage != Stage::Received)
            .collect()
    }
}

const POWER: Milliwatts = Milliwatts::new(3_000_000);
const OWNERS: [i16; 4] = [0, 10_000, 10_000, 0];
const OURS: [i16; 4] = [3, 6_000, -6_000, 900];

#[tokio::test]
async fn an_event_is_held_refreshed_and_given_back() {
    let mut home = Home::with_event().await;
    for (now, expected) in [
        (0, OWNERS),
        (300, OWNERS),
        (600, OURS),
        (900, OURS),
        (1_200, OURS),
        (1_500, OURS),
        (1_800, OWNERS),
        (2_100, OWNERS),
    ] {
        home.tick(now).await;
        assert_eq!(home.shown(), expected, "at {now}");
    }
    let minus = (-6_000_i16).cast_unsigned();
    let set = [(OUT, vec![6_000, minus, 0, 900, 0]), (MOD, vec![3])];
    // What is switched off is switched off first.
    let back = [(MOD, vec![0]), (OUT, vec![10_000, 10_000, 0, 0, 0])];
    // At the start and three refreshes; each within the 900 s of the timer.
    let expected: Vec<_> = [&set, &set, &set, &set, &back]
        .into_iter()
        .flatten()
        .cloned()
        .collect();
    assert_eq!(home.writes(), expected);
    assert_eq!(
        home.stages(),
        [
            (Stage::OptedIn(POWER), 0),
            (Stage::Written(POWER), 600),
            (Stage::ReadBack(POWER), 600),
            (Stage::Completed, 1_800),
            (Stage::Restored, 1_800)
        ]
    );
}

impl Home {
    /// The battery's own device shows this power.
    fn show_power(&self, watts: i16) {
        let mut registers = self.battery.lock();
        registers.set(103, 14, watts.cast_unsigned());
        registers.set(103, 15, 0);
    }
}

#[tokio::test]
async fn what_was_asked_is_observed_with_the_time_that_it_took() {
    let mut home = Home::with_event().await;
    home.show_power(0);
    home.tick(600).await;
    home.show_power(2_950);
    home.tick(900).await;
    home.tick(1_800).await;
    let observed = Stage::Observed {
        power: Milliwatts::new(2_950_000),
        after_seconds: 300,
    };
    assert_eq!(
        home.stages()[3..],
        [
            (observed, 900),
            (Stage::Completed, 1_800),
            (Stage::Restored, 1_800)
        ]
    );
}

#[tokio::test]
async fn a_device_that_reads_back_and_goes_on_as_before_is_found_out() {
    let mut home = Home::with_event().await;
    home.show_power(0);
    for now in [600, 900, 1_200] {
        home.tick(now).await;
    }
    assert_eq!(home.shown(), OWNERS);
    assert_eq!(
        home.stages()[3..],
        [
            (Stage::Stopped(Declined::ObservedOtherwise), 1_200),
            (Stage::Restored, 1_200)
        ]
    );
}

#[tokio::test]
async fn what_the_owner_sets_by_hand_during_an_event_stays() {
    let mut home = Home::with_event().await;
    home.tick(600).await;
    home.battery.lock().set(124, OUT, 2_000);
    home.battery.lock().set(124, MOD, 2);
    // His limit is in force, and nothing of ours is left beside it: no forced rate, no timer.
    let by_hand = [2, 2_000, 10_000, 0];
    for now in [900, 1_200, 1_800] {
        home.tick(now).await;
        assert_eq!(home.shown(), by_hand, "at {now}");
    }
    assert_eq!(
        home.stages()[3..],
        [
            (Stage::Stopped(Declined::OwnerOptOut), 900),
            (Stage::Restored, 900)
        ]
    );
}

#[tokio::test]
async fn an_owner_who_opts_out_during_an_event_has_his_battery_back_at_once() {
    let mut home = Home::with_event().await;
    home.tick(600).await;
    home.die();
    let mut outbox = Outbox::open(&home.config().gateway.data, key(1), true).unwrap();
    outbox.opt_out(Some(at(5_000))).unwrap();
    drop(outbox);
    home.wake();
    home.tick(700).await;
    assert_eq!(home.shown(), OWNERS);
    assert_eq!(
        home.stages()[3..],
        [
            (Stage::Stopped(Declined::OwnerOptOut), 700),
            (Stage::Restored, 700)
        ]
    );
}

#[tokio::test]
async fn the_same_instant_twice_has_no_second_effect() {
    let mut home = Home::with_event().await;
    for now in [0, 300, 600, 600, 600, 1_800, 1_800] {
        home.tick(now).await;
    }
    assert_eq!(home.writes().len(), 4);
    assert_eq!(home.stages().len(), 5);
}

#[tokio::test]
async fn the_owner_s_own_limits_come_back_as_they_were() {
    let mut home = Home::with_event().await;
    {
        let mut registers = home.battery.lock();
        for (offset, word) in [(MOD, 1), (OUT, 9_000), (IN, 2_500), (TIMER, 60)] {
            registers.set(124, offset, word);
        }
    }
    home.tick(600).await;
    assert_eq!(home.shown(), OURS);
    home.tick(1_800).await;
    assert_eq!(home.shown(), [1, 9_000, 2_500, 60]);
}

#[tokio::test]
async fn at_the_owner_s_reserve_the_event_ends_and_is_not_begun_again() {
    let mut home = Home::with_event().await;
    home.tick(600).await;
    home.battery.lock().set(802, 11, 200);
    home.tick(900).await;
    assert_eq!(home.shown(), OWNERS);
    home.battery.lock().set(802, 11, 500);
    home.tick(1_200).await;
    assert_eq!(home.shown(), OWNERS);
    let stages = home.stages();
    assert_eq!(
        stages[3..],
        [
            (Stage::Stopped(Declined::ReserveReached), 900),
            (Stage::Restored, 900)
        ]
    );
}

#[tokio::test]
async fn a_battery_at_its_reserve_from_the_start_is_never_touched() {
    let mut home = Home::with_event().await;
    home.battery.lock().set(802, 11, 199);
    home.tick(600).await;
    home.tick(900).await;
    assert!(home.writes().is_empty());
    assert_eq!(
        home.stages()[1..],
        [(Stage::Stopped(Declined::ReserveReached), 600)]
    );
}

#[tokio::test]
async fn a_device_that_does_not_keep_the_value_ends_the_event() {
    let mut home = Home::with_event().await;
    home.battery.lock().deaf = true;
    home.tick(600).await;
    assert_eq!(
        home.stages()[1..],
        [
            (Stage::Written(POWER), 600),
            (Stage::Stopped(Declined::DeviceFault), 600),
            (Stage::Restored, 600)
        ]
    );
}

#[tokio::test]
async fn a_device_that_refuses_the_write_ends_the_event() {
    let mut home = Home::with_event().await;
    home.battery.lock().refuses_writes = Some(ExceptionCode::IllegalDataValue);
    home.tick(600).await;
    home.battery.lock().refuses_writes = None;
    home.tick(900).await;
    assert_eq!(home.shown(), OWNERS);
    assert_eq!(
        home.stages()[1..],
        [
            (Stage::Stopped(Declined::DeviceFault), 600),
            (Stage::Restored, 600)
        ]
    );
}

#[tokio::test]
async fn a_busy_device_is_tried_again() {
    let mut home = Home::with_event().await;
    home.battery.lock().refuses_writes = Some(ExceptionCode::ServerDeviceBusy);
    home.tick(600).await;
    home.battery.lock().refuses_writes = None;
    home.tick(900).await;
    assert_eq!(home.shown(), OURS);
    assert_eq!(
        home.stages()[1..],
        [(Stage::Written(POWER), 900), (Stage::ReadBack(POWER), 900)]
    );
}

#[tokio::test]
async fn a_battery_whose_charge_cannot_be_read_is_left_to_its_timer_and_the_event_ends() {
    let mut home = Home::with_event().await;
    home.tick(600).await;
    home.battery.lock().set(802, 11, 0xffff);
    let writes = home.writes().len();
    for now in [900, 1_200] {
        home.tick(now).await;
        assert_eq!(home.writes().len(), writes, "no refresh at {now}");
    }
    home.tick(1_500).await;
    assert_eq!(home.shown(), OWNERS);
    assert_eq!(
        home.stages()[3..],
        [
            (Stage::Stopped(Declined::ChargeUnknown), 1_500),
            (Stage::Restored, 1_500)
        ]
    );
}

#[tokio::test]
async fn an_agent_that_died_goes_on_with_the_event_and_restores_what_was_before_it() {
    let mut home = Home::with_event().await;
    home.battery.lock().set(124, OUT, 9_000);
    home.tick(600).await;
    home.die();
    home.wake();
    home.tick(900).await;
    assert_eq!(home.shown(), OURS);
    home.die();
    home.wake();
    home.tick(2_400).await;
    assert_eq!(home.shown(), [0, 9_000, 10_000, 0]);
    let stages = home.stages();
    assert_eq!(stages.len(), 5, "each stage is told once: {stages:?}");
    assert_eq!(stages[3..], [(Stage::Completed, 2_400), (Stage::Restored, 2_400)]);
}

#[tokio::test]
async fn an_orderly_end_gives_the_battery_back_at_once() {
    let mut home = Home::with_event().await;
    home.tick(600).await;
    let agent = home.agent.take().unwrap();
    agent.stop(Some(at(700))).await.unwrap();
    assert_eq!(home.shown(), OWNERS);
    assert_eq!(
        home.stages()[3..],
        [
            (Stage::Stopped(Declined::GatewayStopping), 700),
            (Stage::Restored, 700)
        ]
    );
}

#[tokio::test]
async fn a_battery_that_cannot_be_restored_is_tried_until_it_is() {
    let mut home = Home::with_event().await;
    home.tick(600).await;
    home.battery.lock().deaf = true;
    home.tick(1_800).await;
    assert_eq!(home.shown(), OURS);
    home.battery.lock().deaf = false;
    home.tick(2_100).await;
    assert_eq!(home.shown(), OWNERS);
    assert_eq!(
        home.stages()[3..],
        [(Stage::Completed, 1_800), (Stage::Restored, 2_100)]
    );
}

#[tokio::test]
async fn a_later_instruction_takes_over_without_losing_the_owner_s_setting() {
    let mut home = Home::with_event().await;
    home.battery.lock().set(124, OUT, 9_000);
    home.tick(600).await;
    home.accept(2, 900, 1_500);
    home.wake();
    home.tick(900).await;
    assert_eq!(home.shown(), OURS);
    home.tick(1_500).await;
    assert_eq!(home.shown(), [0, 9_000, 10_000, 0]);
    let stages: Vec<_> = home.stages().into_iter().map(|(stage, _)| stage).collect();
    assert_eq!(
        stages,
        [
            Stage::OptedIn(POWER),
            Stage::Written(POWER),
            Stage::ReadBack(POWER),
            Stage::OptedIn(POWER),
            Stage::Stopped(Declined::Superseded),
            Stage::Written(POWER),
            Stage::ReadBack(POWER),
            Stage::Completed,
            Stage::Restored,
        ]
    );
}

#[tokio::test]
async fn an_event_that_was_slept_through_is_told_as_expired() {
    let mut home = Home::with_event().await;
    home.tick(2_400).await;
    assert!(home.writes().is_empty());
    assert_eq!(home.stages()[1..], [(Stage::Stopped(Declined::Expired), 2_400)]);
}
