//! The sockets of the page: bounded in number, time and size, so that no one in the network can take more
//! of the box than this.

use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};
use tracing::{debug, info, warn};

use super::routes::{App, router};
use super::{Page, guard};

/// How many connections are served at a time; the next one waits in the kernel's queue.
const CONNECTIONS_MAX: usize = 32;
/// How long a head may take to arrive, and how long a connection may be idle.
const HEAD_WITHIN: Duration = Duration::from_secs(10);
/// How long a connection lives at most: a page is loaded long before.
const CONNECTION_LASTS: Duration = Duration::from_secs(60);
const HEADERS_MAX: usize = 64;
const HEAD_LEN_MAX: usize = 16 * 1024;
/// How long to wait after the system refused a socket (no file descriptors left).
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

/// Who asks: the two ends of the connection.
#[derive(Debug, Clone, Copy)]
pub struct Ends {
    /// The browser's address.
    pub peer: IpAddr,
    /// The address of ours that it reached.
    pub ours: IpAddr,
}

impl Ends {
    /// Whether the browser is in the home.
    #[must_use]
    pub fn at_home(self) -> bool {
        guard::is_at_home(self.peer, self.ours)
    }
}

/// Serves the page until the task is dropped.
pub async fn serve(listener: TcpListener, page: Page) -> Infallible {
    if let Ok(address) = listener.local_addr() {
        info!("the homeowner's page is at http://{address}/");
    }
    match page.passwords.code() {
        Ok(Some(code)) => {
            warn!("the page has no password yet: open it in the home network, with the code {code}")
        }
        Ok(None) => {}
        Err(e) => warn!("{e}"),
    }
    let app = Arc::new(App::new(page));
    let seats = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let seat = Arc::clone(&seats).acquire_owned().await;
        match listener.accept().await {
            Ok((stream, peer)) => {
                let app = Arc::clone(&app);
                tokio::spawn(async move {
                    let _seat = seat;
                    if timeout(CONNECTION_LASTS, talk(stream, peer, app)).await.is_err() {
                        debug!(%peer, "a connection to the page lasted too long");
                    }
                });
            }
            Err(e) => {
                debug!("the page cannot accept a connection: {e}");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn talk(stream: TcpStream, peer: SocketAddr, app: Arc<App>) {
    let Ok(ours) = stream.local_addr() else {
        return;
    };
    let ends = Ends {
        peer: peer.ip(),
        ours: ours.ip(),
    };
    let service = TowerToHyperService::new(router(app).layer(Extension(ends)));
    let talk = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_WITHIN)
        .max_headers(HEADERS_MAX)
        .max_buf_size(HEAD_LEN_MAX)
        .serve_connection(TokioIo::new(stream), service);
    if let Err(e) = talk.await {
        debug!(%peer, "a connection to the page ended: {e}");
    }
}
