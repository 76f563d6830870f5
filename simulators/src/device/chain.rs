//! The chain of models as faults let it be seen. It is walked from `SunS` along the L registers, as a
//! client would, for a recorded device has models that nobody here knows, and registers beside them.

use crate::fault::Fault;
use crate::registers::{RegisterMap, Table};
use gridtally_registers::sunspec::{END_MODEL, SUNS};

/// A model's header in a block of registers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Link {
    /// Of its ID register.
    index: usize,
    id: u16,
    /// Of the register behind the model.
    end: usize,
}

/// Lets a map be seen with its chain wrong. `truth` says where the chain stands; a device without one
/// stays as it is.
pub(crate) fn distorted(image: RegisterMap, truth: &RegisterMap, fault: Fault) -> RegisterMap {
    let Some(marker) = marker(truth) else { return image };
    let blocks: Vec<(Table, u16, Vec<u16>)> = image
        .blocks()
        .map(|(table, start, words)| (table, start, words.to_vec()))
        .collect();
    let holds_marker = |(table, start, words): &&(Table, u16, Vec<u16>)| {
        *table == Table::Holding && *start <= marker && usize::from(marker - start) < words.len()
    };
    let Some((table, start, words)) = blocks.iter().find(holds_marker).cloned() else {
        return image;
    };
    let spoiled = spoil(words, usize::from(marker - start), usize::from(start), fault);
    let others = blocks
        .into_iter()
        .filter(|(of, at, _)| (*of, *at) != (table, start));
    // What overlaps is what comes last.
    RegisterMap::plain(others.chain([(table, start, spoiled)]))
}

/// The address of `SunS`, from which the L registers lead to the first model that is known.
fn marker(map: &RegisterMap) -> Option<u16> {
    let first = map.models().first()?.address;
    let mut blocks = map.blocks().filter(|(table, _, _)| *table == Table::Holding);
    let (start, words, known) = blocks.find_map(|(_, start, words)| {
        let known = usize::from(first.checked_sub(start)?);
        (known < words.len()).then_some((start, words, known))
    })?;
    let leads = |from: &usize| {
        words.get(*from..*from + 2) == Some(&SUNS)
            && links(words, *from).iter().any(|link| link.index == known)
    };
    let index = (0..known).rev().find(leads)?;
    start.checked_add(u16::try_from(index).ok()?)
}

/// The models behind a marker, up to the end model, zeros or the end of the registers.
fn links(words: &[u16], marker: usize) -> Vec<Link> {
    let (mut links, mut index) = (Vec::new(), marker + 2);
    while let Some(&[id, length]) = words.get(index..index + 2) {
        if id == END_MODEL[0] || (id, length) == (0, 0) {
            break;
        }
        let end = (index + 2 + usize::from(length)).min(words.len());
        links.push(Link { index, id, end });
        index = end;
    }
    links
}

/// A block that begins at register `start`, with the fault in the chain behind its marker.
fn spoil(mut words: Vec<u16>, marker: usize, start: usize, fault: Fault) -> Vec<u16> {
    if fault == Fault::ZeroFilledMap {
        words.truncate(marker + SUNS.len());
        words.resize(usize::from(u16::MAX) + 1 - start, 0);
        return words;
    }
    let links = links(&words, marker);
    let (Some(first), Some(last)) = (links.first(), links.last()) else {
        return words;
    };
    match fault {
        Fault::ExceptionAtChainEnd => words.truncate(last.end),
        Fault::NoEndModel => {
            words.truncate(last.end);
            words.extend([0, 0]);
        }
        Fault::WrongModelLength { model, by } => {
            if let Some(link) = links.iter().find(|link| i64::from(link.id) == model) {
                lengthen(&mut words[link.index + 1], by);
            }
        }
        Fault::DuplicateModels => {
            words.truncate(last.end);
            words.extend_from_within(first.end..);
            words.extend(END_MODEL);
        }
        Fault::ShiftedMap { by } => {
            let by = by.clamp(0, 1_000);
            lengthen(&mut words[first.index + 1], by);
            let pad = std::iter::repeat_n(0x8000, usize::try_from(by).unwrap_or_default());
            words.splice(first.end..first.end, pad);
        }
        _ => {}
    }
    words
}

fn lengthen(length: &mut u16, by: i64) {
    let longer = i64::from(*length)
        .saturating_add(by)
        .clamp(0, i64::from(u16::MAX));
    *length = u16::try_from(longer).unwrap_or(u16::MAX);
}
