//! Whether a device without SunSpec may be one that a profile is for. Registers of an unknown map can hold
//! anything: what is said here is "perhaps", with the reason.

use gridtally_registers::profile::{Block, Point, Poll, Profile, Quantity, Value};
use rust_decimal::Decimal;

/// A text shorter than this is found in any registers.
const TEXT_MIN: usize = 5;

/// A profile that perhaps fits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Family {
    /// The profile's name in the config.
    pub profile: String,
    /// What speaks for it.
    pub why: String,
    /// The kind of its devices.
    pub kind: gridtally_registers::profile::DeviceKind,
    /// The serial number that reads so.
    pub serial: Option<String>,
    /// The model that reads so.
    pub model: Option<String>,
}

/// What to ask a device for, to see whether it is one of a profile: who it is, or, where the profile has no
/// text for that, the frequency and a voltage.
#[must_use]
pub fn questions(profile: &Profile) -> Vec<Block> {
    let identity = [Quantity::Model, Quantity::SerialNumber];
    let has_text = identity.iter().any(|it| profile.quantity(*it).is_some());
    if has_text {
        let blocks = profile.blocks(Poll::Once);
        let tells = |block: &Block| {
            let mut points = identity.iter().filter_map(|it| profile.quantity(*it));
            points.any(|point| contains(block, point))
        };
        return blocks.into_iter().filter(tells).collect();
    }
    let points = [frequency(profile), voltage(profile)];
    let alone = |point: &Point| Block {
        table: point.table,
        address: point.address,
        count: point.length(),
    };
    points.into_iter().flatten().map(alone).collect()
}

/// Judges the answers to the [`questions`].
#[must_use]
pub fn judge(name: &str, profile: &Profile, answers: &[(Block, Vec<u16>)]) -> Option<Family> {
    let value = |point: &Point| {
        let raw = answers
            .iter()
            .find_map(|(block, words)| block.registers_of(point, words))?;
        point.decode(raw).ok()
    };
    let text = |quantity: Quantity| match value(profile.quantity(quantity)?)? {
        Value::Text(text) if is_plausible(&text) => Some(text),
        _ => None,
    };
    let number = |point: Option<&Point>| match value(point?)? {
        Value::Number(number) => Some(number),
        _ => None,
    };
    let family = |why: String, model: Option<String>, serial: Option<String>| Family {
        profile: name.to_owned(),
        why,
        kind: profile.kind,
        serial,
        model,
    };
    let (model, serial) = (text(Quantity::Model), text(Quantity::SerialNumber));
    if profile.quantity(Quantity::Model).is_some() {
        let model = model.filter(|model| is_one_of(model, profile))?;
        let why = format!("where it has the model there stands {model:?}");
        return Some(family(why, Some(model), serial));
    }
    if profile.quantity(Quantity::SerialNumber).is_some() {
        let serial = serial?;
        let why = format!("where it has the serial number there stands {serial:?}");
        return Some(family(why, None, Some(serial)));
    }
    let (hertz, volts) = (number(frequency(profile))?, number(voltage(profile))?);
    let is_within =
        |value: Decimal, least: i64, most: i64| (Decimal::from(least)..=Decimal::from(most)).contains(&value);
    (is_within(hertz, 45, 65) && is_within(volts, 85, 290)).then(|| {
        let why = format!(
            "where it has frequency and voltage there stand {} Hz and {} V",
            hertz.round_dp(2).normalize(),
            volts.round_dp(1).normalize()
        );
        family(why, None, None)
    })
}

fn frequency(profile: &Profile) -> Option<&Point> {
    profile.quantity(Quantity::Frequency)
}

fn voltage(profile: &Profile) -> Option<&Point> {
    let names = [Quantity::AcVoltageL1, Quantity::AcVoltage];
    names.iter().find_map(|name| profile.quantity(*name))
}

fn contains(block: &Block, point: &Point) -> bool {
    let end = u32::from(block.address).saturating_add(u32::from(block.count));
    point.table == block.table && point.address >= block.address && point.end() <= end
}

/// Letters, digits and what stands between them in names and serial numbers, with a digit among them.
fn is_plausible(text: &str) -> bool {
    let is_usual = |c: char| c.is_ascii_alphanumeric() || " -_./()".contains(c);
    text.len() >= TEXT_MIN && text.chars().all(is_usual) && text.chars().any(|c| c.is_ascii_digit())
}

/// Whether the text begins as the name of one of the profile's models does.
fn is_one_of(text: &str, profile: &Profile) -> bool {
    let letters = |text: &str| -> String {
        let kept = text.chars().filter(char::is_ascii_alphanumeric);
        kept.take(TEXT_MIN).collect::<String>().to_ascii_lowercase()
    };
    let start = letters(text);
    start.len() == TEXT_MIN && profile.models.iter().any(|model| letters(model) == start)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::profiles;
    use proptest::prelude::*;
    use std::path::Path;

    fn words(text: &str, count: usize) -> Vec<u16> {
        let mut bytes = text.as_bytes().to_vec();
        bytes.resize(count * 2, 0);
        bytes
            .chunks(2)
            .map(|pair| u16::from_be_bytes([pair[0], pair[1]]))
            .collect()
    }

    fn answered(name: &str, at: &[(u16, Vec<u16>)]) -> Option<Family> {
        let profile = profiles::load(name, Path::new("")).unwrap();
        let answers = questions(&profile).into_iter().map(|block| {
            let registers = (block.address..).take(usize::from(block.count));
            let of = |address: u16| {
                let part = at
                    .iter()
                    .find_map(|(first, words)| words.get(usize::from(address.checked_sub(*first)?)).copied());
                part.unwrap_or(0)
            };
            (block, registers.map(of).collect::<Vec<u16>>())
        });
        judge(name, &profile, &answers.collect::<Vec<_>>())
    }

    #[test]
    fn a_model_must_be_one_of_the_profile_s() {
        let found = answered("huawei-sun2000", &[(30_000, words("SUN2000-6KTL-M1", 15))]).unwrap();
        assert_eq!(found.model.as_deref(), Some("SUN2000-6KTL-M1"));
        assert_eq!(
            answered("huawei-sun2000", &[(30_000, words("SOMETHING-6", 15))]),
            None
        );
        assert_eq!(answered("huawei-sun2000", &[]), None);
    }

    #[test]
    fn a_serial_number_must_look_like_one_and_a_grid_like_a_grid() {
        assert!(answered("sungrow-shxrt", &[(4_989, words("A2340512345", 10))]).is_some());
        assert_eq!(answered("sungrow-shxrt", &[(4_989, words("hello", 10))]), None);
        let float = |value: f32| {
            let bits = value.to_bits().to_be_bytes();
            vec![
                u16::from_be_bytes([bits[0], bits[1]]),
                u16::from_be_bytes([bits[2], bits[3]]),
            ]
        };
        let grid = |hertz, volts| answered("eastron-sdm630", &[(0, float(volts)), (70, float(hertz))]);
        assert!(grid(49.98, 231.2).unwrap().why.contains("49.98 Hz"));
        assert_eq!(grid(0.0, 231.2), None);
        assert_eq!(grid(50.0, 5.0), None);
    }

    proptest! {
        #[test]
        fn no_answer_panics(noise in prop::collection::vec(any::<u16>(), 0..200)) {
            for (name, _) in profiles::SHIPPED {
                let profile = profiles::load(name, Path::new("")).unwrap();
                let answers: Vec<_> = questions(&profile).into_iter().map(|block| (block, noise.clone())).collect();
                let _ = judge(name, &profile, &answers);
            }
        }
    }
}
