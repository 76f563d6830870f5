//! How much a home's outbox writes to the disk in a day, for SD cards: `cargo run --release -p gridtally-edge
//! --example outbox_writes`. Prints bytes from /proc/self/io, with the kernel's write-back after each interval
//! played by a sync of the files; `strace -f -c -e trace=fsync,fdatasync` counts the outbox's own syncs when
//! `--no-write-back` is given.

use std::error::Error;
use std::fs::{self, File};
use std::path::Path;

use gridtally_edge::meter::{Meters, Sample};
use gridtally_edge::outbox::{Keep, Outbox, Pending};
use gridtally_protocol::channel::{Channel, DeviceNumber, Quantity};
use gridtally_protocol::identity::{Digest, SigningIdentity};
use gridtally_protocol::quantity::MilliwattHours;
use gridtally_protocol::report::ClockState;
use gridtally_protocol::time::{Interval, IntervalLength, Timestamp};

const DAYS: i64 = 10;
const INTERVALS_PER_REPORT: usize = 12;
const CHANNELS: [(u8, Quantity); 5] = [
    (1, Quantity::GridImport),
    (1, Quantity::GridExport),
    (2, Quantity::PvProduction),
    (3, Quantity::BatteryDischarge),
    (3, Quantity::StateOfCharge),
];

fn main() -> Result<(), Box<dyn Error>> {
    let write_back = !std::env::args().any(|argument| argument == "--no-write-back");
    let directory = tempfile::tempdir_in(".")?;
    let key = SigningIdentity::from_secret(&[7; 32])?;
    let mut outbox = Outbox::open(directory.path(), key, true)?;
    let midnight = Timestamp::from_unix(1_775_692_800)?;
    let meters = Meters::default();
    let before = written()?;
    for n in 0..DAYS * 288 {
        let start = midnight.checked_add(n * 300).ok_or("beyond all years")?;
        let interval = Interval::new(start, IntervalLength::FIVE_MINUTES)?;
        let samples = CHANNELS.map(|(device, quantity)| Sample {
            channel: Channel {
                device: DeviceNumber(device),
                quantity,
            },
            value: Ok(MilliwattHours::new(n * 7_919 % 400_000)),
        });
        let ended = [Pending {
            interval,
            samples: samples.to_vec(),
        }];
        let now = interval.end();
        outbox.keep_intervals(now, &meters, &ended)?;
        if now.unix() % 3_600 == 0 {
            while outbox.seal_report(INTERVALS_PER_REPORT, now, ClockState::Synchronised)? {}
            outbox.tidy(Keep::new(30, 64), now, ClockState::Synchronised)?;
            let digests = outbox.outgoing_after(0, 10)?;
            let entries: Vec<_> = digests
                .iter()
                .map(|m| (Digest::of(&m.envelope), Ok(())))
                .collect();
            outbox.receipt(&entries, now)?;
        }
        if write_back {
            sync_files(directory.path())?;
        }
    }
    println!(
        "bytes written a day: {}",
        (written()? - before) / DAYS.unsigned_abs()
    );
    println!("file: {} bytes in use", outbox.status()?.file_bytes);
    for entry in fs::read_dir(directory.path())? {
        let entry = entry?;
        println!(
            "{}: {} bytes",
            entry.file_name().display(),
            entry.metadata()?.len()
        );
    }
    Ok(())
}

fn sync_files(directory: &Path) -> std::io::Result<()> {
    for entry in fs::read_dir(directory)? {
        File::open(entry?.path())?.sync_data()?;
    }
    Ok(())
}

fn written() -> Result<u64, Box<dyn Error>> {
    let text = fs::read_to_string("/proc/self/io")?;
    let line = text.lines().find_map(|line| line.strip_prefix("write_bytes: "));
    Ok(line.ok_or("no write_bytes in /proc/self/io")?.trim().parse()?)
}
