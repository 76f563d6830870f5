//! Powers that a device shows in several registers: the inputs of its panels, or one register for each direction.

use rust_decimal::Decimal;

use super::Profile;
use super::codec::Value;
use super::mistake::Problem;
use super::point::{Point, Poll};
use super::reader::Section;
use super::vocabulary::{Measure, PointName, Quantity, Unit};

/// The most points of one sum.
pub const PARTS_MAX: usize = 16;

/// A power of the vocabulary as points that count for it and points that count against it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sum {
    /// What it is.
    pub name: Quantity,
    /// What is added, at least one.
    pub plus: Vec<PointName>,
    /// What is taken off.
    pub minus: Vec<PointName>,
    /// Whether a part that the device says to have no value counts nothing: an input that is not there.
    pub absent_is_zero: bool,
    /// What a person should know.
    pub note: Option<String>,
}

impl Sum {
    /// Every part, and whether it is taken off.
    pub fn parts(&self) -> impl Iterator<Item = (&PointName, bool)> {
        let plus = self.plus.iter().map(|name| (name, false));
        plus.chain(self.minus.iter().map(|name| (name, true)))
    }

    /// The power in watts, from the values of its points in the sum's profile; `None` where one was not read, and
    /// where one is not available but counts, for half a sum is another one, and where none is available.
    pub fn watts(
        &self,
        profile: &Profile,
        mut value: impl FnMut(&Point) -> Option<Value>,
    ) -> Option<Decimal> {
        let mut sum = None;
        for (name, is_minus) in self.parts() {
            let point = profile.point(name)?;
            let watts = match value(point)? {
                Value::Number(number) => point.unit?.to_base(number)?,
                Value::NotAvailable if self.absent_is_zero => continue,
                _ => return None,
            };
            let signed = if is_minus { -watts } else { watts };
            sum = Some(sum.unwrap_or(Decimal::ZERO).checked_add(signed)?);
        }
        sum
    }
}

/// Reads every `[[sum]]`; what is wrong goes to the log.
pub(super) fn read(section: &mut Section<'_, '_>, points: &[Point], broken: &[String]) -> Vec<Sum> {
    let mut sums: Vec<Sum> = Vec::new();
    for (table, at, path) in section.tables("sum") {
        let read = sum_of(Section::new(table, at, path.clone(), section.log), points, broken);
        let Some(sum) = read else { continue };
        let name = PointName::Quantity(sum.name);
        let twice = sums.iter().any(|other| other.name == sum.name);
        if twice || points.iter().any(|point| point.name == name) {
            let problem = Problem::SumTwice {
                name: name.to_string(),
            };
            section.log.add(at, format!("{path}.name"), problem);
        } else {
            sums.push(sum);
        }
    }
    sums
}

fn sum_of(mut section: Section<'_, '_>, points: &[Point], broken: &[String]) -> Option<Sum> {
    let name = name(&mut section);
    let plus = section.texts("plus", "a list of the points that count for it");
    let minus = if section.has("minus") {
        section.texts("minus", "a list of the points that count against it")
    } else {
        section.know("minus");
        Some(Vec::new())
    };
    let absent_is_zero = section.flag("absent_is_zero");
    let note = section.optional_text("note").map(|note| note.value);
    let sum = plus.zip(minus).and_then(|(plus, minus)| {
        let plus = parts(&mut section, "plus", &plus, points, broken)?;
        let minus = parts(&mut section, "minus", &minus, points, broken)?;
        let name = name?;
        Some(Sum {
            name,
            plus,
            minus,
            absent_is_zero: absent_is_zero?,
            note,
        })
    });
    if let Some(sum) = &sum {
        check(&mut section, sum, points);
    }
    section.finish();
    sum
}

fn name(section: &mut Section<'_, '_>) -> Option<Quantity> {
    let powers = |quantity: &&Quantity| {
        matches!(quantity.measure(), Measure::In(units)
            if units.contains(&Unit::Watt) && !units.contains(&Unit::Percent))
    };
    let words: Vec<_> = Quantity::ALL
        .iter()
        .filter(powers)
        .map(|quantity| (quantity.word(), *quantity))
        .collect();
    section.word("name", &words).map(|found| found.value)
}

fn parts(
    section: &mut Section<'_, '_>,
    key: &str,
    names: &[String],
    points: &[Point],
    broken: &[String],
) -> Option<Vec<PointName>> {
    let at = section.place(key);
    let mut found = Vec::new();
    for named in names {
        let name = PointName::parse(named);
        match points.iter().find(|point| Some(&point.name) == name.as_ref()) {
            Some(point) => found.push(point.name.clone()),
            // Its own mistake is told already.
            None if broken.contains(named) => {}
            None => section.mistake(at, key, Problem::UnknownPart { name: named.clone() }),
        }
    }
    (found.len() == names.len()).then_some(found)
}

/// Parts are powers, read at one pace, each counted once.
fn check(section: &mut Section<'_, '_>, sum: &Sum, points: &[Point]) {
    let at = section.at();
    let names: Vec<&PointName> = sum.parts().map(|(name, _)| name).collect();
    if !(2..=PARTS_MAX).contains(&names.len()) {
        section.mistake(at, "plus", Problem::PartCount { max: PARTS_MAX });
    }
    let point = |name: &PointName| points.iter().find(|point| point.name == *name);
    let pace = names.first().and_then(|name| point(name)).map(|first| first.poll);
    for (n, name) in names.iter().enumerate() {
        let is_power = point(name).is_some_and(|point| {
            let watts = point.unit.map(|unit| unit.base().0) == Some(Unit::Watt);
            watts && point.poll != Poll::Never && Some(point.poll) == pace
        });
        if !is_power || names[..n].contains(name) {
            let name = name.to_string();
            section.mistake(at, "plus", Problem::NotAPart { name });
        }
    }
}
