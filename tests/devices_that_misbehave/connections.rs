//! Connections that break, are refused, are shared or are deaf, as they are in the field.

use std::net::SocketAddr;

use gridtally_simulators::{Fault, HomeSpec, Role, Schedule};
use tokio::net::TcpListener;
use tokio::time::Instant;

use crate::house::{
    BATTERY, DEADLINE, Homes, House, METER, PANELS, Served, Told, Wiring, bind, is_missing, is_read,
};

/// All three devices on one socket, with these lines for each in the agent's config.
async fn on_one_socket(seed: u64, lines: &str) -> House {
    let homes = Homes::new(HomeSpec::draw(seed));
    let all = [METER, PANELS, BATTERY].map(|index| homes.device(index));
    let server = bind(all.into()).await;
    let place = format!("tcp://{}", server.address());
    let served = Served {
        places: [place.clone(), place.clone(), place],
        by: vec![Box::new(server)],
    };
    let told = Told {
        lines: [lines; 3],
        ..Told::default()
    };
    House::of(homes, served, told)
}

/// A house whose battery has these lines in the agent's config.
async fn with_battery(spec: HomeSpec, wiring: Wiring, lines: &str) -> House {
    let homes = Homes::new(spec);
    let served = homes.serve(wiring).await;
    let told = Told {
        lines: ["", "", lines],
        ..Told::default()
    };
    House::of(homes, served, told)
}

#[tokio::test]
async fn three_units_on_one_address_share_one_connection() {
    let mut house = on_one_socket(1, "").await;
    house.inject(METER, Fault::OneConnection);
    for _ in 0..3 {
        let shown = house.look().await.unwrap();
        assert!(shown.iter().all(is_read), "{shown:?}");
    }
}

#[tokio::test]
async fn daily_disconnects_with_mismatched_transaction_ids_cost_no_more_than_their_minutes() {
    let mut house = House::new(HomeSpec::draw(2), Wiring::Gateway).await;
    house.until_read(BATTERY, 1).await.unwrap();
    let daily = |from| Schedule::read(from, "20m").unwrap();
    house.device(BATTERY).plan(Fault::DropMidReply, daily("04:00"));
    house
        .device(BATTERY)
        .plan(Fault::WrongTransactionId, daily("04:20"));
    let mut failed = 0;
    for look in 0..3 * 144 {
        let shown = house.look_after(600).await.unwrap();
        assert!(is_read(&shown[METER]) && is_read(&shown[PANELS]), "{shown:?}");
        if !is_read(&shown[BATTERY]) {
            failed += 1;
            assert!(!house.device(BATTERY).active_faults().is_empty(), "look {look}");
        }
    }
    assert_eq!(failed, 3 * 4, "forty minutes a day, in steps of ten");
}

#[tokio::test]
async fn a_gateway_that_never_echoes_the_transaction_id_is_read_only_where_the_owner_says_so() {
    for (lines, is_fine) in [("", false), ("transaction_ids = \"ignored\"", true)] {
        let mut house = on_one_socket(3, lines).await;
        for index in [METER, PANELS, BATTERY] {
            house.inject(index, Fault::ConstantTransactionId { id: 2 });
        }
        for _ in 0..3 {
            let shown = house.look().await.unwrap();
            let as_expected = if is_fine { is_read } else { is_missing };
            assert!(shown.iter().all(as_expected), "{lines}: {shown:?}");
        }
    }
}

#[tokio::test]
async fn where_transaction_ids_are_ignored_late_double_and_foreign_replies_are_still_not_believed() {
    let faults = [
        Fault::LateReply { millis: 400 },
        Fault::LateReply { millis: 700 },
        Fault::DuplicateReply,
        Fault::ForeignUnit,
        Fault::ForeignFunction,
        Fault::TruncatedFrame { bytes: 8 },
        Fault::WrongFrameLength { by: 4 },
        Fault::Noise { bytes: 5 },
        Fault::DropMidReply,
        Fault::SplitSegments { bytes: 40, millis: 1 },
    ];
    let homes = faults.map(|fault| {
        tokio::spawn(async move {
            let mut house = on_one_socket(4, "transaction_ids = \"ignored\"").await;
            for index in [METER, PANELS, BATTERY] {
                house.inject(index, Fault::ConstantTransactionId { id: 2 });
            }
            house.until_read(BATTERY, 2).await?;
            house.inject(BATTERY, fault);
            for _ in 0..3 {
                let shown = house.look().await?;
                if !is_read(&shown[METER]) || !is_read(&shown[PANELS]) {
                    return Err(format!("the others are not read: {shown:?}"));
                }
            }
            house.device(BATTERY).eject(fault.name());
            house.until_read(BATTERY, 4).await.map(drop)
        })
    });
    for (fault, home) in faults.into_iter().zip(homes) {
        let outcome = home.await.unwrap();
        assert!(outcome.is_ok(), "{fault}: {outcome:?}");
    }
}

