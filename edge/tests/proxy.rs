//! Other software in the house, through the agent's own connection.

mod support;

use std::net::SocketAddr;
use std::time::Duration;

use gridtally_edge::config::ProxyConfig;
use gridtally_edge::device;
use gridtally_edge::proxy::Proxy;
use support::driver::configured;
use support::map::{self, BASE, Device, Seen};
use support::{DEADLINE, at};
use tokio::time::timeout;
use tokio_modbus::ExceptionCode;
use tokio_modbus::client::{Context, Reader as _, Writer as _, tcp};
use tokio_modbus::slave::Slave;

struct House {
    device: Device,
    agent: Vec<device::Device>,
    proxy: Proxy,
}

impl House {
    async fn open(writable: Vec<std::ops::RangeInclusive<u16>>) -> Self {
        let device = Device::serve(map::inverter(1_000)).await;
        let config = configured("pv_inverter", &device.address(), "");
        let agent = device::start(std::slice::from_ref(&config)).unwrap();
        let config = ProxyConfig {
            device: config.name,
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            writable,
        };
        let proxy = Proxy::open(&config, &agent[0]).unwrap();
        Self { device, agent, proxy }
    }

    async fn client(&self) -> Context {
        tcp::connect_slave(self.proxy.address, Slave(1)).await.unwrap()
    }
}

#[tokio::test]
async fn a_guest_reads_what_the_device_holds_while_the_agent_reads_too() {
    let mut house = House::open(Vec::new()).await;
    let mut guest = house.client().await;
    for round in 0..20 {
        let observing = house.agent[0].observe(at(round * 300), true);
        let (words, snapshot) = tokio::join!(guest.read_holding_registers(BASE, 2), observing.finish());
        assert_eq!(words.unwrap().unwrap(), [0x5375, 0x6e53]);
        assert!(snapshot.channels[0].1.is_ok());
    }
}

#[tokio::test]
async fn a_guest_writes_nothing_but_what_the_owner_names() {
    let house = House::open(vec![BASE + 80..=BASE + 81]).await;
    let mut guest = house.client().await;
    for (address, count) in [(BASE + 79, 2), (BASE + 81, 2), (BASE, 1)] {
        let refused = guest
            .write_multiple_registers(address, &vec![7; count])
            .await
            .unwrap();
        assert_eq!(refused, Err(ExceptionCode::IllegalFunction), "{address}");
    }
    assert!(house.device.lock().seen.is_empty(), "nothing reaches the device");
    guest
        .write_multiple_registers(BASE + 80, &[7, 8])
        .await
        .unwrap()
        .unwrap();
    assert_eq!(house.device.lock().seen, [Seen::Write(BASE + 80, vec![7, 8])]);
}

#[tokio::test]
async fn the_device_s_own_refusal_reaches_the_guest() {
    let house = House::open(Vec::new()).await;
    let mut guest = house.client().await;
    let beyond = guest.read_holding_registers(100, 2).await.unwrap();
    assert_eq!(beyond, Err(ExceptionCode::IllegalDataAddress));
    let coils = guest.read_coils(0, 8).await.unwrap();
    assert_eq!(coils, Err(ExceptionCode::IllegalFunction));
}

#[tokio::test]
async fn guests_beyond_the_bound_are_turned_away_and_one_that_leaves_makes_room() {
    let house = House::open(Vec::new()).await;
    let mut guests = Vec::new();
    for _ in 0..8 {
        let mut guest = house.client().await;
        guest.read_holding_registers(BASE, 2).await.unwrap().unwrap();
        guests.push(guest);
    }
    let mut ninth = house.client().await;
    assert!(ninth.read_holding_registers(BASE, 2).await.is_err());
    drop(guests.pop());
    timeout(DEADLINE, async {
        loop {
            let mut next = house.client().await;
            if next.read_holding_registers(BASE, 2).await.is_ok() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await
    .expect("room for the next");
}
