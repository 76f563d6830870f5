//! An independent SunSpec implementation reads the maps over real sockets and sees the physics.

use gridtally_registers::sunspec::{END_MODEL, SUNS};
use gridtally_simulators::{Home, HomeSpec, RegisterMap, Role, ServedHome};
use std::net::SocketAddr;
use sunspec::Model;
use sunspec::client::{AsyncClient, AsyncDevice, Config};
use sunspec::models::model1::Model1;
use sunspec::models::model103::{Model103, St};
use sunspec::models::model120::{DerTyp, Model120};
use sunspec::models::model121::Model121;
use sunspec::models::model123::{Conn, Model123, WMaxLimEna};
use sunspec::models::model124::{ChaGriSet, Model124, StorCtlMod};
use sunspec::models::model203::Model203;
use sunspec::models::model802::{Model802, State, Typ};
use tokio_modbus::client::{Context, Reader, Writer, tcp};
use tokio_modbus::{ExceptionCode, Slave};

const AFTERNOON: i64 = 1_782_050_400; // 2026-06-21T14:00:00Z

type Client = AsyncDevice<std::sync::Arc<tokio::sync::Mutex<Context>>>;

/// A home in a sunny afternoon, after an hour and 7 seconds.
fn home() -> Home {
    let mut home = Home::new(HomeSpec::draw(11), AFTERNOON);
    home.advance_to(AFTERNOON + 3_607);
    home
}

async fn connect(address: SocketAddr) -> Context {
    tcp::connect_slave(address, Slave(1))
        .await
        .expect("the simulated device listens")
}

async fn discover(address: SocketAddr) -> Client {
    let client = AsyncClient::new(connect(address).await, Config::default());
    client.device(1).await.expect("the device is discovered")
}

async fn read<M: Model>(device: &Client) -> M {
    device
        .read_model::<M>()
        .await
        .expect("the model is there and parses")
}

async fn served() -> (Home, ServedHome) {
    let home = home();
    let served = home.serve().await.expect("loopback has free ports");
    (home, served)
}

/// A power register shows the power cut to whole watts.
fn shows(register: i16, milliwatts: i64) -> bool {
    i64::from(register) == milliwatts / 1_000
}

#[tokio::test]
async fn the_pv_inverter_is_discovered_and_equals_the_physics() {
    let (home, served) = served().await;
    let device = discover(served.pv_inverter.address()).await;
    let common: Model1 = read(&device).await;
    assert_eq!(
        (common.mn.as_str(), common.md.as_str()),
        ("Gridtally", "PV inverter")
    );
    assert_eq!(common.sn, home.spec().devices[0].serial_number);

    let inverter: Model103 = read(&device).await;
    assert!(
        home.flow().pv > 0 && shows(inverter.w, home.flow().pv),
        "{} W",
        inverter.w
    );
    assert_eq!(inverter.w_sf, 0);
    assert_eq!(
        (inverter.wh, inverter.wh_sf),
        (home.counters().pv_production.count, -1)
    );
    assert_eq!(inverter.st, St::Mppt);
    assert_eq!((inverter.hz, inverter.hz_sf), (5_000, -2));
    assert!(inverter.dcw > Some(inverter.w), "an inverter has losses");

    let nameplate: Model120 = read(&device).await;
    assert_eq!(nameplate.der_typ, DerTyp::Pv);
    assert_eq!(u32::from(nameplate.w_rtg), home.spec().pv.nameplate_watts);
    let settings: Model121 = read(&device).await;
    assert_eq!(u32::from(settings.w_max), home.spec().pv.nameplate_watts);
    let controls: Model123 = read(&device).await;
    assert_eq!((controls.w_max_lim_pct, controls.w_max_lim_pct_sf), (10_000, -2));
    assert_eq!(
        (controls.conn, controls.w_max_lim_ena),
        (Conn::Connect, WMaxLimEna::Disabled)
    );
    assert_eq!(controls.w_max_lim_pct_rvrt_tms, Some(0));
}

