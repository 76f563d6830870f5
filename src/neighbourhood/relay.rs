//! A home's link to the internet: a TCP relay to the broker that can be cut and mended.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::{io, thread};

/// A relay on a loopback port of its own.
#[derive(Debug)]
pub struct Relay {
    address: SocketAddr,
    line: Arc<Mutex<Line>>,
    carried: Arc<AtomicU64>,
}

#[derive(Debug, Default)]
struct Line {
    cut: bool,
    open: Vec<TcpStream>,
}

impl Relay {
    /// Relays connections to `broker` until it is cut. The relay lives as long as the process.
    ///
    /// # Errors
    /// Where no loopback port can be had.
    pub fn start(broker: String) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        let line = Arc::new(Mutex::new(Line::default()));
        let shared = Arc::clone(&line);
        let carried = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&carried);
        thread::Builder::new().name("relay".into()).spawn(move || {
            for home in listener.incoming().flatten() {
                // Whatever fails here is, to the home, a line that is down.
                let _ = join(&shared, home, &broker, &counted);
            }
        })?;
        Ok(Self {
            address,
            line,
            carried,
        })
    }

    /// Where the home finds its broker.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// How many bytes went over the line so far, both ways together, without the headers of TCP and IP.
    #[must_use]
    pub fn carried(&self) -> u64 {
        self.carried.load(Ordering::Relaxed)
    }

    /// Cuts the line: open connections break, new ones are dropped at once.
    pub fn cut(&self) {
        let mut line = lock(&self.line);
        line.cut = true;
        for end in line.open.drain(..) {
            let _ = end.shutdown(std::net::Shutdown::Both);
        }
    }

    /// Mends the line.
    pub fn mend(&self) {
        lock(&self.line).cut = false;
    }
}

fn lock(line: &Mutex<Line>) -> std::sync::MutexGuard<'_, Line> {
    line.lock().unwrap_or_else(PoisonError::into_inner)
}

fn join(line: &Mutex<Line>, home: TcpStream, broker: &str, carried: &Arc<AtomicU64>) -> io::Result<()> {
    let mut line = lock(line);
    if line.cut {
        return Ok(());
    }
    let far = TcpStream::connect(broker)?;
    home.set_nodelay(true)?;
    far.set_nodelay(true)?;
    line.open.push(home.try_clone()?);
    line.open.push(far.try_clone()?);
    pump(home.try_clone()?, far.try_clone()?, Arc::clone(carried))?;
    pump(far, home, Arc::clone(carried))
}

fn pump(mut from: TcpStream, mut to: TcpStream, carried: Arc<AtomicU64>) -> io::Result<()> {
    thread::Builder::new().name("relay pump".into()).spawn(move || {
        let _ = carry(&mut from, &mut to, &carried);
        let _ = to.shutdown(std::net::Shutdown::Both);
        let _ = from.shutdown(std::net::Shutdown::Both);
    })?;
    Ok(())
}

fn carry(from: &mut TcpStream, to: &mut TcpStream, carried: &AtomicU64) -> io::Result<()> {
    let mut buffer = [0; 16 * 1024];
    loop {
        let bytes = match from.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(length) => buffer.get(..length).unwrap_or_default(),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        to.write_all(bytes)?;
        carried.fetch_add(u64::try_from(bytes.len()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }
}
