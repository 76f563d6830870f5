//! The file: JSON, one block of registers a line.

use crate::registers::Table;
use chrono::{DateTime, SecondsFormat, Utc};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use thiserror::Error;

const FORMAT: &str = "gridtally-recording";
const VERSION: u32 = 1;
pub(super) const MAX_SNAPSHOTS: usize = 100_000;
pub(super) const MAX_SECONDS: u32 = 366 * 86_400;

/// Registers without a gap, as they were read.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Block {
    /// Which table.
    pub table: Table,
    /// The first register, counted from 0.
    pub address: u16,
    /// Their contents.
    pub words: Vec<u16>,
}

impl Block {
    /// As a register map takes it.
    pub(super) fn part(&self) -> (Table, u16, Vec<u16>) {
        (self.table, self.address, self.words.clone())
    }
}

/// What had changed so long after the beginning.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Snapshot {
    /// Seconds since the first picture.
    pub seconds: u32,
    /// What was different from the picture before.
    pub blocks: Vec<Block>,
}

/// What a device answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recording {
    /// When the first picture was made.
    pub recorded_at: DateTime<Utc>,
    /// Where it was made, as a person wrote it.
    pub source: String,
    /// The Modbus unit that answered.
    pub unit: u8,
    /// Where `SunS` stands; `None` of a device without SunSpec.
    pub base: Option<u16>,
    /// Whether serial numbers were taken out.
    pub redacted: bool,
    /// Seconds from one snapshot to the next.
    pub period: u32,
    /// The first picture.
    pub blocks: Vec<Block>,
    /// What changed, in order.
    pub snapshots: Vec<Snapshot>,
}

/// Read before the rest, of which other versions may have another idea.
#[derive(Deserialize)]
struct Head {
    format: String,
    version: u32,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(
    dead_code,
    reason = "format and version are read with the head, requests are for people"
)]
struct File {
    format: String,
    version: u32,
    recorded_at: DateTime<Utc>,
    source: String,
    unit: u8,
    base: Option<u16>,
    redacted: bool,
    period: u32,
    blocks: Vec<Block>,
    snapshots: Vec<Snapshot>,
    #[serde(default)]
    requests: Vec<String>,
}

/// Why a text is no recording.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum RecordingError {
    /// Too long to be read.
    #[error("{file}: a recording has at most 64 MiB; record fewer snapshots")]
    TooLong {
        /// Which file.
        file: String,
    },
    /// No JSON of that shape.
    #[error("{file}, line {line}: {problem}; see docs/recordings.md")]
    Syntax {
        /// Which file.
        file: String,
        /// Which line, from 1.
        line: usize,
        /// What was found.
        problem: String,
    },
    /// Well-formed, and impossible.
    #[error("{file}: {problem}")]
    Impossible {
        /// Which file.
        file: String,
        /// What cannot be.
        problem: String,
    },
}

impl Recording {
    /// The longest text that is a recording.
    pub const MAX_BYTES: usize = 64 << 20;

    /// Reads a recording; `file` is what errors call it.
    ///
    /// # Errors
    /// If the text is no recording, with the line and what is wrong.
    pub fn parse(text: &str, file: &str) -> Result<Self, RecordingError> {
        if text.len() > Self::MAX_BYTES {
            return Err(RecordingError::TooLong {
                file: file.to_owned(),
            });
        }
        let syntax = |error: serde_json::Error| RecordingError::Syntax {
            file: file.to_owned(),
            line: error.line(),
            problem: error.to_string(),
        };
        let impossible = |problem| RecordingError::Impossible {
            file: file.to_owned(),
            problem,
        };
        check_head(&serde_json::from_str(text).map_err(syntax)?).map_err(impossible)?;
        let read: File = serde_json::from_str(text).map_err(syntax)?;
        check(&read).map_err(impossible)?;
        Ok(Self {
            recorded_at: read.recorded_at,
            source: read.source,
            unit: read.unit,
            base: read.base,
            redacted: read.redacted,
            period: read.period,
            blocks: read.blocks,
            snapshots: read.snapshots,
        })
    }

