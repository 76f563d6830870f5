//! Takes serial numbers out of a recording.

use super::format::{Block, Recording};
use crate::registers::{RegisterMap, Table, shared_layout};
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

/// Overwrites the serial number (each one that a model 1 tells in any picture) and these texts
/// wherever they stand in the recording: in any register, at any byte, in either order of the bytes of
/// a register, in upper or lower case, and in the name of the source. Registers that are overwritten
/// are dropped from the snapshots.
pub fn redact(recording: &mut Recording, texts: &[String]) -> Redaction {
    let mut redaction = Redaction::default();
    let mut hidden = BTreeSet::new();
    let mut secrets: Vec<Vec<u8>> = Vec::new();
    for (registers, serial_number) in serial_numbers(recording) {
        hidden.extend(registers);
        if !secrets.contains(&serial_number) {
            secrets.push(serial_number);
        }
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
    for blocks in pictures.filter(|blocks| !blocks.is_empty()) {
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
    for secret in &secrets {
        hide_in(&mut recording.source, secret);
    }
    recording.redacted = true;
    redaction
}

type Register = (Table, u16);

/// Where each model 1 has its serial number, and what it is, in every picture: a device that is
/// waking up may tell it late.
fn serial_numbers(recording: &Recording) -> Vec<(Vec<Register>, Vec<u8>)> {
    let Some(base) = recording.base else {
        return Vec::new();
    };
    let mut map = RegisterMap::plain(recording.blocks.iter().map(Block::part));
    let mut found = serial_numbers_now(&map, base);
    for snapshot in recording.snapshots.iter().filter(|it| !it.blocks.is_empty()) {
        for block in &snapshot.blocks {
            map.put(block.table, block.address, block.words.iter().copied());
        }
        let now = serial_numbers_now(&map, base);
        found.extend(
            now.into_iter()
                .filter(|one| !found.contains(one))
                .collect::<Vec<_>>(),
        );
    }
    found
}

/// By the lengths that the chain tells: many devices leave out the pad of model 1, which is then no
/// model that its definition knows.
fn serial_numbers_now(map: &RegisterMap, base: u16) -> Vec<(Vec<Register>, Vec<u8>)> {
    let Some((first, most)) = place_of_serial_number() else {
        return Vec::new();
    };
    let mut found = Vec::new();
    let mut next = base.checked_add(2);
    while let Some(address) = next {
        let Ok(&[id, length]) = map.read(Table::Holding, address, 2) else {
            break;
        };
        if (id, length) == (0, 0) {
            break;
        }
        // The length counts from behind the two registers that tell it.
        let registers = (0..most.min(length.saturating_add(2).saturating_sub(first)))
            .filter_map(|n| address.checked_add(first)?.checked_add(n))
            .filter_map(|address| Some((address, *map.read(Table::Holding, address, 1).ok()?.first()?)));
        if id == 1 {
            let (addresses, words): (Vec<u16>, Vec<u16>) = registers.unzip();
            let bytes = words.iter().flat_map(|word| word.to_be_bytes());
            let text: Vec<u8> = bytes.take_while(|byte| *byte != 0).collect();
            let places = addresses.into_iter().map(|address| (Table::Holding, address));
            found.push((places.collect(), text.trim_ascii().to_vec()));
        }
        next = address.checked_add(2).and_then(|body| body.checked_add(length));
    }
    found
}

/// Of `SN` in model 1: the first register, counted from ID, and how many.
fn place_of_serial_number() -> Option<(u16, u16)> {
    let layout = shared_layout(1, &[])?;
    let point = layout.point("SN")?;
    Some((point.offset, point.kind().words()))
}

/// Overwrites an ASCII text in a longer one, in upper or lower case.
fn hide_in(text: &mut String, secret: &[u8]) {
    let mask = String::from_utf8_lossy(MASK);
    let mut from = 0;
    while let Some(at) = text.as_bytes()[from..]
        .windows(secret.len())
        .position(|window| window.eq_ignore_ascii_case(secret))
        .map(|at| at + from)
    {
        let end = at + secret.len();
        if !(text.is_char_boundary(at) && text.is_char_boundary(end)) {
            break;
        }
        text.replace_range(at..end, &mask);
        from = at + mask.len();
    }
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
                let alike = |((_, byte), wanted): (&(Register, u8), &u8)| byte.eq_ignore_ascii_case(wanted);
                if window.iter().zip(secret).all(alike) && is_gapless(window) {
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

    /// A map at base 0 with a model 1 of that length, and one of a vendor with that text.
    fn vendor_map(length: u16, serial_number: &[u8], vendor: &[u8]) -> Vec<Block> {
        let mut all = words(b"SunS");
        all.extend([1, length]);
        all.extend(std::iter::repeat_n(0, usize::from(length)));
        for (n, word) in words(serial_number).into_iter().enumerate() {
            all[52 + n] = word;
        }
        let vendor = words(vendor);
        all.extend([64_001, u16::try_from(vendor.len()).unwrap()]);
        all.extend(vendor);
        all.extend([0xFFFF, 0]);
        vec![block(0, all)]
    }

    fn left(recording: &Recording, text: &[u8]) -> bool {
        let blocks =
            std::iter::once(&recording.blocks).chain(recording.snapshots.iter().map(|it| &it.blocks));
        blocks.flatten().any(|block| {
            let bytes: Vec<u8> = block.words.iter().flat_map(|word| word.to_be_bytes()).collect();
            bytes
                .windows(text.len())
                .any(|window| window.eq_ignore_ascii_case(text))
        })
    }

    #[test]
    fn a_common_model_without_its_pad_tells_its_serial_number_too() {
        for length in [64, 65, 66] {
            let blocks = vendor_map(length, b"7E1234AB", b"x7e1234ab.");
            let mut recording = recording(blocks, vec![]);
            recording.base = Some(0);
            recording.source = "tcp://inverter-7e1234ab.local:502?unit=1".to_owned();
            assert!(left(&recording, b"7E1234AB"));
            redact(&mut recording, &[]);
            assert!(!left(&recording, b"7E1234AB"), "length {length}");
            assert_eq!(recording.source, "tcp://inverter-REDACTED.local:502?unit=1");
        }
    }

    #[test]
    fn a_serial_number_that_is_told_late_is_taken_out_everywhere() {
        let late = Snapshot {
            seconds: 5,
            blocks: vec![block(52, words(b"7E1234AB"))],
        };
        let mut recording = recording(vendor_map(66, b"", b".7E1234AB."), vec![late]);
        recording.base = Some(0);
        redact(&mut recording, &[]);
        assert!(!left(&recording, b"7E1234AB"));
    }
}
