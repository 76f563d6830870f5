//! Devices on a TCP socket.
//!
//! Framing is tokio-modbus's; between it and the socket lies a [`Cable`], which is where faults
//! below the frame belong.

use crate::device::{Answer, Device};
use crate::fault::Fault;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_modbus::server::{Service, tcp};
use tokio_modbus::{ExceptionCode, Response, SlaveRequest};

/// A Modbus TCP socket with one or several devices behind it. Dropping it closes the socket and its
/// connections.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl Server {
    /// Serves devices on one socket, told apart by their units. A request for a unit that is not
    /// there, or whose device is offline, is answered with exception 11 as a gateway does; with a
    /// single device behind the socket, an offline device closes the connection.
    ///
    /// # Errors
    /// If the address cannot be bound.
    pub async fn bind(address: SocketAddr, devices: Vec<Device>) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let socket = Arc::new(Socket { devices });
        let task = tokio::spawn(async move {
            let server = tcp::Server::new(listener);
            let connect = |stream, _peer| std::future::ready(connect(&socket, stream));
            let trouble = |error| tracing::debug!(%error, "a Modbus connection ended with an error");
            if let Err(error) = server.serve(&connect, trouble).await {
                tracing::error!(%error, %address, "the simulated device stopped serving");
            }
        });
        Ok(Self { address, task })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn connect(socket: &Arc<Socket>, stream: TcpStream) -> io::Result<Option<(Arc<Socket>, Cable)>> {
    if socket.is_offline() {
        return Ok(None);
    }
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "no TCP_NODELAY on a Modbus connection");
    }
    let cable = Cable {
        stream,
        socket: Arc::clone(socket),
    };
    Ok(Some((Arc::clone(socket), cable)))
}

/// What is behind one socket.
#[derive(Debug)]
struct Socket {
    devices: Vec<Device>,
}

impl Socket {
    fn is_offline(&self) -> bool {
        self.devices
            .iter()
            .all(|device| device.active_faults().contains(&Fault::Offline))
    }
}

impl Service for Socket {
    type Request = SlaveRequest<'static>;
    type Response = Option<Response>;
    type Exception = ExceptionCode;
    type Future = std::future::Ready<Result<Option<Response>, ExceptionCode>>;

    fn call(&self, request: Self::Request) -> Self::Future {
        let device = self.devices.iter().find(|device| device.unit() == request.slave);
        let answer = device.map(|device| device.answer(&request.request));
        std::future::ready(match answer {
            Some(Answer::Reply(response)) => Ok(Some(response)),
            Some(Answer::Exception(exception)) => Err(exception),
            Some(Answer::Silence) if self.devices.len() == 1 => Ok(None),
            Some(Answer::Silence) | None => Err(ExceptionCode::GatewayTargetDevice),
        })
    }
}

/// The connection to a client: pulled when all devices behind the socket are offline.
struct Cable {
    stream: TcpStream,
    socket: Arc<Socket>,
}

impl AsyncRead for Cable {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.stream).poll_read(cx, buf);
        if polled.is_ready() && self.socket.is_offline() {
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        polled
    }
}

impl AsyncWrite for Cable {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
