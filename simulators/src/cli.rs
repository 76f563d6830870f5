//! `gridtally simulate …`: devices in real time, for whoever needs one to talk to.

use crate::{Device, Home, HomeSpec, Server};
use chrono::Utc;
use clap::{Args, Subcommand};
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;
use thiserror::Error;
use tokio::time::MissedTickBehavior;

/// A home has no powers before its first minute.
const WARM_UP_SECONDS: i64 = 60;

/// Simulated SunSpec devices over Modbus TCP, in real time, until Ctrl-C.
#[derive(Debug, Args)]
pub struct SimulateArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// A home: PV inverter, battery inverter and grid meter on three consecutive ports.
    Home(Options),
    /// A PV inverter (models 1, 103, 120, 121, 123).
    Inverter(Options),
    /// A battery inverter (models 1, 103, 120, 121, 124, 802).
    Battery(Options),
    /// A grid meter (models 1, 203).
    Meter(Options),
}

#[derive(Debug, Args)]
struct Options {
    /// Decides about roof, battery, household and clouds.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Address to listen on; 0.0.0.0 lets other machines in.
    #[arg(long, default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST))]
    listen: IpAddr,
    /// TCP port; a home takes this one and the next two. 0 takes free ones.
    #[arg(long, default_value_t = 5020)]
    port: u16,
}

/// Why a simulation does not run.
#[derive(Debug, Error)]
pub enum SimulateError {
    /// A port cannot be had.
    #[error("cannot listen on {address}: choose another --port, or --port 0 for any free one")]
    Listen {
        /// Where it should have listened.
        address: SocketAddr,
        /// What the system says.
        source: io::Error,
    },
    /// Three ports do not fit.
    #[error("a home takes three ports from --port on; {port} leaves too few below 65536")]
    NoPortLeft {
        /// The first port.
        port: u16,
    },
    /// Ctrl-C cannot be waited for.
    #[error("cannot wait for Ctrl-C")]
    Signal(#[source] io::Error),
}

/// Runs the simulation until Ctrl-C.
///
/// # Errors
/// If a port cannot be bound.
pub async fn run(args: SimulateArgs) -> Result<(), SimulateError> {
    let options = args.what.options();
    let now = Utc::now().timestamp();
    let mut home = Home::new(HomeSpec::draw(options.seed), now - WARM_UP_SECONDS);
    home.advance_to(now);
    let servers = serve(&args.what, &home).await?;
    explain(&servers);
    let mut seconds = tokio::time::interval(Duration::from_secs(1));
    seconds.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let interrupt = tokio::signal::ctrl_c();
    tokio::pin!(interrupt);
    loop {
        tokio::select! {
            outcome = &mut interrupt => return outcome.map_err(SimulateError::Signal),
            _ = seconds.tick() => home.advance_to(Utc::now().timestamp()),
        }
    }
}

impl What {
    fn options(&self) -> &Options {
        match self {
            Self::Home(options) | Self::Inverter(options) | Self::Battery(options) | Self::Meter(options) => {
                options
            }
        }
    }
}

/// A device on its socket, and what there is to try with it.
struct Served {
    name: &'static str,
    server: Server,
    unit: u8,
    base: u16,
    example: (&'static str, u16),
}

async fn serve(what: &What, home: &Home) -> Result<Vec<Served>, SimulateError> {
    let pv = ("PV inverter", home.pv_inverter(), (103, "W"), "AC power in W");
    let battery = (
        "battery inverter",
        home.battery_inverter(),
        (802, "SoC"),
        "state of charge in 0.1 %",
    );
    let meter = (
        "grid meter",
        home.grid_meter(),
        (203, "W"),
        "power from the grid in W",
    );
    let devices = match what {
        What::Home(_) => vec![pv, battery, meter],
        What::Inverter(_) => vec![pv],
        What::Battery(_) => vec![battery],
        What::Meter(_) => vec![meter],
    };
    let Options { listen, port, .. } = *what.options();
    let mut served = Vec::new();
    for (offset, (name, device, (model, point), meaning)) in (0..).zip(devices) {
        let server = listen_on(device, listen, port, offset).await?;
        let registers = device.registers();
        let address = device.address(model, point).unwrap_or_else(|| registers.base());
        served.push(Served {
            name,
            server,
            unit: device.unit(),
            base: registers.base(),
            example: (meaning, address),
        });
    }
    Ok(served)
}

async fn listen_on(device: &Device, listen: IpAddr, port: u16, offset: u16) -> Result<Server, SimulateError> {
    let port = match port {
        0 => 0,
        _ => port
            .checked_add(offset)
            .ok_or(SimulateError::NoPortLeft { port })?,
    };
    let address = SocketAddr::from((listen, port));
    device
        .serve(address)
        .await
        .map_err(|source| SimulateError::Listen { address, source })
}

fn explain(servers: &[Served]) {
    println!("Simulated SunSpec devices over Modbus TCP, in real time. Ctrl-C ends them.\n");
    for served in servers {
        let (address, unit, base) = (served.server.address(), served.unit, served.base);
        let (meaning, register) = served.example;
        println!("{:<17} {address}   unit {unit}, SunSpec base {base}", served.name);
        println!("  {meaning}: holding register {register} (counted from 0), for example");
        println!(
            "  mbpoll -m tcp -p {} -a {unit} -0 -r {register} -t 4 -c 1 -1 {}\n",
            address.port(),
            address.ip()
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Program {
        #[command(flatten)]
        simulate: SimulateArgs,
    }

    async fn start(arguments: &[&str]) -> Result<Vec<Served>, SimulateError> {
        let words = ["simulate"].iter().chain(arguments);
        let what = Program::try_parse_from(words)
            .expect("the arguments parse")
            .simulate
            .what;
        serve(&what, &Home::new(HomeSpec::draw(what.options().seed), 0)).await
    }

    #[tokio::test]
    async fn a_home_has_three_sockets_and_a_device_one() {
        let home = start(&["home", "--port", "0"]).await.unwrap();
        let names: Vec<_> = home.iter().map(|served| served.name).collect();
        assert_eq!(names, ["PV inverter", "battery inverter", "grid meter"]);
        assert_eq!(home[2].example.1, 40_088, "W of model 203 behind model 1");
        for what in ["inverter", "battery", "meter"] {
            assert_eq!(
                start(&[what, "--port", "0", "--seed", "9"]).await.unwrap().len(),
                1
            );
        }
    }

    #[tokio::test]
    async fn a_port_in_use_is_named_with_a_way_out() {
        let taken = start(&["meter", "--port", "0"]).await.unwrap();
        let port = taken[0].server.address().port().to_string();
        let error = start(&["meter", "--port", &port])
            .await
            .err()
            .expect("the port is taken");
        let message = error.to_string();
        assert!(message.contains(&port) && message.contains("--port"), "{message}");
    }
}