    /// The file's text.
    #[must_use]
    pub fn to_json(&self) -> String {
        let recorded_at = self.recorded_at.to_rfc3339_opts(SecondsFormat::AutoSi, true);
        let base = self
            .base
            .map_or_else(|| "null".to_owned(), |base| base.to_string());
        let source = serde_json::Value::from(self.source.as_str());
        let mut text = format!(
            "{{\n\"format\": \"{FORMAT}\", \"version\": {VERSION},\n\"recorded_at\": \"{recorded_at}\", \"source\": {source},\n\
             \"unit\": {}, \"base\": {base}, \"redacted\": {}, \"period\": {},\n\"blocks\": [\n",
            self.unit, self.redacted, self.period
        );
        text.push_str(&lines(&self.blocks));
        text.push_str("],\n\"snapshots\": [\n");
        for (n, snapshot) in self.snapshots.iter().enumerate() {
            let comma = if n + 1 < self.snapshots.len() { "," } else { "" };
            let blocks = lines(&snapshot.blocks);
            let _ = writeln!(
                text,
                "{{\"seconds\": {}, \"blocks\": [\n{blocks}]}}{comma}",
                snapshot.seconds
            );
        }
        text.push_str("]\n}\n");
        text
    }

    /// How long it is: to the last snapshot, and on to where the next would have been.
    #[must_use]
    pub fn seconds(&self) -> u32 {
        let last = self.snapshots.last().map_or(0, |snapshot| snapshot.seconds);
        last.saturating_add(self.period.max(1))
    }

    /// How many registers the first picture has.
    #[must_use]
    pub fn registers(&self) -> usize {
        self.blocks.iter().map(|block| block.words.len()).sum()
    }
}

fn lines(blocks: &[Block]) -> String {
    let mut text = String::new();
    for (n, block) in blocks.iter().enumerate() {
        let table = match block.table {
            Table::Holding => "holding",
            Table::Input => "input",
        };
        let words: Vec<String> = block.words.iter().map(u16::to_string).collect();
        let comma = if n + 1 < blocks.len() { "," } else { "" };
        let (address, words) = (block.address, words.join(","));
        let _ = writeln!(
            text,
            "{{\"table\": \"{table}\", \"address\": {address}, \"words\": [{words}]}}{comma}"
        );
    }
    text
}

fn check_head(file: &Head) -> Result<(), String> {
    if file.format != FORMAT {
        return Err(format!("its format is {:?}, not {FORMAT:?}", file.format));
    }
    if file.version != VERSION {
        return Err(format!(
            "it has version {}; this program reads version {VERSION}",
            file.version
        ));
    }
    Ok(())
}

fn check(file: &File) -> Result<(), String> {
    if file.snapshots.len() > MAX_SNAPSHOTS {
        return Err(format!("it has more than {MAX_SNAPSHOTS} snapshots"));
    }
    if !(1..=MAX_SECONDS).contains(&file.period) {
        return Err("its period is no second, or longer than a year".to_owned());
    }
    let mut known = BTreeMap::new();
    for block in &file.blocks {
        check_block(block)?;
        for (address, word) in (block.address..=u16::MAX).zip(&block.words) {
            if known.insert((block.table, address), *word).is_some() {
                return Err(format!(
                    "register {address} is in two blocks of the first picture"
                ));
            }
        }
    }
    let mut last = 0;
    for snapshot in &file.snapshots {
        if snapshot.seconds <= last || snapshot.seconds > MAX_SECONDS {
            return Err(format!(
                "a snapshot at {} s comes after one at {last} s: they ascend, up to a year",
                snapshot.seconds
            ));
        }
        last = snapshot.seconds;
        for block in &snapshot.blocks {
            check_block(block)?;
            let mut addresses = (block.address..=u16::MAX).zip(&block.words);
            if let Some((address, _)) =
                addresses.find(|(address, _)| !known.contains_key(&(block.table, *address)))
            {
                return Err(format!(
                    "the snapshot at {last} s has register {address}, which is not in the first picture"
                ));
            }
        }
    }
    Ok(())
}

