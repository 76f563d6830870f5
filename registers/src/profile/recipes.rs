//! Reads `[control.*]`, with the points that it writes at hand.

use std::collections::BTreeMap;

use rust_decimal::Decimal;

use super::control::{Action, Argument, Control, Reversion, Write, Written};
use super::layout;
use super::mistake::Problem;
use super::point::{Access, Point};
use super::reader::{Found, Section, decimal_of};
use super::vocabulary::{PointName, Unit};

/// The most writes of one recipe.
pub const WRITES_MAX: usize = 32;
/// The most registers that Modbus writes with one request.
const REGISTERS_WRITTEN_MAX: usize = 123;

const ARGUMENTS: [Argument; 3] = [Argument::Watts, Argument::Percent, Argument::Seconds];
const REVERTS_EXPECTED: &str = "{ timer = \"<name of a point>\" }, { keep_alive_s = <seconds> } or \"never\"";

/// The points of the file.
pub(super) struct Points<'p> {
    /// Those without mistakes.
    pub(super) read: &'p [Point],
    /// The names of the others.
    pub(super) broken: &'p [String],
}

/// Every recipe; what is wrong goes to the log.
pub(super) fn read(mut section: Section<'_, '_>, points: &Points<'_>) -> BTreeMap<Action, Control> {
    let mut controls = BTreeMap::new();
    let mut any = false;
    for (word, at) in section.keys() {
        let Some(action) = Action::ALL.iter().find(|action| action.word() == word) else {
            let words: Vec<&str> = Action::ALL.iter().map(|action| action.word()).collect();
            let (expected, word) = (words.join(" or "), word.chars().take(60).collect::<String>());
            section.mistake(at, &word.clone(), Problem::UnknownWord { word, expected });
            continue;
        };
        any |= *action != Action::Release;
        let Some((table, at, path)) = section.table(&word, "a table with [[…write]] tables") else {
            continue;
        };
        let recipe = Section::new(table, at, path, section.log);
        if let Some(control) = recipe_of(recipe, *action, points) {
            controls.insert(*action, control);
        }
    }
    if any && !section.has(Action::Release.word()) {
        section.mistake(section.at(), "", Problem::NoRelease);
    }
    controls
}

fn recipe_of(mut section: Section<'_, '_>, action: Action, points: &Points<'_>) -> Option<Control> {
    let notes = section.optional_text("notes").map(|notes| notes.value);
    let tables = section.tables("write");
    if tables.is_empty() || tables.len() > WRITES_MAX {
        section.mistake(section.at(), "write", Problem::WriteCount { max: WRITES_MAX });
    }
    let mut writes = Vec::new();
    let count = tables.len();
    for (table, at, path) in tables.into_iter().take(WRITES_MAX) {
        writes.extend(write_of(Section::new(table, at, path, section.log), points));
    }
    let complete = writes.len() == count;
    let reverts_after = reversion(&mut section, action, points);
    if complete {
        check_arguments(
            &mut section,
            action,
            &writes,
            reverts_after.as_ref().and_then(Option::as_ref),
        );
    }
    let joined = section.flag("joined");
    let control = Control {
        writes,
        joined: joined.unwrap_or_default(),
        reverts_after: None,
        notes,
    };
    if complete && control.joined {
        check_joined(&mut section, &control);
    }
    section.finish();
    (complete && joined.is_some()).then_some(Control {
        reverts_after: reverts_after?,
        ..control
    })
}

fn check_joined(section: &mut Section<'_, '_>, control: &Control) {
    let (at, max) = (section.place("joined"), REGISTERS_WRITTEN_MAX);
    let lengths = control.request_lengths();
    if lengths.len() == control.writes.len() {
        section.mistake(at, "joined", Problem::NothingToJoin);
    }
    for registers in lengths.into_iter().filter(|length| *length > max) {
        section.mistake(at, "joined", Problem::JoinedTooLong { registers, max });
    }
}

