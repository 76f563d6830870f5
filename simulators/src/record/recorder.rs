//! Walks through a device and writes down what it answers.

use super::format::{Block, MAX_SECONDS, MAX_SNAPSHOTS, Recording, Snapshot};
use super::source::{Source, SourceError, Target, Told};
use crate::registers::{RegisterMap, Table};
use chrono::Utc;
use gridtally_registers::sunspec::{END_MODEL, SUNS};
use std::ops::RangeInclusive;
use std::str::FromStr;
use std::time::Duration;
use thiserror::Error;
use tokio::time::Instant;
use tokio_modbus::ExceptionCode;

/// A chain with more models is a loop or a map of zeros.
const MOST_MODELS: usize = 128;
/// *MODBUS Application Protocol* 1.1b3, §6.3.
const MOST_REGISTERS: u16 = 125;
/// No snapshot takes more text: 65536 registers in either table, each second one changed.
const MOST_BYTES: usize = 8 << 20;
/// A model that refuses more single registers has a length that is not true.
const MOST_HOLES: usize = 128;

/// Registers of one table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Span {
    /// Which table.
    pub table: Table,
    /// From the first to the last.
    pub registers: RangeInclusive<u16>,
}

impl FromStr for Span {
    type Err = NoSpan;

    fn from_str(text: &str) -> Result<Self, NoSpan> {
        let bad = || NoSpan(text.to_owned());
        let (table, registers) = text.split_once(':').ok_or_else(bad)?;
        let table = match table {
            "holding" => Table::Holding,
            "input" => Table::Input,
            _ => return Err(bad()),
        };
        let (first, last) = registers.split_once('-').unwrap_or((registers, registers));
        let (first, last): (u16, u16) = (
            first.parse().map_err(|_| bad())?,
            last.parse().map_err(|_| bad())?,
        );
        if first > last {
            return Err(bad());
        }
        Ok(Self {
            table,
            registers: first..=last,
        })
    }
}

/// Not a span of registers.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{0:?} names no registers: write holding:0-99 or input:5016")]
pub struct NoSpan(String);

/// What is to be recorded, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordOptions {
    /// Registers besides the SunSpec map, or of a device that has none.
    pub spans: Vec<Span>,
    /// How many pictures after the first.
    pub snapshots: u32,
    /// From one picture to the next: whole seconds, at least one.
    pub every: Duration,
    /// How long an answer may take.
    pub deadline: Duration,
    /// Between two requests.
    pub pause: Duration,
}

impl Default for RecordOptions {
    /// The SunSpec map once; 2 s for an answer, 20 ms between requests.
    fn default() -> Self {
        Self {
            spans: Vec::new(),
            snapshots: 0,
            every: Duration::from_secs(5),
            deadline: Duration::from_secs(2),
            pause: Duration::from_millis(20),
        }
    }
}

/// Why nothing was recorded.
#[derive(Debug, Error)]
pub enum RecordError {
    /// The device does not answer.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// There is nothing to record.
    #[error(
        "no SunSpec marker at {0}; give its base (…?base=N), or name registers (--registers holding:0-99)"
    )]
    NoMarker(String),
    /// None of the registers could be read.
    #[error("the device refused every register that was asked for")]
    Nothing,
}

/// How far a recording is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Recorded {
    /// A model was read.
    Model {
        /// Its number.
        id: u16,
        /// Its address.
        address: u16,
    },
    /// Registers were refused and are left out.
    Hole {
        /// The first.
        address: u16,
        /// How many.
        count: u16,
    },
    /// A picture was made, counted from 1.
    Snapshot(u32),
    /// A picture could not be made; the recording goes on.
    Missed {
        /// Which, counted from 1.
        snapshot: u32,
        /// What the device did instead of answering.
        problem: String,
    },
    /// The recording ends early: it is as long as one may be (64 MiB, 100,000 pictures, a year).
    Full,
}