#[tokio::test]
async fn a_device_that_is_deaf_after_each_connect_is_learnt_or_told() {
    let deaf = Fault::DeafAfterConnect { millis: 1_500 };
    for (lines, looks) in [("", 6), ("settle_ms = 1600", 1)] {
        let mut house = with_battery(HomeSpec::draw(5), Wiring::Sockets, lines).await;
        house.inject(BATTERY, deaf);
        house.until_read(BATTERY, looks).await.unwrap();
        // Every new connection is deaf again.
        house.inject(BATTERY, Fault::Offline);
        assert!(is_missing(&house.look().await.unwrap()[BATTERY]));
        house.device(BATTERY).eject("offline");
        house.until_read(BATTERY, 2).await.unwrap();
    }
}

#[tokio::test]
async fn a_second_client_that_holds_the_only_connection_costs_what_it_holds_and_no_more() {
    let mut house = House::new(HomeSpec::draw(6), Wiring::Sockets).await;
    house.inject(BATTERY, Fault::OneConnection);
    let intruder = tokio::net::TcpStream::connect(house.address(BATTERY))
        .await
        .unwrap();
    for _ in 0..2 {
        let shown = house.look().await.unwrap();
        assert!(is_missing(&shown[BATTERY]), "{shown:?}");
        assert!(is_read(&shown[METER]) && is_read(&shown[PANELS]), "{shown:?}");
    }
    drop(intruder);
    house.until_read(BATTERY, 2).await.unwrap();
}

#[tokio::test]
async fn a_connection_that_is_refused_for_minutes_is_made_when_it_is_taken_again() {
    let homes = Homes::new(HomeSpec::draw(7));
    let mut served = homes.serve(Wiring::Sockets).await;
    // A free port at which nobody listens yet.
    let free = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address: SocketAddr = free.local_addr().unwrap();
    drop(free);
    served.places[BATTERY] = format!("tcp://{address}");
    let battery = homes.device(BATTERY);
    let mut house = House::of(homes, served, Told::default());
    for _ in 0..4 {
        let before = Instant::now();
        let shown = house.look().await.unwrap();
        assert!(is_missing(&shown[BATTERY]), "{shown:?}");
        assert!(is_read(&shown[METER]) && is_read(&shown[PANELS]), "{shown:?}");
        assert!(before.elapsed() < DEADLINE / 4);
    }
    let _server = battery.serve(address).await.unwrap();
    house.until_read(BATTERY, 1).await.unwrap();
}

#[tokio::test]
async fn a_device_that_accepts_and_closes_at_once_costs_no_other_a_reading() {
    let homes = Homes::new(HomeSpec::draw(8));
    let mut served = homes.serve(Wiring::Sockets).await;
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    served.places[BATTERY] = format!("tcp://{}", listener.local_addr().unwrap());
    let door = tokio::spawn(async move { while listener.accept().await.is_ok() {} });
    let mut house = House::of(homes, served, Told::default());
    for _ in 0..3 {
        let shown = house.look().await.unwrap();
        assert!(is_missing(&shown[BATTERY]), "{shown:?}");
        assert!(is_read(&shown[METER]) && is_read(&shown[PANELS]), "{shown:?}");
    }
    door.abort();
}

#[tokio::test]
async fn a_device_at_unit_126_is_read_there() {
    let mut spec = HomeSpec::draw(9);
    spec.device_mut(Role::Battery).unwrap().unit = 126;
    let mut house = House::new(spec, Wiring::Gateway).await;
    house.until_read(BATTERY, 1).await.unwrap();
    let shown = house.look().await.unwrap();
    assert!(is_read(&shown[METER]), "{shown:?}");
}
