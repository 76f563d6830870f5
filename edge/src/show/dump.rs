//! Every register of a device that can be read, in the format of recordings (docs/recordings.md), with the
//! requests that brought them.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::look::look_on;
use super::redact::redact;
use super::sight::Sight;
use super::{ShowError, Target, now};
use crate::device::bus::{BusError, Table};
use crate::device::sunspec::{Asked, HEADER_LEN, Reader};

/// No more requests than this for registers that no model tells of.
const REQUESTS_MAX: usize = 2_000;
/// No model is believed to be longer.
const MODEL_MAX: u16 = 10_000;

/// Where a register is.
pub(super) type Register = (Table, u16);

/// What a device answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dump {
    /// The file's text.
    pub text: String,
    /// How many registers are in it.
    pub registers: usize,
    /// How many requests were made, and how many of them brought nothing.
    pub requests: (usize, usize),
    /// How many registers were overwritten because a serial number stood in them.
    pub redacted: usize,
    /// Serial numbers too short to be searched for elsewhere than where the device tells them.
    pub too_short: Vec<String>,
}

/// Reads all of a device. Serial numbers are taken out unless they are kept.
///
/// # Errors
/// [`ShowError`] where the device does not answer, or has no map.
pub async fn dump(target: &Target, keep_serial: bool) -> Result<Dump, ShowError> {
    let mut reader = target.reader()?;
    reader.keep_log();
    let began = now().to_string();
    let sight = look_on(&mut reader, target).await?;
    fill(&mut reader, &sight).await;
    let mut words = picture(reader.log());
    let mut source = format!("{target}, read by gridtally edge {}", env!("CARGO_PKG_VERSION"));
    if let Some(profile) = &target.profile {
        let _ = write!(source, " with the profile {}", profile.name);
    }
    let mut dump = Dump {
        text: String::new(),
        registers: words.len(),
        requests: (
            reader.log().len(),
            reader.log().iter().filter(|asked| asked.outcome.is_err()).count(),
        ),
        redacted: 0,
        too_short: Vec::new(),
    };
    if !keep_serial {
        let places = serials(&sight, target);
        let redaction = redact(&mut words, &mut source, &places);
        (dump.redacted, dump.too_short) = redaction;
    }
    dump.text = file(&File {
        recorded_at: &began,
        source: &source,
        unit: target.unit,
        base: sight.base,
        is_redacted: !keep_serial,
        words: &words,
        log: reader.log(),
    });
    Ok(dump)
}

/// Asks for what lies within the models and was not read yet: unknown models, and what stands behind the
/// points of the standard.
async fn fill(reader: &mut Reader, sight: &Sight) {
    let known = picture(reader.log());
    for (address, len) in sight.models.iter().filter_map(|model| model.place) {
        let total = len.min(MODEL_MAX).saturating_add(HEADER_LEN);
        let mut missing = (0..total)
            .filter_map(|offset| address.checked_add(offset))
            .filter(|register| !known.contains_key(&(Table::Holding, *register)))
            .peekable();
        while let Some(first) = missing.next() {
            let mut count = 1_u16;
            while count < reader.limit() && missing.peek() == first.checked_add(count).as_ref() {
                missing.next();
                count = count.saturating_add(1);
            }
            if !ask_in_halves(reader, first, count).await {
                return;
            }
        }
    }
}

/// What is refused is asked for in halves. Returns whether the device still answers.
async fn ask_in_halves(reader: &mut Reader, first: u16, count: u16) -> bool {
    let mut spans = vec![(first, count)];
    while let Some((address, count)) = spans.pop() {
        if reader.log().len() >= REQUESTS_MAX {
            return false;
        }
        match reader.read(Table::Holding, address, count).await {
            Ok(_) => {}
            Err(BusError::Exception(_)) if count > 1 => {
                let half = count / 2;
                spans.push((address.saturating_add(half), count - half));
                spans.push((address, half));
            }
            Err(error) if error.is_answer() => {}
            Err(_) => return false,
        }
    }
    true
}