#[tokio::test]
async fn the_battery_inverter_is_discovered_and_equals_the_physics() {
    let (home, served) = served().await;
    let device = discover(served.battery_inverter.address()).await;
    let spec = &home.spec().battery;

    let inverter: Model103 = read(&device).await;
    assert!(
        home.flow().battery != 0 && shows(inverter.w, home.flow().battery),
        "{} W",
        inverter.w
    );
    assert_eq!(
        (inverter.wh, inverter.wh_sf),
        (home.counters().battery_discharge.count, -1)
    );
    let nameplate: Model120 = read(&device).await;
    assert_eq!(nameplate.wh_rtg.map(u32::from), Some(spec.capacity_watt_hours));
    assert_eq!(nameplate.max_dis_cha_rte.map(u32::from), Some(spec.power_watts));

    let storage: Model124 = read(&device).await;
    assert_eq!(u32::from(storage.w_cha_max), spec.power_watts);
    assert_eq!(storage.stor_ctl_mod, StorCtlMod::empty());
    assert_eq!(
        (storage.out_w_rte, storage.in_w_rte),
        (Some(10_000), Some(10_000))
    );
    assert_eq!(storage.in_out_w_rte_sf, Some(-2));
    assert_eq!(
        (storage.min_rsv_pct, storage.min_rsv_pct_sf),
        (Some(2_000), Some(-2))
    );
    assert_eq!(storage.cha_gri_set, Some(ChaGriSet::Pv));

    let cells: Model802 = read(&device).await;
    assert_eq!(i64::from(cells.soc), home.soc_basis_points() / 10);
    assert_eq!(cells.soc_sf, -1);
    assert_eq!(storage.cha_state, Some(cells.soc));
    assert_eq!((cells.soc_rsv_min, cells.soc_min), (Some(200), Some(50)));
    assert_eq!((cells.typ, cells.state), (Typ::LithiumIon, State::Connected));
    assert!(i64::from(cells.w).abs() > 0 && (cells.w > 0) == (inverter.w > 0));
    assert_eq!(u32::from(cells.wh_rtg), spec.capacity_watt_hours);
}

#[tokio::test]
async fn the_grid_meter_is_discovered_and_equals_the_physics() {
    let (home, served) = served().await;
    let device = discover(served.grid_meter.address()).await;
    let common: Model1 = read(&device).await;
    assert_eq!(common.md, "Meter");
    let meter: Model203 = read(&device).await;
    assert!(shows(meter.w, home.flow().grid), "{} W", meter.w);
    assert_eq!(meter.tot_wh_sf, -1);
    assert_eq!(meter.tot_wh_imp, home.counters().grid_import.count);
    assert_eq!(meter.tot_wh_exp, home.counters().grid_export.count);
    let lines = [
        meter.tot_wh_imp_ph_a,
        meter.tot_wh_imp_ph_b,
        meter.tot_wh_imp_ph_c,
    ];
    let sum: u32 = lines.into_iter().flatten().sum();
    assert!(
        meter.tot_wh_imp - sum <= 2,
        "three lines make the whole, but for their cut tenths"
    );
    assert_eq!(meter.ph_v, 2_300);
}

#[tokio::test]
async fn the_chain_is_walked_from_the_marker_to_the_end_model_at_any_base() {
    for base in [0, 40_000, 50_000] {
        let mut spec = HomeSpec::draw(1);
        spec.device_mut(Role::Battery).unwrap().base = base;
        let home = Home::new(spec, AFTERNOON);
        let server = home
            .battery_inverter()
            .serve(([127, 0, 0, 1], 0).into())
            .await
            .unwrap();
        let mut client = connect(server.address()).await;
        let mut read = async |address, count| client.read_holding_registers(address, count).await.unwrap();
        assert_eq!(read(base, 2).await.unwrap(), SUNS);
        let (mut address, mut models) = (base + 2, Vec::new());
        loop {
            let header = read(address, 2).await.unwrap();
            if header == END_MODEL {
                break;
            }
            models.push(header[0]);
            address += 2 + header[1];
        }
        assert_eq!(models, [1, 103, 120, 121, 122, 123, 124, 160, 802]);
        assert_eq!(
            read(address + 1, 2).await,
            Err(ExceptionCode::IllegalDataAddress),
            "beyond the end"
        );
    }
}

#[tokio::test]
async fn a_written_value_reads_back_over_the_wire_by_either_function_code() {
    let (home, served) = served().await;
    let map: RegisterMap = home.battery_inverter().registers();
    let mut client = connect(served.battery_inverter.address()).await;
    let reserve = home.battery_inverter().address(124, "MinRsvPct").unwrap();
    client
        .write_single_register(reserve, 3_500)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        client.read_holding_registers(reserve, 1).await.unwrap().unwrap(),
        [3_500]
    );
    client
        .write_multiple_registers(reserve, &[2_500])
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        client.read_holding_registers(reserve, 1).await.unwrap().unwrap(),
        [2_500]
    );
    let refused = client.write_single_register(map.base(), 1).await.unwrap();
    assert_eq!(refused, Err(ExceptionCode::IllegalDataAddress));
    let refused = client.write_single_register(reserve, 10_001).await.unwrap();
    assert_eq!(refused, Err(ExceptionCode::IllegalDataValue));
    assert_eq!(home.battery_inverter().value(124, "MinRsvPct"), Some(2_500));
}
