//! Takes serial numbers out of a recording.

use super::format::{Block, Recording};
use crate::registers::{RegisterMap, Table};
use std::collections::{BTreeMap, BTreeSet};

/// What is written instead, as often as there is room.
const MASK: &[u8] = b"REDACTED";
/// A shorter text would be found by chance.
const SHORTEST: usize = 4;

/// What was taken out.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Redaction {
    /// How many registers were overwritten in the first picture.
    pub registers: usize,
    /// Texts that are too short to be searched for; the owner has to look himself.
    pub too_short: Vec<String>,
}

/// Overwrites the serial number (model 1 `SN`) and these texts wherever they stand in the recording:
/// in any register, at any byte, in either order of the bytes of a register. Registers that are
/// overwritten are dropped from the snapshots.
pub fn redact(recording: &mut Recording, texts: &[String]) -> Redaction {
    let mut redaction = Redaction::default();
    let mut hidden = BTreeSet::new();
    let mut secrets: Vec<Vec<u8>> = Vec::new();
    if let Some((registers, serial_number)) = serial_number(recording) {
        hidden.extend(registers);
        secrets.push(serial_number);
    }
    secrets.extend(texts.iter().map(|text| text.clone().into_bytes()));
    secrets.retain(|secret| {
        let long = secret.len() >= SHORTEST;
        if !long && !secret.is_empty() {
            redaction
                .too_short
                .push(String::from_utf8_lossy(secret).into_owned());
        }
        long
    });
    // A snapshot holds what changed: a text may show only in a whole picture.
    let mut picture = Picture::default();
    let pictures =
        std::iter::once(&recording.blocks).chain(recording.snapshots.iter().map(|snapshot| &snapshot.blocks));
    for blocks in pictures {
        picture.put(blocks);
        secrets
            .iter()
            .for_each(|secret| picture.find(secret, &mut hidden));
    }
    redaction.registers = hidden.len();
    mask(&mut recording.blocks, &hidden);
    for snapshot in &mut recording.snapshots {
        snapshot.blocks = snapshot
            .blocks
            .drain(..)
            .flat_map(|block| without(&block, &hidden))
            .collect();
    }
    recording.redacted = true;
    redaction
}

type Register = (Table, u16);

/// Where model 1 has its serial number, and what it is.
fn serial_number(recording: &Recording) -> Option<(Vec<Register>, Vec<u8>)> {
    let blocks = recording
        .blocks
        .iter()
        .map(|block| (block.table, block.address, block.words.clone()));
    let map = RegisterMap::plain(blocks).recognised(recording.base?);
    let (model, point) = map.find(1, 0, "SN")?;
    let words = map.point_words(model, point)?;
    let address = model.address_of(point);
    let bytes = words.iter().flat_map(|word| word.to_be_bytes());
    let text: Vec<u8> = bytes.take_while(|byte| *byte != 0).collect();
    let registers = (address..)
        .take(words.len())
        .map(|address| (Table::Holding, address));
    Some((registers.collect(), text.trim_ascii().to_vec()))
}

#[derive(Default)]
struct Picture {
    words: BTreeMap<Register, u16>,
}

impl Picture {
    fn put(&mut self, blocks: &[Block]) {
        for block in blocks {
            let addresses = (block.address..=u16::MAX).zip(&block.words);
            self.words
                .extend(addresses.map(|(address, word)| ((block.table, address), *word)));
        }
    }

    /// Adds the registers in which a text stands.
    fn find(&self, secret: &[u8], hidden: &mut BTreeSet<Register>) {
        for swapped in [false, true] {
            let mut bytes: Vec<(Register, u8)> = Vec::with_capacity(self.words.len() * 2);
            for (register, word) in &self.words {
                let [high, low] = word.to_be_bytes();
                let pair = if swapped { [low, high] } else { [high, low] };
                bytes.extend(pair.map(|byte| (*register, byte)));
            }
            for window in bytes.windows(secret.len()) {
                if window.iter().map(|(_, byte)| byte).eq(secret) && is_gapless(window) {
                    hidden.extend(window.iter().map(|(register, _)| *register));
                }
            }
        }
    }
}