/// The registers of all answers; the last answer holds.
fn picture(log: &[Asked]) -> BTreeMap<Register, u16> {
    let answers = log
        .iter()
        .filter_map(|asked| Some((asked, asked.outcome.as_ref().ok()?)));
    answers
        .flat_map(|(asked, words)| {
            (asked.address..=u16::MAX)
                .zip(words)
                .map(|(address, word)| ((asked.table, address), *word))
        })
        .collect()
}

/// Where the device tells its serial number: first register and length.
fn serials(sight: &Sight, target: &Target) -> Vec<(Table, u16, u16)> {
    use gridtally_registers::profile::Quantity;
    use gridtally_registers::sunspec::{Layout, models};
    let layout = models::find(1).and_then(|model| Layout::new(model, &[]));
    let point = layout.as_ref().and_then(|layout| layout.point("SN"));
    let common = sight
        .models
        .iter()
        .filter(|model| model.name == super::MapName::Model(1));
    let of_models = common.filter_map(|model| {
        let (address, len) = model.place?;
        let point = point?;
        let room = len.saturating_add(HEADER_LEN).saturating_sub(point.offset);
        let first = address.checked_add(point.offset)?;
        Some((Table::Holding, first, point.kind().words().min(room)))
    });
    let profile = target.profile.as_ref();
    let of_profile = profile
        .and_then(|profile| profile.quantity(Quantity::SerialNumber))
        .map(|point| (super::profiled::table(point.table), point.address, point.length()));
    of_models.chain(of_profile).collect()
}

struct File<'d> {
    recorded_at: &'d str,
    source: &'d str,
    unit: u8,
    base: Option<u16>,
    is_redacted: bool,
    words: &'d BTreeMap<Register, u16>,
    log: &'d [Asked],
}

/// The recording, one block and one request a line.
fn file(of: &File<'_>) -> String {
    let base = of.base.map_or_else(|| "null".to_owned(), |base| base.to_string());
    let requests = of.log.iter().map(|asked| quoted(&request(asked)));
    format!(
        "{{\n\"format\": \"gridtally-recording\", \"version\": 1,\n\"recorded_at\": \"{}\", \"source\": {},\n\
         \"unit\": {}, \"base\": {base}, \"redacted\": {}, \"period\": 1,\n\"blocks\": [\n{}],\n\
         \"snapshots\": [],\n\"requests\": [\n{}\n]\n}}\n",
        of.recorded_at,
        quoted(of.source),
        of.unit,
        of.is_redacted,
        blocks(of.words),
        requests.collect::<Vec<_>>().join(",\n"),
    )
}

fn request(asked: &Asked) -> String {
    let outcome = match &asked.outcome {
        Ok(words) => format!("{} came", words.len()),
        Err(why) => why.clone(),
    };
    format!(
        "{} registers from {} {}: {outcome}, after {} ms",
        asked.count,
        asked.address,
        table(asked.table),
        asked.took.as_millis()
    )
}

const fn table(table: Table) -> &'static str {
    match table {
        Table::Holding => "holding",
        Table::Input => "input",
    }
}

/// Registers without a gap are one block.
fn blocks(words: &BTreeMap<Register, u16>) -> String {
    let mut blocks: Vec<(Register, Vec<u16>)> = Vec::new();
    for (&(table, address), &word) in words {
        match blocks.last_mut() {
            Some(((of, first), block)) if *of == table && usize::from(address - *first) == block.len() => {
                block.push(word);
            }
            _ => blocks.push(((table, address), vec![word])),
        }
    }
    let line = |((of, first), words): (Register, Vec<u16>)| {
        let words: Vec<String> = words.iter().map(u16::to_string).collect();
        format!(
            "{{\"table\": \"{}\", \"address\": {first}, \"words\": [{}]}}",
            table(of),
            words.join(",")
        )
    };
    let lines: Vec<String> = blocks.into_iter().map(line).collect();
    if lines.is_empty() {
        String::new()
    } else {
        lines.join(",\n") + "\n"
    }
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
