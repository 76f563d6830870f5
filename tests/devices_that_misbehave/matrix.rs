//! Every fault of the lab's catalogue, against every way in which a device can be wired.

use std::sync::Arc;

use gridtally_simulators::{Fault, HomeSpec};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::house::{BATTERY, House, METER, PANELS, Wiring, is_missing, is_read};

/// What becomes of a device's readings while a fault is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Then {
    /// All of them are read, within three looks, and stay so.
    Read,
    /// All of them are missing.
    Missing,
    /// Whatever is read is true.
    True,
}
use Then::{Missing, Read, True};

/// A fault as a config file names it, and what becomes of it on a socket and on a serial line.
const ROWS: &[(&str, Then, Then)] = &[
    ("offline", Missing, Missing),
    ("late-reply:millis=700", Missing, Missing),
    ("silent", Missing, Missing),
    ("wrong-transaction-id", Missing, Read),
    ("constant-transaction-id", Missing, Read),
    ("foreign-unit", Missing, Missing),
    ("foreign-function", Missing, Missing),
    ("split-segments:bytes=60,millis=2", Read, Read),
    ("merged-segments:millis=5", Read, Read),
    ("truncated-frame", Missing, Missing),
    ("wrong-frame-length", Missing, Read),
    ("bad-crc", Read, Missing),
    ("noise", Missing, True),
    ("duplicate-reply", True, Read),
    ("deaf-after-connect", True, Read),
    ("one-connection", Read, Read),
    ("drop-mid-reply", Missing, Missing),
    ("nonsense", True, True),
    ("short-reply", Missing, Missing),
    ("long-reply", Missing, Missing),
    ("illegal-address", Missing, Missing),
    ("device-failure", Missing, Missing),
    ("busy", Missing, Missing),
    ("gateway-target-silent", Missing, Missing),
    ("small-reads", Read, Read),
    ("no-read-across-models", Read, Read),
    ("exception-at-chain-end", Read, Read),
    ("no-end-model", Read, Read),
    ("wrong-model-length", Read, Read),
    ("zero-filled-map", Missing, Missing),
    ("duplicate-models", Read, Read),
    ("shifted-map", Read, Read),
    ("scale-factor-changes", Read, Read),
    ("scale-factor-lies", True, True),
    ("scale-factor-out-of-range", Missing, Missing),
    ("sentinels", True, True),
    ("counters-at-zero", Read, Read),
    ("counter-backstep", Read, Read),
    ("counter-wraps-early", Read, Read),
    ("counter-resets-daily", Read, Read),
    ("counter-reset", Read, Read),
    ("negative-counter", Read, Read),
    ("swapped-sign", Read, Read),
    ("frozen", Read, Read),
    ("zero-frame", Read, Read),
    ("clock-drifts", Read, Read),
    ("clock-steps", Read, Read),
    ("writes-refused", Read, Read),
    ("writes-ignored", Read, Read),
    ("writes-not-obeyed", Read, Read),
    ("write-applied-unanswered", Read, Read),
    ("never-reverts", Read, Read),
    ("reversion-unit", Read, Read),
    ("heartbeat-ignored", Read, Read),
];

/// As many looks as a device that is well again may take until it is read. On a serial line some go by
/// until what is late has come.
const RECOVERY: usize = 4;
/// So many homes at a time.
const AT_ONCE: usize = 10;

#[test]
fn every_fault_of_the_lab_has_a_row() {
    let rows: Vec<&str> = ROWS
        .iter()
        .map(|(fault, ..)| fault.parse::<Fault>().unwrap().name())
        .collect();
    let all: Vec<&str> = Fault::ALL.iter().map(|fault| fault.name).collect();
    assert_eq!(rows, all);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_device_on_its_own_socket_may_fail_in_every_way() {
    all(Wiring::Sockets).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_device_behind_a_gateway_may_fail_in_every_way_and_its_neighbour_is_read() {
    all(Wiring::Gateway).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_device_on_a_serial_line_may_fail_in_every_way_and_its_neighbour_is_read() {
    all(Wiring::Line).await;
}

async fn all(wiring: Wiring) {
    let places = Arc::new(Semaphore::new(AT_ONCE));
    let mut homes = JoinSet::new();
    for (seed, (fault, on_socket, on_line)) in (1..).zip(ROWS) {
        let then = if wiring == Wiring::Line {
            *on_line
        } else {
            *on_socket
        };
        for known in [true, false] {
            let places = Arc::clone(&places);
            homes.spawn(async move {
                let _place = places.acquire().await.unwrap();
                let outcome = play(seed, fault.parse().unwrap(), wiring, known, then).await;
                let when = if known {
                    "while it is known"
                } else {
                    "from the first"
                };
                outcome.map_err(|error| format!("{fault} {when}: {error}"))
            });
        }
    }
    let mut failed: Vec<String> = homes
        .join_all()
        .await
        .into_iter()
        .filter_map(Result::err)
        .collect();
    failed.sort();
    assert!(failed.is_empty(), "{wiring:?}:\n{}", failed.join("\n"));
}

/// A day of a home whose battery fails after it was `known`, or before.
async fn play(seed: u64, fault: Fault, wiring: Wiring, known: bool, then: Then) -> Result<(), String> {
    let mut house = House::new(HomeSpec::draw(seed), wiring).await;
    if known {
        house.until_read(BATTERY, RECOVERY).await?;
    }
    house.inject(BATTERY, fault);
    if then == Read {
        house.until_read(BATTERY, 3).await?;
    }
    let reaches_all = matches!(fault, Fault::DeafAfterConnect { .. }) && wiring == Wiring::Gateway;
    for _ in 0..2 {
        let shown = house.look().await?;
        let battery = &shown[BATTERY];
        let is_so = match then {
            Read => is_read(battery),
            Missing => is_missing(battery),
            True => true,
        };
        if !is_so {
            return Err(format!("the battery should be {then:?} and is {battery:?}"));
        }
        if !is_read(&shown[PANELS]) {
            return Err(format!("the panels are not read: {:?}", shown[PANELS]));
        }
        if !is_read(&shown[METER]) && !reaches_all {
            return Err(format!("the meter is not read: {:?}", shown[METER]));
        }
    }
    house.mend(BATTERY);
    house.until_read(BATTERY, RECOVERY).await?;
    house.until_read(METER, 1).await?;
    house.until_read(BATTERY, 1).await.map(drop)
}