fn check_arguments(
    section: &mut Section<'_, '_>,
    action: Action,
    writes: &[Write],
    reverts: Option<&Reversion>,
) {
    let takes = |argument| {
        writes
            .iter()
            .any(|write| write.value == Written::Argument(argument))
    };
    let at = section.at();
    if takes(Argument::Watts) && takes(Argument::Percent) {
        section.mistake(at, "write", Problem::TwoArguments);
    }
    for argument in ARGUMENTS
        .into_iter()
        .filter(|argument| action == Action::Release && takes(*argument))
    {
        let (argument, action) = (argument.word(), action.word());
        section.mistake(at, "write", Problem::ArgumentForAction { argument, action });
    }
    if let Some(Reversion::Timer(timer)) = reverts {
        let written = |write: &Write| {
            write.point.as_ref() == Some(timer) && write.value == Written::Argument(Argument::Seconds)
        };
        if !writes.iter().any(written) {
            let name = timer.to_string();
            section.mistake(
                section.place("reverts_after"),
                "reverts_after",
                Problem::TimerNotWritten { name },
            );
        }
    }
}

/// `Some(None)` for a release without one; `None` where it is wrong.
fn reversion(
    section: &mut Section<'_, '_>,
    action: Action,
    points: &Points<'_>,
) -> Option<Option<Reversion>> {
    section.know("reverts_after");
    let (key, at) = ("reverts_after", section.place("reverts_after"));
    if action == Action::Release {
        if section.has(key) {
            section.mistake(
                at,
                key,
                Problem::OnlyWith {
                    with: "an action other than release",
                },
            );
        }
        return Some(None);
    }
    if !section.has(key) {
        section.mistake(
            at,
            key,
            Problem::Missing {
                expected: REVERTS_EXPECTED.to_owned(),
            },
        );
        return None;
    }
    if section.is_text(key) {
        let never = section.word(key, &[("never", Reversion::Never)].map(|(word, _)| (word, ())));
        return never.map(|_| Some(Reversion::Never));
    }
    let (table, at, path) = section.table(key, REVERTS_EXPECTED)?;
    let mut inner = Section::new(table, at, path, section.log);
    let reversion = match (inner.has("timer"), inner.has("keep_alive_s")) {
        (true, false) => {
            let timer = inner.text("timer", "the name of a point");
            timer.and_then(|timer| timer_of(&mut inner, &timer, points))
        }
        (false, true) => {
            let seconds = inner.whole("keep_alive_s", 1..=86_400_u32);
            seconds.map(|seconds| Reversion::KeepAlive {
                seconds: seconds.value,
            })
        }
        _ => {
            inner.know("timer");
            inner.know("keep_alive_s");
            inner.mistake(
                at,
                "",
                Problem::OneOf {
                    one: "timer",
                    other: "keep_alive_s",
                },
            );
            None
        }
    };
    inner.finish();
    reversion.map(Some)
}

fn timer_of(section: &mut Section<'_, '_>, text: &Found<String>, points: &Points<'_>) -> Option<Reversion> {
    let point = writable(section, text, points)?;
    check_unit(section, text, point.unit, Argument::Seconds).then(|| Reversion::Timer(point.name.clone()))
}

/// The point of a name, where it may be written.
fn writable<'p>(
    section: &mut Section<'_, '_>,
    text: &Found<String>,
    points: &Points<'p>,
) -> Option<&'p Point> {
    let name = PointName::parse(&text.value);
    let point = points
        .read
        .iter()
        .find(|point| Some(&point.name) == name.as_ref());
    let named = text.value.clone();
    match point {
        // Its own mistake is told already.
        None if points.broken.contains(&named) => {}
        None => section
            .log
            .add(text.at, text.key.clone(), Problem::UnknownPoint { name: named }),
        Some(point) if point.access == Access::ReadOnly => {
            section
                .log
                .add(text.at, text.key.clone(), Problem::ReadOnlyPoint { name: named });
        }
        Some(point) => return Some(point),
    }
    None
}

fn check_unit(
    section: &mut Section<'_, '_>,
    place: &Found<String>,
    unit: Option<Unit>,
    argument: Argument,
) -> bool {
    let fits = unit.is_some_and(|unit| unit.base().0 == argument.unit());
    if !fits {
        let (expected, word) = (quantity_of(argument), argument.word());
        let unit = unit.map_or_else(|| "no unit".to_owned(), |unit| unit.to_string());
        let problem = Problem::ArgumentUnit {
            argument: word,
            expected,
            unit,
        };
        section.log.add(place.at, place.key.clone(), problem);
    }
    fits
}

