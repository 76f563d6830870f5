//! Takes serial numbers out of registers.

use std::collections::{BTreeMap, BTreeSet};

use super::dump::Register;
use crate::device::bus::Table;

/// What is written instead, as often as there is room.
const MASK: &[u8] = b"REDACTED";
/// A shorter text would be found by chance.
const SHORTEST: usize = 4;

/// Overwrites the texts that stand at these places (first register, length), there and wherever else they
/// stand: at any byte, in either order of the bytes of a register, in upper or lower case, and in `source`.
/// Returns how many registers were overwritten, and the texts that are too short to be searched for.
pub(super) fn redact(
    words: &mut BTreeMap<Register, u16>,
    source: &mut String,
    places: &[(Table, u16, u16)],
) -> (usize, Vec<String>) {
    let mut hidden = BTreeSet::new();
    let mut too_short = Vec::new();
    for &(table, first, count) in places {
        let registers = (first..=u16::MAX).take(usize::from(count));
        let here: Vec<Register> = registers
            .map(|address| (table, address))
            .filter(|register| words.contains_key(register))
            .collect();
        let bytes = here.iter().filter_map(|register| words.get(register));
        let bytes: Vec<u8> = bytes.flat_map(|word| word.to_be_bytes()).collect();
        hidden.extend(here);
        let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
        let secret = bytes.get(..end).unwrap_or_default().trim_ascii();
        if secret.len() >= SHORTEST {
            find(words, secret, &mut hidden);
            hide_in(source, secret);
        } else if !secret.is_empty() {
            too_short.push(String::from_utf8_lossy(secret).into_owned());
        }
    }
    mask(words, &hidden);
    (hidden.len(), too_short)
}

/// Adds the registers in which a text stands.
fn find(words: &BTreeMap<Register, u16>, secret: &[u8], hidden: &mut BTreeSet<Register>) {
    for is_swapped in [false, true] {
        let bytes: Vec<(Register, u8)> = words
            .iter()
            .flat_map(|(register, word)| {
                let [high, low] = word.to_be_bytes();
                let pair = if is_swapped { [low, high] } else { [high, low] };
                pair.map(|byte| (*register, byte))
            })
            .collect();
        for window in bytes.windows(secret.len()) {
            let mut alike = window.iter().zip(secret);
            if alike.all(|((_, byte), wanted)| byte.eq_ignore_ascii_case(wanted)) && is_gapless(window) {
                hidden.extend(window.iter().map(|(register, _)| *register));
            }
        }
    }
}

fn is_gapless(window: &[(Register, u8)]) -> bool {
    window.windows(2).all(|pair| match pair {
        [((table, address), _), ((next_table, next), _)] => {
            table == next_table && next.saturating_sub(*address) <= 1
        }
        _ => false,
    })
}

fn mask(words: &mut BTreeMap<Register, u16>, hidden: &BTreeSet<Register>) {
    let mut letters = MASK.iter().copied();
    let mut last = None;
    for register in hidden {
        let follows = last.is_some_and(|(table, address): Register| {
            table == register.0 && address.checked_add(1) == Some(register.1)
        });
        if !follows {
            letters = MASK.iter().copied();
        }
        last = Some(*register);
        let mut next = || letters.next().unwrap_or(0);
        let word = u16::from_be_bytes([next(), next()]);
        words.insert(*register, word);
    }
}

/// Overwrites an ASCII text in a longer one, in upper or lower case.
fn hide_in(text: &mut String, secret: &[u8]) {
    let Ok(secret) = std::str::from_utf8(secret) else {
        return;
    };
    let (lower, wanted) = (text.to_ascii_lowercase(), secret.to_ascii_lowercase());
    let mut shown = String::with_capacity(text.len());
    let mut rest = 0;
    for (at, found) in lower.match_indices(&wanted) {
        shown.push_str(text.get(rest..at).unwrap_or_default());
        shown.push_str("REDACTED");
        rest = at.saturating_add(found.len());
    }
    shown.push_str(text.get(rest..).unwrap_or_default());
    *text = shown;
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn put(words: &mut BTreeMap<Register, u16>, address: u16, text: &[u8]) {
        for (address, pair) in (address..).zip(text.chunks(2)) {
            let word = u16::from_be_bytes([pair[0], pair.get(1).copied().unwrap_or(0)]);
            words.insert((Table::Holding, address), word);
        }
    }

    fn bytes(words: &BTreeMap<Register, u16>) -> Vec<u8> {
        words.values().flat_map(|word| word.to_be_bytes()).collect()
    }

    fn stands(words: &BTreeMap<Register, u16>, text: &[u8]) -> bool {
        let straight = bytes(words);
        let swapped: Vec<u8> = words.values().flat_map(|word| word.to_le_bytes()).collect();
        [straight, swapped]
            .iter()
            .any(|bytes| bytes.windows(text.len()).any(|it| it.eq_ignore_ascii_case(text)))
    }

    #[test]
    fn a_text_too_short_to_search_for_is_taken_out_where_it_is_told_and_named() {
        let mut words = BTreeMap::new();
        put(&mut words, 10, b"AB7\0");
        put(&mut words, 20, b"AB7 ");
        let mut source = "ab7".to_owned();
        let (count, short) = redact(&mut words, &mut source, &[(Table::Holding, 10, 2)]);
        assert_eq!((count, short), (2, vec!["AB7".to_owned()]));
        assert_eq!(bytes(&words), b"REDAAB7 ");
        assert_eq!(source, "ab7");
    }

    proptest! {
        #[test]
        fn no_serial_number_is_left_at_any_byte_in_either_order(
            serial in "[A-Z0-9]{4,16}", shift in 0_usize..3, before in prop::collection::vec(any::<u8>(), 0..20), is_swapped: bool,
        ) {
            let mut words = BTreeMap::new();
            let mut told = serial.clone().into_bytes();
            told.resize(32, 0);
            put(&mut words, 100, &told);
            let mut elsewhere = before;
            elsewhere.resize(elsewhere.len() / 2 * 2 + shift, b'.');
            elsewhere.extend(serial.to_ascii_lowercase().bytes());
            elsewhere.extend(b"..");
            elsewhere.truncate(elsewhere.len() / 2 * 2);
            if is_swapped {
                for pair in elsewhere.chunks_exact_mut(2) {
                    pair.swap(0, 1);
                }
            }
            put(&mut words, 200, &elsewhere);
            let mut source = format!("tcp://inverter-{serial}.local:502");
            redact(&mut words, &mut source, &[(Table::Holding, 100, 16)]);
            prop_assert!(!stands(&words, serial.as_bytes()));
            prop_assert_eq!(source, "tcp://inverter-REDACTED.local:502");
        }
    }
}