/// Records what a device answers. Nothing is ever written to it.
///
/// # Errors
/// If the device cannot be reached or does not answer, or has nothing to record.
pub async fn record(
    target: &Target,
    source_name: &str,
    options: &RecordOptions,
    mut progress: impl FnMut(Recorded),
) -> Result<Recording, RecordError> {
    let mut walk = Walk {
        source: Source::new(target, options.deadline, options.pause),
        blocks: Vec::new(),
    };
    let recorded_at = Utc::now();
    let spanless = options.spans.is_empty();
    let base = find_marker(&mut walk.source, target.base, spanless).await?;
    match base {
        Some(base) => walk.chain(base, &mut progress).await?,
        None if spanless => {
            let tried = target
                .base
                .map_or_else(|| "40000, 0 or 50000".to_owned(), |base| base.to_string());
            return Err(RecordError::NoMarker(tried));
        }
        None => {}
    }
    for span in &options.spans {
        walk.span(
            span.table,
            *span.registers.start(),
            *span.registers.end(),
            usize::MAX,
            &mut progress,
        )
        .await?;
    }
    if walk.blocks.is_empty() {
        return Err(RecordError::Nothing);
    }
    let blocks = joined(&walk.blocks);
    let snapshots = walk.follow(options, text_bytes(&blocks), &mut progress).await;
    Ok(Recording {
        recorded_at,
        source: source_name.to_owned(),
        unit: target.unit,
        base,
        redacted: false,
        period: period_of(options),
        blocks,
        snapshots,
    })
}

/// Some devices say nothing at registers that they do not have, so silence at one base leaves the
/// others to be tried. If there is no marker and one is `demanded`, the first such failure is the error.
async fn find_marker(
    source: &mut Source<'_>,
    given: Option<u16>,
    demanded: bool,
) -> Result<Option<u16>, SourceError> {
    let usual = [40_000, 0, 50_000];
    let bases = given.as_ref().map_or(&usual[..], std::slice::from_ref);
    let mut failure = None;
    for base in bases {
        match source.read(Table::Holding, *base, 2).await {
            Ok(told) if told == Told::Words(SUNS.to_vec()) => return Ok(Some(*base)),
            Ok(_) => {}
            Err(error @ SourceError::Read { .. }) => failure = failure.or(Some(error)),
            Err(error) => return Err(error),
        }
    }
    match failure {
        Some(error) if demanded => Err(error),
        _ => Ok(None),
    }
}

/// The step of the snapshots, in seconds.
fn period_of(options: &RecordOptions) -> u32 {
    u32::try_from(options.every.as_secs())
        .unwrap_or(u32::MAX)
        .clamp(1, MAX_SECONDS)
}

/// So many bytes of text do these blocks take, or a few more.
fn text_bytes(blocks: &[Block]) -> usize {
    blocks.iter().map(|block| 64 + 6 * block.words.len()).sum()
}

struct Walk<'a> {
    source: Source<'a>,
    /// As they were read; the newest contents.
    blocks: Vec<Block>,
}

