//! What a device's registers say, taken from them by hand: by the offsets of the standard's tables, and by
//! none of the code that the agent reads them with.

use gridtally_edge::device::Observed;
use gridtally_edge::device::reading::{Count, Step};
use gridtally_protocol::channel::Quantity;
use gridtally_simulators::{Device, RegisterMap, Table};

/// Where a quantity stands: any of these models, and offsets from the model's number on.
struct Place {
    models: &'static [u16],
    offset: u16,
    words: u16,
    scale: u16,
}

/// SunSpec models 103, 203 and 802.
fn place(quantity: Quantity) -> Place {
    const INVERTERS: &[u16] = &[103, 102, 101];
    const METERS: &[u16] = &[203, 204, 202, 201];
    let (models, offset, words, scale) = match quantity {
        Quantity::GridExport => (METERS, 38, 2, 54),
        Quantity::GridImport => (METERS, 46, 2, 54),
        Quantity::PvProduction | Quantity::BatteryDischarge => (INVERTERS, 24, 2, 26),
        Quantity::StateOfCharge => (&[802_u16] as &[u16], 11, 1, 56),
        other => panic!("{other} is not measured in these homes"),
    };
    Place {
        models,
        offset,
        words,
        scale,
    }
}

/// What the registers of a device say of a quantity; `None` where they say that they say nothing. `healthy`
/// tells where the models are, `seen` what stands there.
pub fn said(healthy: &RegisterMap, seen: &RegisterMap, quantity: Quantity) -> Option<Observed> {
    let place = place(quantity);
    let model = place.models.iter().find_map(|id| healthy.model(*id)).unwrap();
    let read = |offset, count| seen.read(Table::Holding, model.address + offset, count).unwrap();
    value(quantity, read(place.offset, place.words), read(place.scale, 1)[0])
}

/// Whether the device might have said this at this instant, in the reply to some read of the model. Only
/// for faults that make each reply anew.
pub fn might_be_said(device: &Device, quantity: Quantity, observed: Observed) -> bool {
    let place = place(quantity);
    let healthy = device.registers();
    let model = place.models.iter().find_map(|id| healthy.model(*id)).unwrap();
    let reads = (0..=place.offset).flat_map(|first| (1..=125_u16).map(move |count| (first, count)));
    reads
        .filter(|(first, count)| first + count > place.scale.max(place.offset + place.words - 1))
        .any(|(first, count)| {
            let [high, low] = (model.address + first).to_be_bytes();
            let [_, count] = count.to_be_bytes();
            let reply = device.answer_pdu(&[3, high, low, 0, count]).unwrap_or_default();
            let words: Vec<u16> = match reply.as_slice() {
                [3, bytes, data @ ..] if *bytes == count * 2 => data
                    .chunks_exact(2)
                    .map(|pair| u16::from_be_bytes([pair[0], pair[1]]))
                    .collect(),
                _ => return false,
            };
            let at = |offset: u16| usize::from(offset - first);
            let registers = &words[at(place.offset)..at(place.offset + place.words)];
            value(quantity, registers, words[at(place.scale)]) == Some(observed)
        })
}

fn value(quantity: Quantity, registers: &[u16], scale: u16) -> Option<Observed> {
    let scale = scale.cast_signed();
    let integer = registers
        .iter()
        .fold(0_u64, |sum, word| sum << 16 | u64::from(*word));
    let step = Step::of_scale(scale)?;
    if registers.iter().all(|word| *word == 0xffff) {
        return None;
    }
    if quantity == Quantity::StateOfCharge {
        let integer = i64::try_from(integer).unwrap();
        let level = match u32::try_from(scale + 3) {
            Ok(up) => integer * 10_i64.pow(up),
            Err(_) => integer / 10_i64.pow((scale + 3).unsigned_abs().into()),
        };
        return (0..=100_000).contains(&level).then_some(Observed::Level(level));
    }
    let count = Count::Integer {
        count: integer,
        bits: 32,
        step,
    };
    Some(counter(count))
}

/// A counter of nobody: who it is, is compared apart.
fn counter(count: Count) -> Observed {
    Observed::Counter(gridtally_edge::device::Counter { count, device: None })
}

/// What was observed and of whom, apart.
pub fn apart(observed: Observed) -> (Observed, Option<u64>) {
    match observed {
        Observed::Counter(seen) => (counter(seen.count), seen.device),
        other => (other, None),
    }
}
