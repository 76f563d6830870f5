//! Opening what requests travel on.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_modbus::Slave;
use tokio_modbus::client::{Context, rtu, tcp};
use tokio_serial::{SerialPortBuilderExt as _, SerialStream};

use super::BusSettings;
use super::quiet::Quiet;
use super::renumber::Renumbered;
use crate::device::endpoint::{Endpoint, Parity, SerialLine};

/// A line that has not fallen silent after so many deadlines is used as it is; checksums and the check of
/// known registers are what is left then.
const DRAIN_DEADLINES: u32 = 4;

/// Opens the endpoint within the deadline. Whatever still comes where frames bear no transaction numbers is
/// thrown away until nothing came for as long as `drain`.
pub(super) async fn open(
    endpoint: &Endpoint,
    settings: &BusSettings,
    deadline: Duration,
    drain: Duration,
) -> io::Result<Context> {
    match endpoint {
        Endpoint::Tcp(address) => {
            let stream = connect(address, deadline).await?;
            Ok(attach_tcp(stream, settings, drain).await)
        }
        Endpoint::Tls(address) => {
            let tls = settings
                .tls
                .as_ref()
                .ok_or_else(|| io::Error::other("there are no certificates for it"))?;
            let stream = connect(address, deadline).await?;
            let stream = timeout(deadline, tls.shake_hands(address, stream))
                .await
                .map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
            Ok(attach_tcp(stream, settings, drain).await)
        }
        Endpoint::RtuOverTcp(address) => {
            let mut stream = connect(address, deadline).await?;
            drain_line(&mut stream, drain).await;
            Ok(rtu::attach_slave(Quiet::new(stream), Slave(0)))
        }
        Endpoint::Serial(line) => {
            let mut port = open_port(line)?;
            drain_line(&mut port, drain).await;
            Ok(rtu::attach_slave(Quiet::new(port), Slave(0)))
        }
    }
}

/// Without transaction numbers to go by, a socket is no better than a serial line.
async fn attach_tcp<S>(mut stream: S, settings: &BusSettings, drain: Duration) -> Context
where
    S: AsyncRead + AsyncWrite + std::fmt::Debug + Unpin + Send + 'static,
{
    if settings.ignores_transaction_ids {
        drain_line(&mut stream, drain).await;
        tcp::attach_slave(Renumbered::new(Quiet::new(stream)), Slave(0))
    } else {
        tcp::attach_slave(stream, Slave(0))
    }
}

async fn connect(address: &str, deadline: Duration) -> io::Result<TcpStream> {
    let stream = timeout(deadline, TcpStream::connect(address))
        .await
        .map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
    stream.set_nodelay(true)?;
    Ok(stream)
}

fn open_port(line: &SerialLine) -> io::Result<SerialStream> {
    let path = line.path.to_string_lossy();
    let parity = match line.parity {
        Parity::None => tokio_serial::Parity::None,
        Parity::Even => tokio_serial::Parity::Even,
        Parity::Odd => tokio_serial::Parity::Odd,
    };
    let stop_bits = match line.stop_bits {
        2 => tokio_serial::StopBits::Two,
        _ => tokio_serial::StopBits::One,
    };
    tokio_serial::new(path, line.baud)
        .data_bits(tokio_serial::DataBits::Eight)
        .parity(parity)
        .stop_bits(stop_bits)
        .flow_control(tokio_serial::FlowControl::None)
        .open_native_async()
        .map_err(io::Error::from)
}

/// Reads and forgets until nothing came for so long.
async fn drain_line(line: &mut (impl AsyncRead + Unpin), silence: Duration) {
    if silence.is_zero() {
        return;
    }
    let give_up = Instant::now() + silence.saturating_mul(DRAIN_DEADLINES);
    let mut scratch = [0; 256];
    loop {
        let silent_at = (Instant::now() + silence).min(give_up);
        match timeout_at(silent_at, line.read(&mut scratch)).await {
            Ok(Ok(read)) if read > 0 && Instant::now() < give_up => {}
            _ => return,
        }
    }
}