/// Whether the registers of a window follow one another.
fn is_gapless(window: &[(Register, u8)]) -> bool {
    window.windows(2).all(|pair| {
        let [((table, address), _), ((next_table, next), _)] = pair else {
            return false;
        };
        table == next_table && next - address <= 1
    })
}

fn mask(blocks: &mut [Block], hidden: &BTreeSet<Register>) {
    let mut written = 0;
    for block in blocks {
        for (address, word) in (block.address..=u16::MAX).zip(&mut block.words) {
            if !hidden.contains(&(block.table, address)) {
                written = 0;
                continue;
            }
            let mut next = || {
                let byte = MASK.get(written).copied().unwrap_or(0);
                written += 1;
                byte
            };
            *word = u16::from_be_bytes([next(), next()]);
        }
    }
}

/// The parts of a block that are not hidden.
fn without(block: &Block, hidden: &BTreeSet<Register>) -> Vec<Block> {
    let mut parts: Vec<Block> = Vec::new();
    let mut open = false;
    for (address, word) in (block.address..=u16::MAX).zip(&block.words) {
        if hidden.contains(&(block.table, address)) {
            open = false;
            continue;
        }
        match parts.last_mut() {
            Some(part) if open => part.words.push(*word),
            _ => parts.push(Block {
                table: block.table,
                address,
                words: vec![*word],
            }),
        }
        open = true;
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::super::format::Snapshot;
    use super::*;
    use chrono::DateTime;

    fn words(text: &[u8]) -> Vec<u16> {
        text.chunks(2)
            .map(|pair| u16::from_be_bytes([pair[0], pair.get(1).copied().unwrap_or(0)]))
            .collect()
    }

    fn recording(blocks: Vec<Block>, snapshots: Vec<Snapshot>) -> Recording {
        Recording {
            recorded_at: DateTime::from_timestamp(0, 0).unwrap(),
            source: String::new(),
            unit: 1,
            base: None,
            redacted: false,
            period: 1,
            blocks,
            snapshots,
        }
    }

    fn block(address: u16, words: Vec<u16>) -> Block {
        Block {
            table: Table::Holding,
            address,
            words,
        }
    }

    #[test]
    fn a_text_is_found_at_any_byte_in_either_order_and_across_blocks() {
        let swapped: Vec<u16> = words(b"SERIAL99").into_iter().map(u16::swap_bytes).collect();
        let mut recording = recording(
            vec![
                block(10, words(b"xSERIAL99x")),
                block(100, swapped),
                block(200, words(b"SERI")),
                block(202, words(b"AL99")),
                block(300, words(b"SERI")),
                block(303, words(b"AL99")),
            ],
            vec![],
        );
        let redaction = redact(&mut recording, &["SERIAL99".to_owned(), "abc".to_owned()]);
        assert_eq!(redaction.too_short, ["abc"]);
        assert_eq!(redaction.registers, 5 + 4 + 4);
        assert_eq!(recording.blocks[0].words, words(b"REDACTED\0\0"));
        assert_eq!(recording.blocks[4].words, words(b"SERI"), "a gap lies between");
        assert!(recording.redacted);
    }

    #[test]
    fn a_text_that_comes_about_by_a_change_is_found() {
        let change = Snapshot {
            seconds: 1,
            blocks: vec![block(1, words(b"AL99")), block(9, vec![7])],
        };
        let mut recording = recording(vec![block(0, words(b"RI..zz")), block(9, vec![1])], vec![change]);
        redact(&mut recording, &["RIAL99".to_owned()]);
        assert_eq!(recording.blocks[0].words, words(b"REDACT"));
        assert_eq!(recording.snapshots[0].blocks, [block(9, vec![7])]);
    }
}
