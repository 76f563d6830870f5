//! Reading `[[payment]]` sections: every mistake at once, with its line and key.

mod formula;
mod price;
mod value;

pub(in crate::rules) use self::value::read_clock;

use gridtally_protocol::quantity::Asset;

use self::formula::Reader;
use super::round::Rounding;
use super::terms::{Fee, Formula, Terms};
use crate::rules::document::{self, DocumentError, Found, Section};

/// No program has more formulas.
const FORMULAS_MAX: usize = 16;

impl Terms {
    /// Reads a document of a `rounding` and `[[payment]]` sections alone, whose amounts are of `asset`; `name`
    /// stands for it in errors.
    ///
    /// # Errors
    /// [`DocumentError`] with every mistake in it.
    pub fn from_toml(name: &str, text: &str, asset: &Asset) -> Result<Self, DocumentError> {
        document::read(name, text, |section| Self::read(section, asset))
    }

    /// Takes `rounding` and `payment` from a program's document.
    pub(in crate::rules) fn read(s: &mut Section<'_, '_>, asset: &Asset) -> Option<Self> {
        let rounding = Self::read_rounding(s);
        let payment = s.required("payment")?;
        let (formulas, fee) = read_payment(&payment, asset)?;
        Some(Self {
            rounding: rounding?,
            formulas,
            fee,
        })
    }

    /// Takes `rounding` alone.
    pub(in crate::rules) fn read_rounding(s: &mut Section<'_, '_>) -> Option<Rounding> {
        match s.optional("rounding") {
            None => Some(Rounding::HalfEven),
            Some(v) => v.one_of(&[
                ("half_even", Rounding::HalfEven),
                ("half_up", Rounding::HalfUp),
                ("down", Rounding::Down),
            ]),
        }
    }
}

enum Part {
    Formula(Formula),
    Fee(Fee),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Energy,
    Capacity,
    SeasonAverage,
    Points,
    Pool,
    DataBonus,
    Fee,
}

fn read_payment(found: &Found<'_, '_>, asset: &Asset) -> Option<(Vec<Formula>, Option<Fee>)> {
    let items = found.items(FORMULAS_MAX)?;
    if items.is_empty() {
        return found.mistake("pays nothing: at least one section [[payment]] is needed");
    }
    let mut kinds = Vec::new();
    let mut parts = Vec::new();
    for item in items {
        let Some((kind, part)) = item.section().and_then(|s| read_part(s, asset, &kinds)) else {
            parts.push(None);
            continue;
        };
        kinds.push(kind);
        parts.push(part);
    }
    let pays = |kind: &Kind| !matches!(kind, Kind::DataBonus | Kind::Fee);
    if kinds.len() == parts.len() && !kinds.iter().any(pays) {
        return found
            .mistake("pays for no delivery: a data_bonus and a fee are only shares of other formulas");
    }
    let (mut formulas, mut fee) = (Vec::new(), None);
    for part in parts {
        match part? {
            Part::Formula(formula) => formulas.push(formula),
            Part::Fee(read) => fee = Some(read),
        }
    }
    Some((formulas, fee))
}

/// The kind, where it is known, and the part, where it has no mistake.
fn read_part(mut s: Section<'_, '_>, asset: &Asset, before: &[Kind]) -> Option<(Kind, Option<Part>)> {
    let kind = s.required("kind").and_then(|v| {
        let kind = v.one_of(&[
            ("energy", Kind::Energy),
            ("capacity", Kind::Capacity),
            ("season_average", Kind::SeasonAverage),
            ("points", Kind::Points),
            ("pool", Kind::Pool),
            ("data_bonus", Kind::DataBonus),
            ("fee", Kind::Fee),
        ])?;
        let has = |other| before.contains(&other);
        let misplaced = match kind {
            Kind::Energy if !has(Kind::DataBonus) && !has(Kind::Fee) => None,
            _ if has(kind) && kind != Kind::Energy => Some("stands twice; only energy may"),
            _ if has(Kind::Fee) => Some("stands after the fee, which is taken from all and stands last"),
            Kind::Fee => None,
            _ if has(Kind::DataBonus) => {
                Some("stands after the data_bonus, which is bounded by all that stand before it")
            }
            _ => None,
        };
        if let Some(problem) = misplaced {
            v.mistake::<()>(problem);
        }
        Some(kind)
    })?;
    let reader = Reader { asset };
    let part = match kind {
        Kind::Energy => reader.energy(&mut s).map(Formula::Energy).map(Part::Formula),
        Kind::Capacity => reader.capacity(&mut s).map(Formula::Capacity).map(Part::Formula),
        Kind::SeasonAverage => reader
            .season_average(&mut s)
            .map(Formula::SeasonAverage)
            .map(Part::Formula),
        Kind::Points => reader.points(&mut s).map(Formula::Points).map(Part::Formula),
        Kind::Pool => reader.pool(&mut s).map(Formula::Pool).map(Part::Formula),
        Kind::DataBonus => reader
            .data_bonus(&mut s)
            .map(Formula::DataBonus)
            .map(Part::Formula),
        Kind::Fee => reader.fee(&mut s).map(Part::Fee),
    };
    s.finish();
    Some((kind, part))
}
