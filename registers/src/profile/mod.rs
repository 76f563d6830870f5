//! Register-map profiles: what a Modbus device without SunSpec means by its registers, as a TOML file.
//!
//! The agent reads a device by its profile, and a simulator serves one by the same file, so that a profile can
//! be tested without the device. `docs/device-profiles.md` is the format; [`Profile::parse`] reads it and
//! reports every mistake at once, each with its line, its key and what to do.
//!
//! A profile is a list of [`Point`]s and, for devices that obey, a recipe ([`Control`]) for each [`Action`].
//! [`Profile::blocks`] says which requests read the points of one pace; [`Block::registers_of`] finds a point
//! in an answer; [`Point::decode`] and [`Point::encode`] are the exact codec.
//!
//! ```
//! use gridtally_registers::profile::{Poll, Profile, Value};
//!
//! let text = r#"
//!     name = "Meter One"
//!     vendor = "Example"
//!     models = ["M1"]
//!     kind = "meter"
//!     source = "Example M1 manual, table 3"
//!     tested_on_hardware = false
//!     unit = 1
//!     max_registers = 60
//!     pause_ms = 0
//!
//!     [[point]]
//!     name = "ac_voltage"
//!     table = "input"
//!     address = 7
//!     type = "u16"
//!     scale = "0.1"
//!     unit = "V"
//!     poll = "slow"
//! "#;
//! let profile = Profile::parse(text, "m1.toml").expect("a profile without mistakes");
//! let [block] = profile.blocks(Poll::Slow)[..] else { panic!("one request") };
//! assert_eq!((block.address, block.count), (7, 1));
//! let answer = [2304];
//! let point = &profile.points[0];
//! let registers = block.registers_of(point, &answer).expect("the point is in the block");
//! assert_eq!(point.decode(registers), Ok(Value::Number("230.4".parse().expect("a decimal"))));
//! ```

mod blocks;
mod check;
mod codec;
mod control;
mod encoding;
mod layout;
mod mistake;
mod point;
mod reader;
mod recipes;
mod sum;
mod vocabulary;

use std::collections::BTreeMap;

use toml::de::DeTable;

pub use self::blocks::Block;
pub use self::codec::{DecodeError, EncodeError, Value};
pub use self::control::{
    Action, Argument, Arguments, Control, ControlError, RegisterWrite, Reversion, Write, Written,
};
pub use self::encoding::{ByteOrder, Encoding, RegisterType, SCALE_MAX, SCALE_PLACES_MAX, WordOrder};
use self::mistake::Log;
pub use self::mistake::{MISTAKES_MAX, Mistake, Problem, ProfileErrors};
pub use self::point::{Access, Point, Poll, Table};
use self::reader::Section;
pub use self::recipes::WRITES_MAX;
pub use self::sum::{PARTS_MAX, Sum};
pub use self::vocabulary::{Measure, PointName, Quantity, Unit, VENDOR_NAME_LENGTH_MAX};

/// The largest file.
pub const FILE_BYTES_MAX: usize = 256 * 1024;
/// The most points.
pub const POINTS_MAX: usize = 1_000;
/// The most registers that Modbus reads with one request.
pub const REGISTERS_MAX: u16 = 125;

/// What a device is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DeviceKind {
    /// PV inverter.
    Inverter,
    /// Battery inverter.
    Battery,
    /// Inverter with panels and a battery.
    Hybrid,
    /// Meter.
    Meter,
}

/// One device family, as its file says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Profile {
    /// The name of the family.
    pub name: String,
    /// Who makes it.
    pub vendor: String,
    /// The models that the map is for.
    pub models: Vec<String>,
    /// What it is.
    pub kind: DeviceKind,
    /// Where the map is public: an address or the title of a document.
    pub source: String,
    /// On what it was tested, where it was; `None` where nobody has tried.
    pub tested_on_hardware: Option<String>,
    /// The Modbus unit that the maker sets: 0 to 255.
    pub unit: u8,
    /// The most registers of one request.
    pub max_registers: u16,
    /// How long the device wants to rest between requests, in milliseconds.
    pub pause_ms: u16,
    /// How many registers in a row that belong to no point a request may read.
    pub gap_ok: u16,
    /// The points, in the order of the file.
    pub points: Vec<Point>,
    /// The powers that are sums of points.
    pub sums: Vec<Sum>,
    /// The recipes.
    pub controls: BTreeMap<Action, Control>,
}

impl Profile {
    /// Reads a profile. `file` is only named in the mistakes.
    ///
    /// # Errors
    /// [`ProfileErrors`] with every mistake, in the order of the lines. A text that is not TOML has those of its
    /// syntax alone, because the rest would be guesses.
    pub fn parse(text: &str, file: &str) -> Result<Self, ProfileErrors> {
        let mut log = Log::of(text);
        let profile = read(text, &mut log);
        match (log.into_errors(file), profile) {
            (None, Some(profile)) => Ok(profile),
            (Some(errors), _) => Err(errors),
            // Whatever is left out has left a mistake; should one have been forgotten, this is the place to
            // refuse and not to panic.
            (None, None) => Err(ProfileErrors {
                file: file.to_owned(),
                mistakes: vec![Mistake {
                    line: 1,
                    key: String::new(),
                    problem: Problem::Syntax("it cannot be read as a profile".to_owned()),
                }],
            }),
        }
    }

