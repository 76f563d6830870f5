//! One value of a device: where it is, how to read it, and whether it may be written.

use rust_decimal::Decimal;

use super::codec::{DecodeError, EncodeError, Value};
use super::encoding::{Encoding, RegisterType};
use super::layout;
use super::mistake::Problem;
use super::reader::Section;
use super::vocabulary::{Measure, PointName, Unit};

/// Which of the two tables of registers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Table {
    /// Read with function 3, written with 6 or 16.
    Holding,
    /// Read with function 4.
    Input,
}

/// How often a point is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Poll {
    /// At the pace of control: powers, the state of charge.
    Fast,
    /// At the pace of metering: energies, temperatures.
    Slow,
    /// When a connection begins: what identifies the device.
    Once,
    /// Only when someone asks: settings and commands.
    Never,
}

/// Whether a point may be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// It may not.
    ReadOnly,
    /// It may, within these bounds, in the unit and with the sign of the point.
    ReadWrite {
        /// The least value.
        min: Decimal,
        /// The greatest value.
        max: Decimal,
    },
}

/// One value of a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Point {
    /// What it is.
    pub name: PointName,
    /// In which table.
    pub table: Table,
    /// Its first register, from 0, as it is sent.
    pub address: u16,
    /// How to read it.
    pub encoding: Encoding,
    /// The unit of the decoded number.
    pub unit: Option<Unit>,
    /// How often.
    pub poll: Poll,
    /// Whether it may be written.
    pub access: Access,
    /// What a person should know.
    pub note: Option<String>,
}

impl Point {
    /// How many registers it takes.
    #[must_use]
    pub fn length(&self) -> u16 {
        self.encoding.length()
    }

    /// The register after its last: at most 65536.
    #[must_use]
    pub fn end(&self) -> u32 {
        u32::from(self.address) + u32::from(self.length())
    }

    /// What its registers hold.
    ///
    /// # Errors
    /// [`DecodeError`] where they cannot be a value of its type.
    pub fn decode(&self, registers: &[u16]) -> Result<Value, DecodeError> {
        self.encoding.decode(registers)
    }

    /// The registers that hold a value, whether or not a client may write it: what a simulator serves.
    ///
    /// # Errors
    /// [`EncodeError`] where the value would not read back as itself.
    pub fn encode(&self, value: &Value) -> Result<Vec<u16>, EncodeError> {
        self.encoding.encode(value)
    }

    /// The registers to write for a number.
    ///
    /// # Errors
    /// [`EncodeError::ReadOnly`], [`EncodeError::OutOfBounds`], or what [`Point::encode`] says.
    pub fn encode_write(&self, value: Decimal) -> Result<Vec<u16>, EncodeError> {
        match self.access {
            Access::ReadOnly => Err(EncodeError::ReadOnly),
            Access::ReadWrite { min, max } if value < min || value > max => {
                Err(EncodeError::OutOfBounds { value, min, max })
            }
            Access::ReadWrite { .. } => self.encode(&Value::Number(value)),
        }
    }
}

const NAME_EXPECTED: &str =
    "a name of the vocabulary (docs/device-profiles.md), or vendor: and lower-case letters, digits or _";

/// Reads one `[[point]]`.
pub(super) fn read(mut section: Section<'_, '_>) -> Option<Point> {
    let name = name(&mut section);
    let table = section.word("table", &[("holding", Table::Holding), ("input", Table::Input)]);
    let address = layout::address(&mut section);
    let kind = layout::kind(&mut section);
    let encoding = layout::encoding(&mut section, kind, true);
    let unit = layout::unit(&mut section);
    let polls = [
        ("fast", Poll::Fast),
        ("slow", Poll::Slow),
        ("once", Poll::Once),
        ("never", Poll::Never),
    ];
    let poll = section.word("poll", &polls);
    let access = access(&mut section);
    let note = section.optional_text("note").map(|note| note.value);
    if let (Some(name), Some(kind), Some(unit)) = (&name, kind, unit) {
        check_measure(&mut section, name, kind, unit);
    }
    if let (Some(table), Some(Access::ReadWrite { .. })) = (&table, access) {
        if table.value == Table::Input {
            section.mistake(table.at, "table", Problem::ReadOnlyTable);
        }
        if let Some(RegisterType::Text(_)) = kind {
            let (at, key) = (section.place("access"), "access = \"rw\"");
            section.mistake(at, "access", Problem::NotForType { kind: "string", key });
        }
    }
    section.finish();
    Some(Point {
        name: name?,
        table: table?.value,
        address: address?,
        encoding: encoding?,
        unit: unit?,
        poll: poll?.value,
        access: access?,
        note,
    })
}

fn name(section: &mut Section<'_, '_>) -> Option<PointName> {
    let text = section.text("name", NAME_EXPECTED)?;
    let name = PointName::parse(&text.value);
    if name.is_none() {
        let expected = NAME_EXPECTED.to_owned();
        section.log.add(
            text.at,
            text.key,
            Problem::UnknownWord {
                word: text.value,
                expected,
            },
        );
    }
    name
}

fn access(section: &mut Section<'_, '_>) -> Option<Access> {
    let writable = section.word_or("access", &[("r", false), ("rw", true)], false);
    let (has_min, has_max) = (section.has("min"), section.has("max"));
    let (min, max) = (section.optional_decimal("min"), section.optional_decimal("max"));
    if !writable? {
        for key in [("min", has_min), ("max", has_max)]
            .into_iter()
            .filter_map(|(key, has)| has.then_some(key))
        {
            let at = section.place(key);
            section.mistake(
                at,
                key,
                Problem::OnlyWith {
                    with: "access = \"rw\"",
                },
            );
        }
        return Some(Access::ReadOnly);
    }
    for (key, present) in [("min", has_min), ("max", has_max)] {
        if !present {
            let expected = "the bound of what may be written, as an exact decimal".to_owned();
            section.mistake(section.at(), key, Problem::Missing { expected });
        }
    }
    let (min, max) = (min?, max?);
    if min.value > max.value {
        let (least, greatest) = (min.value.to_string(), max.value.to_string());
        section.log.add(
            min.at,
            min.key,
            Problem::EmptyRange {
                min: least,
                max: greatest,
            },
        );
        return None;
    }
    Some(Access::ReadWrite {
        min: min.value,
        max: max.value,
    })
}

/// A quantity has its kind of value; what only a maker has may be anything.
fn check_measure(section: &mut Section<'_, '_>, name: &PointName, kind: RegisterType, unit: Option<Unit>) {
    let PointName::Quantity(quantity) = name else {
        return;
    };
    let is_text = matches!(kind, RegisterType::Text(_));
    let expected = match quantity.measure() {
        Measure::Text if is_text => return,
        Measure::Text => "text: a string(n)".to_owned(),
        Measure::Identity if is_text || (kind.raw_range().is_some() && unit.is_none()) => return,
        Measure::Identity => "text, or a whole number without unit".to_owned(),
        Measure::Code if !is_text && unit.is_none() => return,
        Measure::Code => "a number without unit".to_owned(),
        Measure::In(units) => {
            if !is_text && unit.is_some_and(|unit| units.contains(&unit)) {
                return;
            }
            let units: Vec<String> = units.iter().map(Unit::to_string).collect();
            format!("a number with unit {}", units.join(" or "))
        }
    };
    let at = section.place("unit");
    section.mistake(
        at,
        "unit",
        Problem::WrongMeasure {
            name: name.to_string(),
            expected,
        },
    );
}