impl Walk<'_> {
    /// The models from the marker on, so far as the device lets itself be read.
    async fn chain(&mut self, base: u16, progress: &mut impl FnMut(Recorded)) -> Result<(), SourceError> {
        self.keep(Table::Holding, base, SUNS.to_vec());
        let mut next = base.checked_add(2);
        for _ in 0..MOST_MODELS {
            let Some(address) = next else { break };
            // An exception in the place of the end model is what some devices have, and some are silent.
            let header = match self.source.read(Table::Holding, address, 2).await {
                Ok(Told::Words(header)) => header,
                Ok(Told::Refused(_)) => break,
                Err(error) => {
                    let alive = self.source.read(Table::Holding, base, 2).await.is_ok();
                    if !alive || address == base + 2 {
                        return Err(error);
                    }
                    progress(Recorded::Hole { address, count: 2 });
                    break;
                }
            };
            let (id, length) = (header[0], header[1]);
            self.keep(Table::Holding, address, header);
            if id == END_MODEL[0] || (id, length) == (0, 0) {
                break;
            }
            let body = address.checked_add(2);
            next = body.and_then(|body| body.checked_add(length));
            // A length that leads over the end of the registers is cut there.
            if let (Some(body), true) = (body, length > 0) {
                let last = body.saturating_add(length - 1);
                self.span(Table::Holding, body, last, MOST_HOLES, progress)
                    .await?;
            }
            progress(Recorded::Model { id, address });
        }
        Ok(())
    }

    /// Registers from the first to the last; what is refused is asked for in halves, down to single
    /// registers, which are left out; with the `patience`-th of them the rest is left out too.
    async fn span(
        &mut self,
        table: Table,
        first: u16,
        last: u16,
        mut patience: usize,
        progress: &mut impl FnMut(Recorded),
    ) -> Result<(), SourceError> {
        // Ascending, so the last of the stack is the next to be read.
        let mut waiting = Vec::new();
        let mut start = Some(first);
        while let Some(address) = start.filter(|address| *address <= last) {
            let count = (last - address).saturating_add(1).min(MOST_REGISTERS);
            waiting.push((address, count));
            start = address.checked_add(count);
        }
        waiting.reverse();
        while let Some((address, count)) = waiting.pop() {
            match self.source.read(table, address, count).await? {
                Told::Words(words) => self.keep(table, address, words),
                Told::Refused(ExceptionCode::IllegalDataAddress | ExceptionCode::IllegalDataValue)
                    if count > 1 =>
                {
                    let half = count / 2;
                    waiting.push((address + half, count - half));
                    waiting.push((address, half));
                }
                Told::Refused(_) => {
                    patience = patience.saturating_sub(1);
                    if patience == 0 {
                        let count = (last - address).saturating_add(1);
                        progress(Recorded::Hole { address, count });
                        return Ok(());
                    }
                    progress(Recorded::Hole { address, count });
                }
            }
        }
        Ok(())
    }

    fn keep(&mut self, table: Table, address: u16, words: Vec<u16>) {
        let known = |block: &Block| {
            let end = usize::from(block.address) + block.words.len();
            block.table == table
                && (block.address..).contains(&address)
                && usize::from(address) + words.len() <= end
        };
        if !self.blocks.iter().any(known) {
            self.blocks.push(Block {
                table,
                address,
                words,
            });
        }
    }

    /// The later pictures, so far as they can be made: a device that is away for a while, as an
    /// inverter by night, leaves a gap and not nothing.
    async fn follow(
        &mut self,
        options: &RecordOptions,
        mut bytes: usize,
        progress: &mut impl FnMut(Recorded),
    ) -> Vec<Snapshot> {
        let period = period_of(options);
        let began = Instant::now();
        let mut snapshots = Vec::new();
        let mut due = 0;
        for snapshot in 1..=options.snapshots {
            // A device that needs longer than a period for its answers is not asked without a rest.
            let passed = u32::try_from(began.elapsed().as_secs()).unwrap_or(MAX_SECONDS);
            due = (passed / period + 1).saturating_mul(period).max(due + period);
            if due > MAX_SECONDS
                || bytes > Recording::MAX_BYTES - MOST_BYTES
                || snapshots.len() == MAX_SNAPSHOTS
            {
                progress(Recorded::Full);
                break;
            }
            tokio::time::sleep_until(began + Duration::from_secs(due.into())).await;
            match self.picture().await {
                Ok(blocks) => {
                    bytes += 64 + text_bytes(&blocks);
                    snapshots.push(Snapshot { seconds: due, blocks });
                    progress(Recorded::Snapshot(snapshot));
                }
                Err(error) => progress(Recorded::Missed {
                    snapshot,
                    problem: error.to_string(),
                }),
            }
        }
        snapshots
    }

    /// Every block again, and what changed in it; all or nothing.
    async fn picture(&mut self) -> Result<Vec<Block>, SourceError> {
        let (mut changed, mut newest) = (Vec::new(), Vec::with_capacity(self.blocks.len()));
        for block in &self.blocks {
            let count = u16::try_from(block.words.len()).unwrap_or(MOST_REGISTERS);
            let words = match self.source.read(block.table, block.address, count).await? {
                Told::Words(words) => words,
                Told::Refused(ExceptionCode::IllegalDataAddress | ExceptionCode::IllegalDataValue) => {
                    block.words.clone()
                }
                Told::Refused(exception) => return Err(self.source.refused(block.address, count, exception)),
            };
            changed.extend(changes(block, &words));
            newest.push(words);
        }
        for (block, words) in self.blocks.iter_mut().zip(newest) {
            block.words = words;
        }
        Ok(changed)
    }
}

/// Each register once, in blocks without gaps.
fn joined(blocks: &[Block]) -> Vec<Block> {
    let map = RegisterMap::plain(blocks.iter().map(Block::part));
    map.blocks()
        .map(|(table, address, words)| Block {
            table,
            address,
            words: words.to_vec(),
        })
        .collect()
}

/// The runs of words that differ.
fn changes(before: &Block, now: &[u16]) -> Vec<Block> {
    let mut runs: Vec<Block> = Vec::new();
    let mut last_changed = false;
    for ((address, old), new) in (before.address..=u16::MAX).zip(&before.words).zip(now) {
        let changed = old != new;
        if changed {
            match runs.last_mut() {
                Some(run) if last_changed => run.words.push(*new),
                _ => runs.push(Block {
                    table: before.table,
                    address,
                    words: vec![*new],
                }),
            }
        }
        last_changed = changed;
    }
    runs
}
