//! The keys that say how a value is laid out: the same in a `[[point]]` and in a write to a bare address.

use rust_decimal::Decimal;

use super::encoding::{ByteOrder, Encoding, RegisterType, SCALE_MAX, SCALE_PLACES_MAX, WordOrder};
use super::mistake::Problem;
use super::reader::Section;
use super::vocabulary::Unit;

/// The first register: every 16-bit address.
pub(super) fn address(section: &mut Section<'_, '_>) -> Option<u16> {
    section.whole("address", 0..=u16::MAX).map(|found| found.value)
}

/// The other keys of the layout: `word_order`, `byte_order`, `scale`, `sign` and, for points, `not_available`.
pub(super) fn encoding(
    section: &mut Section<'_, '_>,
    kind: Option<RegisterType>,
    sentinels: bool,
) -> Option<Encoding> {
    let word_order = section.word_or(
        "word_order",
        &[("big", WordOrder::Big), ("little", WordOrder::Little)],
        WordOrder::Big,
    );
    let byte_order = section.word_or(
        "byte_order",
        &[("big", ByteOrder::Big), ("little", ByteOrder::Little)],
        ByteOrder::Big,
    );
    let scale = scale(section);
    let inverted = section.word_or("sign", &[("normal", false), ("inverted", true)], false);
    let width = kind.map_or(64, RegisterType::width).clamp(1, 64);
    let not_available = if sentinels {
        section.whole_list("not_available", 0..=u64::MAX >> (64 - width))
    } else {
        Vec::new()
    };
    let kind = kind?;
    misplaced_keys(section, kind);
    Some(Encoding {
        kind,
        word_order: word_order?,
        byte_order: byte_order?,
        scale: scale?,
        inverted: inverted?,
        not_available,
    })
}

/// `type`.
pub(super) fn kind(section: &mut Section<'_, '_>) -> Option<RegisterType> {
    let text = section.text("type", RegisterType::EXPECTED)?;
    let kind = RegisterType::parse(&text.value);
    if kind.is_none() {
        let expected = RegisterType::EXPECTED.to_owned();
        section.log.add(
            text.at,
            text.key,
            Problem::UnknownWord {
                word: text.value,
                expected,
            },
        );
    }
    kind
}

fn scale(section: &mut Section<'_, '_>) -> Option<Decimal> {
    let present = section.has("scale");
    let Some(scale) = section.optional_decimal("scale") else {
        return (!present).then_some(Decimal::ONE);
    };
    let exact = scale.value.normalize();
    let fits = exact > Decimal::ZERO
        && exact <= Decimal::from(SCALE_MAX)
        && scale.value.scale() <= SCALE_PLACES_MAX
        && exact.mantissa() <= i128::from(SCALE_MAX);
    if !fits {
        let expected = format!(
            "a scale above 0, at most {SCALE_MAX}, with at most {SCALE_PLACES_MAX} digits and as many places \
             (for the other sign: sign = \"inverted\")"
        );
        let value = scale.value.to_string();
        section
            .log
            .add(scale.at, scale.key, Problem::OutOfRange { value, expected });
        return None;
    }
    Some(scale.value)
}

/// What says nothing for a type is a misunderstanding of the map.
fn misplaced_keys(section: &mut Section<'_, '_>, kind: RegisterType) {
    let (name, keys): (_, &[&'static str]) = match kind {
        RegisterType::Text(_) => (
            "string",
            &["word_order", "scale", "sign", "not_available", "unit"],
        ),
        RegisterType::Bits => ("bits", &["word_order", "scale", "sign", "unit"]),
        RegisterType::U16 | RegisterType::I16 => ("16 bits", &["word_order"]),
        _ => ("", &[]),
    };
    for key in keys.iter().filter(|key| section.has(key)).collect::<Vec<_>>() {
        let at = section.place(key);
        section.mistake(at, key, Problem::NotForType { kind: name, key });
    }
}

/// `unit`: `Some(None)` where there is none, `None` where it is wrong.
pub(super) fn unit(section: &mut Section<'_, '_>) -> Option<Option<Unit>> {
    let words: Vec<_> = Unit::WORDS
        .iter()
        .map(|(word, unit)| (*word, Some(*unit)))
        .collect();
    section.word_or("unit", &words, None)
}
