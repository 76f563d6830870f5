//! The process that reads: one connection to each device, visited in turn by a fixed number of
//! pollers, each of which waits for its reply before it asks the next device.

use crate::{Failure, Options, Tally, Target, WARM};
use std::io::stdin;
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;

/// Transaction, protocol, length, unit, function and byte count.
const REPLY_HEADER: usize = 9;
const READ_HOLDING: u8 = 3;
/// A reply that takes longer than this is none.
const PATIENCE: Duration = Duration::from_secs(5);

pub(crate) fn run(options: &Options) -> Result<(), Failure> {
    let targets: Vec<Target> = stdin()
        .lines()
        .map(|line| line?.parse())
        .collect::<Result<_, Failure>>()?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(poll(options, &targets))
}

async fn poll(options: &Options, targets: &[Target]) -> Result<(), Failure> {
    let mut shares: Vec<Vec<Connection>> = Vec::new();
    shares.resize_with(options.in_flight.clamp(1, targets.len()), Vec::new);
    let pollers = shares.len();
    for (n, target) in targets.iter().enumerate() {
        shares[n % pollers].push(Connection::open(*target).await?);
    }
    let mut shares = visit(shares, Options::WARM_UP).await?;
    for connection in shares.iter_mut().flatten() {
        connection.micros.clear();
    }
    println!("{WARM}");
    let shares = visit(shares, Duration::from_secs(options.seconds)).await?;
    let micros = shares
        .into_iter()
        .flatten()
        .flat_map(|connection| connection.micros);
    println!("{}", tally(micros.collect())?);
    Ok(())
}

/// Lets every poller go round its connections for so long.
async fn visit(shares: Vec<Vec<Connection>>, duration: Duration) -> Result<Vec<Vec<Connection>>, Failure> {
    let until = Instant::now() + duration;
    let mut pollers = JoinSet::new();
    for mut connections in shares {
        pollers.spawn(async move {
            while Instant::now() < until {
                for connection in &mut connections {
                    connection.read().await?;
                }
            }
            Ok::<_, Failure>(connections)
        });
    }
    let mut shares = Vec::new();
    while let Some(share) = pollers.join_next().await {
        shares.push(share??);
    }
    Ok(shares)
}

fn tally(mut micros: Vec<u32>) -> Result<Tally, Failure> {
    micros.sort_unstable();
    let at = |percent: usize| {
        micros
            .get(micros.len().saturating_sub(1) * percent / 100)
            .copied()
    };
    let nothing = "not one reply came";
    Ok(Tally {
        reads: u64::try_from(micros.len())?,
        p50: at(50).ok_or(nothing)?,
        p99: at(99).ok_or(nothing)?,
        longest: at(100).ok_or(nothing)?,
    })
}

/// A connection to one device.
struct Connection {
    target: Target,
    stream: TcpStream,
    transaction: u16,
    reply: Vec<u8>,
    /// How long each reply took.
    micros: Vec<u32>,
}

impl Connection {
    async fn open(target: Target) -> Result<Self, Failure> {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, target.port)).await?;
        stream.set_nodelay(true)?;
        Ok(Self {
            target,
            stream,
            transaction: 0,
            reply: vec![0; REPLY_HEADER + 2 * usize::from(target.length)],
            micros: Vec::new(),
        })
    }

    /// One request, its reply, and a look at every field of it that is known beforehand.
    async fn read(&mut self) -> Result<(), Failure> {
        self.transaction = self.transaction.wrapping_add(1);
        let [t0, t1] = self.transaction.to_be_bytes();
        let [a0, a1] = self.target.address.to_be_bytes();
        let [n0, n1] = self.target.length.to_be_bytes();
        let request = [t0, t1, 0, 0, 0, 6, self.target.unit, READ_HOLDING, a0, a1, n0, n1];
        let asked = Instant::now();
        let exchange = async {
            self.stream.write_all(&request).await?;
            self.stream.read_exact(&mut self.reply).await
        };
        timeout(PATIENCE, exchange)
            .await
            .map_err(|_| format!("{:?} does not answer", self.target))??;
        self.micros.push(u32::try_from(asked.elapsed().as_micros())?);
        self.check()
    }

    fn check(&self) -> Result<(), Failure> {
        let Target {
            unit, length, model, ..
        } = self.target;
        let bytes = 2 * length;
        let mut expected = Vec::with_capacity(REPLY_HEADER + 4);
        for word in [self.transaction, 0, 3 + bytes] {
            expected.extend(word.to_be_bytes());
        }
        expected.extend([unit, READ_HOLDING, u8::try_from(bytes)?]);
        for word in [model, length - 2] {
            expected.extend(word.to_be_bytes());
        }
        if self.reply.starts_with(&expected) {
            Ok(())
        } else {
            let head = &self.reply[..expected.len()];
            Err(format!(
                "{:?} began its reply with {head:02X?} instead of {expected:02X?}",
                self.target
            )
            .into())
        }
    }
}