fn quantity_of(argument: Argument) -> &'static str {
    match argument {
        Argument::Watts => "a power",
        Argument::Percent => "a percentage",
        Argument::Seconds => "a time",
    }
}

fn write_of(mut section: Section<'_, '_>, points: &Points<'_>) -> Option<Write> {
    let written = value_of(&mut section);
    let target = match (section.has("point"), section.has("address")) {
        (true, false) => target_point(&mut section, points),
        (false, true) => target_address(&mut section),
        _ => {
            let (at, problem) = (
                section.at(),
                Problem::OneOf {
                    one: "point",
                    other: "address",
                },
            );
            section.mistake(at, "", problem);
            for key in [
                "point",
                "address",
                "type",
                "word_order",
                "byte_order",
                "scale",
                "sign",
                "unit",
            ] {
                section.know(key);
            }
            None
        }
    };
    let write = written.zip(target).and_then(|((written, place), target)| {
        let write = Write {
            value: written,
            ..target
        };
        check_value(&mut section, &write, &place).then_some(write)
    });
    section.finish();
    write
}

fn check_value(section: &mut Section<'_, '_>, write: &Write, place: &Found<String>) -> bool {
    match write.value {
        // A bare address without a unit takes the argument as it is, times its scale.
        Written::Argument(_) if write.point.is_none() && write.unit.is_none() => true,
        Written::Argument(argument) => check_unit(section, place, write.unit, argument),
        Written::Literal(literal) => match write.encode(literal) {
            Ok(_) => true,
            Err(error) => {
                section
                    .log
                    .add(place.at, place.key.clone(), Problem::Literal(error));
                false
            }
        },
    }
}

/// `value`, and where it stands.
fn value_of(section: &mut Section<'_, '_>) -> Option<(Written, Found<String>)> {
    let expected = "a number, or {watts}, {percent} or {seconds} as a text";
    if !section.is_text("value") {
        if !section.has("value") {
            section.know("value");
            section.mistake(
                section.at(),
                "value",
                Problem::Missing {
                    expected: expected.to_owned(),
                },
            );
            return None;
        }
        let literal = section.optional_decimal("value")?;
        let place = Found {
            value: String::new(),
            at: literal.at,
            key: literal.key,
        };
        return Some((Written::Literal(literal.value), place));
    }
    let text = section.text("value", expected)?;
    let argument = ARGUMENTS
        .into_iter()
        .find(|argument| argument.word() == text.value);
    let written = argument
        .map(Written::Argument)
        .or_else(|| decimal_of(&text.value).map(Written::Literal));
    if written.is_none() {
        let (word, expected) = (text.value.clone(), expected.to_owned());
        section
            .log
            .add(text.at, text.key.clone(), Problem::UnknownWord { word, expected });
    }
    written.map(|written| (written, text))
}

fn target_point(section: &mut Section<'_, '_>, points: &Points<'_>) -> Option<Write> {
    let text = section.text("point", "the name of a point")?;
    let point = writable(section, &text, points)?;
    let bounds = match point.access {
        Access::ReadWrite { min, max } => Some((min, max)),
        Access::ReadOnly => None,
    };
    Some(Write {
        point: Some(point.name.clone()),
        address: point.address,
        value: Written::Literal(Decimal::ZERO),
        encoding: point.encoding.clone(),
        unit: point.unit,
        bounds,
    })
}

fn target_address(section: &mut Section<'_, '_>) -> Option<Write> {
    let address = layout::address(section);
    let kind = layout::kind(section);
    let encoding = layout::encoding(section, kind, false);
    let unit = layout::unit(section);
    let (address, encoding, unit) = (address?, encoding?, unit?);
    let end = u32::from(address) + u32::from(encoding.length());
    if end > 1 << 16 {
        section.mistake(
            section.place("address"),
            "address",
            Problem::BeyondLastRegister { end: end - 1 },
        );
        return None;
    }
    let value = Written::Literal(Decimal::ZERO);
    Some(Write {
        point: None,
        address,
        value,
        encoding,
        unit,
        bounds: None,
    })
}
