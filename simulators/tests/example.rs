//! The example of the README, run as it stands there.

// README begins
use gridtally_simulators::{Fault, Home, HomeSpec};
use tokio_modbus::client::{Reader as _, tcp};

#[tokio::test]
async fn my_client_is_not_fooled_by_a_counter_at_zero() -> Result<(), Box<dyn std::error::Error>> {
    let noon = 1_782_043_200; // Unix seconds; nothing here reads a clock
    let mut home = Home::new(HomeSpec::draw(42), noon); // same seed, same registers, bit for bit
    home.advance_to(noon + 300);

    let meter = home.grid_meter().clone();
    let server = meter.serve("127.0.0.1:0".parse()?).await?; // a real socket, any free port
    let mut client = tcp::connect_slave(server.address(), tokio_modbus::Slave(meter.unit())).await?;

    let counter = meter.address(203, "TotWhImp").ok_or("a meter counts")?;
    let truth = client.read_holding_registers(counter, 2).await??;
    assert_eq!(
        i64::from(truth[0]) << 16 | i64::from(truth[1]),
        meter.value(203, "TotWhImp").unwrap()
    );

    meter.inject(Fault::CountersAtZero); // or schedule(fault, noon + 600..noon + 900)
    assert_eq!(client.read_holding_registers(counter, 2).await??, [0, 0]); // your client's turn to doubt

    meter.clear_faults();
    home.advance_to(noon + 600); // whenever your client is done
    let imported = home.energies().grid_import; // exact, to compare with
    assert!(imported >= home.spec().lifetime.grid_import);
    Ok(())
}
// README ends