    /// The point of a name.
    #[must_use]
    pub fn point(&self, name: &PointName) -> Option<&Point> {
        self.points.iter().find(|point| point.name == *name)
    }

    /// The point of a quantity of the vocabulary.
    #[must_use]
    pub fn quantity(&self, quantity: Quantity) -> Option<&Point> {
        self.points
            .iter()
            .find(|point| point.name == PointName::Quantity(quantity))
    }

    /// The sum that is a quantity of the vocabulary: no point is the same quantity.
    #[must_use]
    pub fn sum(&self, quantity: Quantity) -> Option<&Sum> {
        self.sums.iter().find(|sum| sum.name == quantity)
    }
}

fn read(text: &str, log: &mut Log) -> Option<Profile> {
    if text.len() > FILE_BYTES_MAX {
        let (bytes, max) = (text.len(), FILE_BYTES_MAX);
        log.add(0, "", Problem::FileTooLarge { bytes, max });
        return None;
    }
    let (document, errors) = DeTable::parse_recoverable(text);
    for error in &errors {
        let at = error.span().map_or(0, |span| span.start);
        log.add(
            at,
            "",
            Problem::Syntax(error.message().trim().replace('\n', ", ")),
        );
    }
    if !errors.is_empty() {
        return None;
    }
    profile_of(Section::new(document.get_ref(), 0, String::new(), log))
}

fn profile_of(mut section: Section<'_, '_>) -> Option<Profile> {
    let name = section.text("name", "the name of the family");
    let vendor = section.text("vendor", "the name of the maker");
    let models = section.texts("models", "a list of the models");
    let kinds = [
        ("inverter", DeviceKind::Inverter),
        ("battery", DeviceKind::Battery),
        ("hybrid", DeviceKind::Hybrid),
        ("meter", DeviceKind::Meter),
    ];
    let kind = section.word("kind", &kinds);
    let source = section.text("source", "the address or the title of the public map");
    let tested = tested(&mut section);
    let unit = section.whole_or("unit", 0..=u8::MAX, 1);
    let max_registers = section.whole("max_registers", 1..=REGISTERS_MAX);
    let pause_ms = section.whole("pause_ms", 0..=10_000_u16);
    let gap_ok = section.whole_or("gap_ok", 0..=REGISTERS_MAX - 1, 0);
    let read = points(&mut section, max_registers.as_ref().map(|max| max.value));
    let sums = sum::read(&mut section, &read.points, &read.broken);
    let control = section.table("control", "[control.<action>] tables");
    section.know("control");
    let controls = control.map(|(table, at, path)| {
        recipes::read(
            Section::new(table, at, path, section.log),
            &recipes::Points {
                read: &read.points,
                broken: &read.broken,
            },
        )
    });
    section.finish();
    read.complete.then_some(Profile {
        name: name?.value,
        vendor: vendor?.value,
        models: models?,
        kind: kind?.value,
        source: source?.value,
        tested_on_hardware: tested?,
        unit: unit?,
        max_registers: max_registers?.value,
        pause_ms: pause_ms?.value,
        gap_ok: gap_ok?,
        points: read.points,
        sums,
        controls: controls.unwrap_or_default(),
    })
}

/// What was tested must be told with its note; an untested profile has none.
fn tested(section: &mut Section<'_, '_>) -> Option<Option<String>> {
    let tested = section.boolean("tested_on_hardware");
    let note = section.optional_text("tested_note").map(|note| note.value);
    match (tested?, note) {
        (true, None) => {
            let expected = "the model, the firmware and the date of the test".to_owned();
            section.mistake(section.at(), "tested_note", Problem::Missing { expected });
            None
        }
        (false, Some(_)) => {
            let at = section.place("tested_note");
            section.mistake(
                at,
                "tested_note",
                Problem::OnlyWith {
                    with: "tested_on_hardware = true",
                },
            );
            None
        }
        (_, note) => Some(note),
    }
}

/// The points without mistakes, and the names of the others.
#[derive(Default)]
struct ReadPoints {
    points: Vec<Point>,
    broken: Vec<String>,
    complete: bool,
}

fn points(section: &mut Section<'_, '_>, request_max: Option<u16>) -> ReadPoints {
    let tables = section.tables("point");
    let count = tables.len();
    if count == 0 || count > POINTS_MAX {
        section.mistake(section.at(), "point", Problem::PointCount(count, POINTS_MAX));
        return ReadPoints::default();
    }
    let (mut placed, mut broken) = (Vec::new(), Vec::new());
    for (table, at, path) in tables {
        let entry = Section::new(table, at, path.clone(), section.log);
        let name = entry.raw_text("name").unwrap_or_default().to_owned();
        match point::read(entry) {
            Some(point) => placed.push(check::Placed { point, at, path }),
            None => broken.push(name),
        }
    }
    check::all(&placed, request_max.unwrap_or(REGISTERS_MAX), section.log);
    let points = placed.into_iter().map(|placed| placed.point).collect();
    let complete = broken.is_empty();
    ReadPoints {
        points,
        broken,
        complete,
    }
}

#[cfg(test)]
#[path = "parse_tests.rs"]
mod tests;
