//! What an instruction asks for: the kinds of OpenADR 3 event payloads that a home can follow.

use core::fmt;

use minicbor::{Decoder, Encoder, decode};
use serde::{Deserialize, Serialize};

use crate::cbor::{self, Sink, Write};
use crate::quantity::Milliwatts;

/// A level of load shedding, as a `SIMPLE` payload counts them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// Nothing is asked.
    Normal,
    /// Help a little.
    Moderate,
    /// Help much.
    High,
    /// Help with all there is.
    Special,
}

impl Level {
    /// Every level, from the least.
    pub const ALL: [Self; 4] = [Self::Normal, Self::Moderate, Self::High, Self::Special];

    /// Its number, 0 to 3.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::Normal => 0,
            Self::Moderate => 1,
            Self::High => 2,
            Self::Special => 3,
        }
    }

    /// The level of a number.
    #[must_use]
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|level| level.number() == number)
    }
}

/// A state of charge in thousandths of a percent, 0 to 100 000.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Charge(i64);

impl Charge {
    /// Nothing left.
    pub const EMPTY: Self = Self(0);
    /// All that fits.
    pub const FULL: Self = Self(100_000);

    /// From thousandths of a percent.
    #[must_use]
    pub fn from_thousandths(thousandths: i64) -> Option<Self> {
        (Self::EMPTY.0..=Self::FULL.0)
            .contains(&thousandths)
            .then_some(Self(thousandths))
    }

    /// In thousandths of a percent.
    #[must_use]
    pub const fn thousandths(self) -> i64 {
        self.0
    }
}

/// What is asked for between an instruction's start and end.
///
/// One sign convention: what the battery gives is positive, what it takes is negative. Limits are never
/// negative, and hold at the site's grid meter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Target {
    /// `SIMPLE`: a level; what each means for a battery is the gateway's documented table.
    Simple(Level),
    /// `DISPATCH_SETPOINT`: the battery's AC power; it discharges where positive, charges where negative.
    SetPoint(Milliwatts),
    /// `IMPORT_CAPACITY_LIMIT`: the site takes no more than this from the grid.
    ImportLimit(Milliwatts),
    /// `EXPORT_CAPACITY_LIMIT`: the site gives no more than this to the grid.
    ExportLimit(Milliwatts),
    /// `CHARGE_STATE_SETPOINT`: the battery's state of charge at the end.
    ChargeState(Charge),
}

/// The kinds of [`Target`], without their values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TargetKind {
    /// See [`Target::Simple`].
    Simple,
    /// See [`Target::SetPoint`].
    SetPoint,
    /// See [`Target::ImportLimit`].
    ImportLimit,
    /// See [`Target::ExportLimit`].
    ExportLimit,
    /// See [`Target::ChargeState`].
    ChargeState,
}

impl TargetKind {
    /// Every kind there is.
    pub const ALL: [Self; 5] = [
        Self::Simple,
        Self::SetPoint,
        Self::ImportLimit,
        Self::ExportLimit,
        Self::ChargeState,
    ];

    /// Its number on the wire.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Simple => 1,
            Self::SetPoint => 2,
            Self::ImportLimit => 3,
            Self::ExportLimit => 4,
            Self::ChargeState => 5,
        }
    }

    /// The kind of a number.
    #[must_use]
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.code() == code)
    }

    /// Its stable name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Simple => "simple",
            Self::SetPoint => "set_point",
            Self::ImportLimit => "import_limit",
            Self::ExportLimit => "export_limit",
            Self::ChargeState => "charge_state",
        }
    }

    /// The type of the OpenADR 3 event payload that it follows.
    #[must_use]
    pub const fn payload_type(self) -> &'static str {
        match self {
            Self::Simple => "SIMPLE",
            Self::SetPoint => "DISPATCH_SETPOINT",
            Self::ImportLimit => "IMPORT_CAPACITY_LIMIT",
            Self::ExportLimit => "EXPORT_CAPACITY_LIMIT",
            Self::ChargeState => "CHARGE_STATE_SETPOINT",
        }
    }
}

impl fmt::Display for TargetKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl Target {
    /// Its kind.
    #[must_use]
    pub const fn kind(self) -> TargetKind {
        match self {
            Self::Simple(_) => TargetKind::Simple,
            Self::SetPoint(_) => TargetKind::SetPoint,
            Self::ImportLimit(_) => TargetKind::ImportLimit,
            Self::ExportLimit(_) => TargetKind::ExportLimit,
            Self::ChargeState(_) => TargetKind::ChargeState,
        }
    }

