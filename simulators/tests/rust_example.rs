//! The example of the README for a test in Rust. What stands between the two lines is shown there.

// [README
use gridtally_simulators::{Device, Fault, Home, HomeSpec, Server};
use std::error::Error;
use std::time::Duration;
use tokio_modbus::client::{Context, Reader, Writer, tcp};
use tokio_modbus::slave::Slave;

/// A point of the model 103 or 123 that a device has, as a client reads it.
async fn read(client: &mut Context, device: &Device, model: u16, point: &str) -> Result<i16, Box<dyn Error>> {
    let address = device.address(model, point).ok_or("no such point")?;
    Ok(client.read_holding_registers(address, 1).await??[0].cast_signed())
}

#[tokio::test]
async fn my_client_curtails_an_inverter_and_survives_its_faults() -> Result<(), Box<dyn Error>> {
    let noon = 1_782_043_200; // 2026-06-21T12:00:00Z: time passes only when the test says so
    let mut home = Home::new(HomeSpec::draw(7), noon - 60);
    home.advance_to(noon);
    let inverter = home.pv_inverter().clone();
    let server = Server::bind("127.0.0.1:0".parse()?, vec![inverter.clone()]).await?;
    let mut client = tcp::connect_slave(server.address(), Slave(1)).await?;

    // What the client reads is what the physics says.
    let sunny = read(&mut client, &inverter, 103, "W").await?;
    assert_eq!(i64::from(sunny), home.flow().pv / 1_000);

    // A limit of 10.00 %, at once (WinTms), for 300 s (RvrtTms), without a ramp (RmpTms), switched on (Ena).
    let limit = inverter.address(123, "WMaxLimPct").ok_or("no model 123")?;
    client
        .write_multiple_registers(limit, &[1_000, 0, 300, 0, 1])
        .await??;
    home.advance_to(noon + 299);
    let nameplate = i64::from(home.spec().pv.nameplate_watts);
    assert_eq!(home.flow().pv / 1_000, nameplate / 10);
    // Nobody renews it: the reversion timer takes it back, on its second.
    home.advance_to(noon + 301);
    assert_eq!(read(&mut client, &inverter, 123, "WMaxLim_Ena").await?, 0);
    assert!(home.flow().pv / 1_000 > nameplate / 10);

    // A fault, live: the reply comes long after the client has given up.
    inverter.inject(Fault::LateReply { millis: 60_000 });
    let patience = Duration::from_millis(50);
    let late = tokio::time::timeout(patience, read(&mut client, &inverter, 103, "W")).await;
    assert!(late.is_err(), "a reply within 50 ms");
    inverter.eject("late-reply");

    // A fault on a schedule: the energy counter is 0 for five minutes, and then what it was.
    inverter.schedule(Fault::CountersAtZero, noon + 600..noon + 900);
    let mut client = tcp::connect_slave(server.address(), Slave(1)).await?;
    let counter = inverter.address(103, "WH").ok_or("no model 103")?;
    home.advance_to(noon + 600);
    assert_eq!(client.read_holding_registers(counter, 2).await??, [0, 0]);
    home.advance_to(noon + 900);
    assert_ne!(client.read_holding_registers(counter, 2).await??, [0, 0]);
    Ok(())
}
// README]