fn check_block(block: &Block) -> Result<(), String> {
    let room = usize::from(u16::MAX - block.address) + 1;
    if block.words.is_empty() || block.words.len() > room {
        return Err(format!(
            "a block at register {} has no words, or runs over register 65535",
            block.address
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn blocks() -> impl Strategy<Value = Vec<Block>> {
        let words = prop::collection::vec(any::<u16>(), 1..6);
        prop::collection::vec(words, 1..5).prop_map(|many| {
            let of = |n: usize| {
                if n.is_multiple_of(2) {
                    Table::Holding
                } else {
                    Table::Input
                }
            };
            (0_u16..)
                .zip(many)
                .map(|(n, words)| Block {
                    table: of(usize::from(n)),
                    address: n * 10,
                    words,
                })
                .collect()
        })
    }

    prop_compose! {
        fn recordings()(first in blocks(), count in 0..4_u32, source in ".*", unit: u8, base: Option<u16>, redacted: bool, period in 1..100_u32)
            -> Recording {
            let snapshots = (1..=count).map(|n| Snapshot {
                seconds: n * period,
                blocks: first.iter().take(usize::try_from(n).unwrap()).cloned().collect(),
            });
            let recorded_at = DateTime::from_timestamp(1_782_043_200, 0).unwrap();
            Recording { recorded_at, source, unit, base, redacted, period, blocks: first.clone(), snapshots: snapshots.collect() }
        }
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(recording in recordings()) {
            prop_assert_eq!(Recording::parse(&recording.to_json(), "x"), Ok(recording));
        }

        #[test]
        fn no_text_makes_the_reader_panic(text in ".*") {
            prop_assert!(Recording::parse(&text, "x").is_err());
        }

        #[test]
        fn a_spoiled_recording_is_read_or_refused(recording in recordings(), at: prop::sample::Index, byte: u8) {
            let mut bytes = recording.to_json().into_bytes();
            let at = at.index(bytes.len());
            bytes[at] = byte;
            if let Ok(text) = String::from_utf8(bytes) {
                let _ = Recording::parse(&text, "x");
            }
        }
    }

    fn complaint(from: &str, to: &str) -> String {
        let text = r#"{"format": "gridtally-recording", "version": 1, "recorded_at": "2026-06-21T12:00:00Z", "source": "", "unit": 1,
            "base": null, "redacted": false, "period": 5, "blocks": [{"table": "input", "address": 65535, "words": [7]}],
            "snapshots": [{"seconds": 5, "blocks": [{"table": "input", "address": 65535, "words": [8]}]}]}"#;
        Recording::parse(text, "x.json").unwrap();
        assert!(text.contains(from));
        Recording::parse(&text.replacen(from, to, 1), "x.json")
            .unwrap_err()
            .to_string()
    }

    #[test]
    fn each_complaint_says_what_is_wrong() {
        for (from, to, expected) in [
            ("gridtally-recording", "dump", "x.json: its format is \"dump\""),
            ("\"version\": 1", "\"version\": 2", "this program reads version 1"),
            (
                "\"version\": 1",
                "\"version\": 2, \"gateway\": 1",
                "this program reads version 1",
            ),
            ("\"seconds\": 5", "\"seconds\": 0", "they ascend"),
            ("\"period\": 5", "\"period\": 0", "its period is no second"),
            (
                "65535, \"words\": [7]",
                "65535, \"words\": [7,8]",
                "runs over register 65535",
            ),
            (
                "65535, \"words\": [8]",
                "65534, \"words\": [8]",
                "not in the first picture",
            ),
            ("\"unit\": 1", "\"unit\": 300", "line 1"),
            ("\"period\"", "\"perod\"", "unknown field `perod`"),
        ] {
            let complaint = complaint(from, to);
            assert!(complaint.contains(expected), "{complaint}");
        }
    }
}