    /// The number that goes with the kind: a level, milliwatts, or thousandths of a percent.
    #[must_use]
    pub fn value(self) -> i64 {
        match self {
            Self::Simple(level) => level.number().into(),
            Self::SetPoint(power) | Self::ImportLimit(power) | Self::ExportLimit(power) => power.get(),
            Self::ChargeState(charge) => charge.thousandths(),
        }
    }

    /// The target of a kind and its number; `None` where the number is out of the kind's range.
    #[must_use]
    pub fn from_parts(kind: TargetKind, value: i64) -> Option<Self> {
        let target = match kind {
            TargetKind::Simple => Self::Simple(Level::from_number(u8::try_from(value).ok()?)?),
            TargetKind::SetPoint => Self::SetPoint(Milliwatts::new(value)),
            TargetKind::ImportLimit => Self::ImportLimit(Milliwatts::new(value)),
            TargetKind::ExportLimit => Self::ExportLimit(Milliwatts::new(value)),
            TargetKind::ChargeState => Self::ChargeState(Charge::from_thousandths(value)?),
        };
        target.check().is_ok().then_some(target)
    }

    pub(super) fn check(self) -> Result<(), &'static str> {
        match self {
            Self::SetPoint(power) => check_power(power),
            Self::ImportLimit(limit) | Self::ExportLimit(limit) if limit < Milliwatts::ZERO => {
                Err("a limit is not negative")
            }
            _ => Ok(()),
        }
    }

    pub(super) fn write(self, e: &mut Encoder<Sink>) -> Write {
        e.array(2)?.u8(self.kind().code())?.i64(self.value())?;
        Ok(())
    }

    pub(super) fn read(d: &mut Decoder<'_>) -> Result<Self, decode::Error> {
        cbor::expect(d.array()? == Some(2), "a target is an array of two")?;
        let (code, value) = (d.u8()?, d.i64()?);
        let kind =
            TargetKind::from_code(code).ok_or_else(|| decode::Error::message("an unknown kind of target"))?;
        Self::from_parts(kind, value)
            .ok_or_else(|| decode::Error::message("the target's value is out of its range"))
    }
}

/// Powers are symmetric, so that a sign can be turned without care.
pub(crate) fn check_power(power: Milliwatts) -> Result<(), &'static str> {
    if power.get() == i64::MIN {
        return Err("a power is more than -2^63 milliwatts");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_names_and_payload_types_of_targets_are_unique_and_never_change() {
        let table = TargetKind::ALL.map(|k| (k.code(), k.name(), k.payload_type()));
        let expected = [
            (1, "simple", "SIMPLE"),
            (2, "set_point", "DISPATCH_SETPOINT"),
            (3, "import_limit", "IMPORT_CAPACITY_LIMIT"),
            (4, "export_limit", "EXPORT_CAPACITY_LIMIT"),
            (5, "charge_state", "CHARGE_STATE_SETPOINT"),
        ];
        assert_eq!(table, expected);
        for kind in TargetKind::ALL {
            assert_eq!(TargetKind::from_code(kind.code()), Some(kind));
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.name());
        }
        assert!(
            (6..=u8::MAX)
                .chain([0])
                .all(|c| TargetKind::from_code(c).is_none())
        );
        assert_eq!(Level::ALL.map(Level::number), [0, 1, 2, 3]);
    }

    #[test]
    fn a_value_out_of_its_kind_s_range_is_no_target() {
        use TargetKind::{ChargeState, ExportLimit, ImportLimit, SetPoint, Simple};
        let cases = [
            (Simple, vec![0, 3], vec![-1, 4, 256, i64::MIN, i64::MAX]),
            (SetPoint, vec![0, -1, 1, i64::MAX, -i64::MAX], vec![i64::MIN]),
            (ImportLimit, vec![0, i64::MAX], vec![-1, i64::MIN]),
            (ExportLimit, vec![0, i64::MAX], vec![-1, i64::MIN]),
            (
                ChargeState,
                vec![0, 100_000],
                vec![-1, 100_001, i64::MIN, i64::MAX],
            ),
        ];
        for (kind, sound, unsound) in cases {
            for value in sound {
                let target = Target::from_parts(kind, value).unwrap();
                assert_eq!((target.kind(), target.value()), (kind, value));
            }
            for value in unsound {
                assert_eq!(Target::from_parts(kind, value), None, "{kind} {value}");
            }
        }
    }
}
