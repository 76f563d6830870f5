//! Reading a rule's document.

use std::collections::BTreeSet;

use super::{
    BaselineRule, Charging, Clip, Completeness, DayCount, DayType, Exports, Method, Selection, Shortfall,
    Sufficiency,
};
use crate::rules::calendar::DayKind;
use crate::rules::document::{Found, Section};
use crate::rules::exact::{Ratio, read_decimal};

use self::adjustment::{read_adjustment, read_windows};

mod adjustment;

const DAYS_MAX: u32 = 366;
const LOOKBACK_DAYS_MAX: u32 = 366;
const GAP_MINUTES_MAX: u32 = 1_440;
const DAY_TYPES_MAX: usize = 8;
const ID_LEN_MAX: usize = 64;
const SITES_MAX: u32 = 100_000;
const LEVEL_KW_MAX: i128 = 1_000_000;

#[derive(Clone, Copy)]
enum Kind {
    DayMatching,
    GeneratorOutput,
    SameDay,
    FirmLevel,
    ControlGroup,
}

/// What only rules that compare days have.
struct Days {
    day_types: Vec<DayType>,
    lookback_days: u32,
    completeness: Completeness,
    low_use_below: Option<Ratio>,
    select: Selection,
    shortfall: Shortfall,
    sufficiency: Option<Sufficiency>,
    sample_minimum: Option<u32>,
}

impl Days {
    /// Of a rule that compares none.
    const fn none() -> Self {
        Self {
            day_types: Vec::new(),
            lookback_days: 0,
            completeness: Completeness::UsedIntervals,
            low_use_below: None,
            select: Selection::All,
            shortfall: Shortfall::UseFewer,
            sufficiency: None,
            sample_minimum: None,
        }
    }
}

impl BaselineRule {
    /// Reads a rule that stands in a table of another document.
    pub(in crate::rules) fn read(s: &mut Section<'_, '_>) -> Option<Self> {
        let id = s.required("id").and_then(|v| v.read_with(read_id));
        let about = s.optional("about").and_then(|v| v.text()).unwrap_or_default();
        let kinds = [
            ("day_matching", Kind::DayMatching),
            ("generator_output", Kind::GeneratorOutput),
            ("same_day", Kind::SameDay),
            ("firm_level", Kind::FirmLevel),
            ("control_group", Kind::ControlGroup),
        ];
        let known = or(s.optional("method"), Kind::DayMatching, |v| v.one_of(&kinds));
        let kind = known.unwrap_or(Kind::DayMatching); // so that the rest is read, and its mistakes named, as well
        let method = read_method(s, kind);
        let days = match kind {
            Kind::DayMatching | Kind::GeneratorOutput => read_days(s, kind),
            Kind::SameDay | Kind::FirmLevel | Kind::ControlGroup => Some(Days::none()),
        };
        let adjustment = match kind {
            Kind::SameDay | Kind::FirmLevel => Some(super::Adjustment::None),
            _ => or(s.optional("adjustment"), super::Adjustment::None, |v| {
                v.section().and_then(read_adjustment)
            }),
        };
        let clips = [
            ("none", Clip::None),
            ("interval", Clip::Interval),
            ("event", Clip::Event),
        ];
        let clip = or(s.optional("clip"), Clip::None, |v| v.one_of(&clips));
        let days = known.and(days)?;
        Some(Self {
            id: id?,
            about: about.to_owned(),
            method: method?,
            day_types: days.day_types,
            lookback_days: days.lookback_days,
            completeness: days.completeness,
            low_use_below: days.low_use_below,
            select: days.select,
            adjustment: adjustment?,
            shortfall: days.shortfall,
            sufficiency: days.sufficiency,
            sample_minimum: days.sample_minimum,
            clip: clip?,
        })
    }
}

/// What an optional key holds, its default where it is not there, nothing where it is wrong.
fn or<'d, 't, T>(
    found: Option<Found<'d, 't>>,
    default: T,
    read: impl FnOnce(Found<'d, 't>) -> Option<T>,
) -> Option<T> {
    found.map_or(Some(default), read)
}

fn read_method(s: &mut Section<'_, '_>, kind: Kind) -> Option<Method> {
    match kind {
        Kind::DayMatching => Some(Method::DayMatching),
        Kind::GeneratorOutput => {
            let exports = [("counted", Exports::Counted), ("excluded", Exports::Excluded)];
            let exports = s.required("exports").and_then(|v| v.one_of(&exports));
            let charging = [("counted", Charging::Counted), ("zero", Charging::Zero)];
            let charging = s.required("charging").and_then(|v| v.one_of(&charging));
            let (exports, charging) = exports.zip(charging)?;
            Some(Method::GeneratorOutput { exports, charging })
        }
        Kind::SameDay => read_windows(s).map(|windows| Method::SameDay { windows }),
        Kind::FirmLevel => {
            let level = or(s.optional("level_kw"), None, |v| {
                v.read_with(read_level).map(Some)
            });
            level.map(|level_kw| Method::FirmLevel { level_kw })
        }
        Kind::ControlGroup => {
            let minimum = s.required("controls_minimum")?.whole(1..=SITES_MAX)?;
            Some(Method::ControlGroup { minimum })
        }
    }
}

fn read_days(s: &mut Section<'_, '_>, kind: Kind) -> Option<Days> {
    let lookback_days = s
        .required("lookback_days")
        .and_then(|v| v.whole(1..=LOOKBACK_DAYS_MAX));
    let completeness = or(s.optional("completeness"), Completeness::WholeDay, |v| {
        v.one_of(&[
            ("whole_day", Completeness::WholeDay),
            ("used_intervals", Completeness::UsedIntervals),
        ])
    });
    let select = s.required("select").and_then(|v| {
        v.one_of(&[
            ("all", Selection::All),
            ("highest", Selection::Highest),
            ("middle", Selection::Middle),
            ("closest_temperature", Selection::ClosestTemperature),
            ("most_similar", Selection::MostSimilar { gap_minutes: 0 }),
        ])
    });
    let select = match select {
        Some(Selection::MostSimilar { .. }) => {
            let gap = or(s.optional("similar_gap_minutes"), 0, |v| {
                v.whole(0..=GAP_MINUTES_MAX)
            });
            gap.map(|gap_minutes| Selection::MostSimilar { gap_minutes })
        }
        other => other,
    };
    let low_use_below = or(s.optional("low_use_below"), None, |v| {
        v.read_with(read_share).map(Some)
    });
    let shortfall = or(s.optional("shortfall"), Shortfall::UseFewer, |v| {
        v.one_of(&[
            ("none", Shortfall::None),
            ("use_fewer", Shortfall::UseFewer),
            (
                "fill_from_event_days_highest",
                Shortfall::FillFromEventDaysHighest,
            ),
        ])
    });
    let sufficiency = or(s.optional("sufficiency"), None, |v| {
        v.section().and_then(read_sufficiency).map(Some)
    });
    let sample_minimum = match kind {
        Kind::DayMatching => or(s.optional("sample_minimum"), None, |v| {
            v.whole(1..=SITES_MAX).map(Some)
        }),
        _ => Some(None), // a sample of sites says nothing of one site's device
    };
    let day_types = read_day_types(s, select);
    if let Some((lookback, sufficiency)) = lookback_days.zip(sufficiency.flatten())
        && sufficiency.of > lookback
    {
        s.mistake("sufficiency", "looks at more days than lookback_days");
    }
    Some(Days {
        day_types: day_types?,
        lookback_days: lookback_days?,
        completeness: completeness?,
        low_use_below: low_use_below?,
        select: select?,
        shortfall: shortfall?,
        sufficiency: sufficiency?,
        sample_minimum: sample_minimum?,
    })
}

/// Either the tables `weekday` and `other`, or a list of types that each name their days.
fn read_day_types(s: &mut Section<'_, '_>, select: Option<Selection>) -> Option<Vec<DayType>> {
    let Some(listed) = s.optional("day_types") else {
        let mut count = |key| {
            let mut table = s.required(key)?.section()?;
            let count = read_day_count(&mut table, select);
            table.finish();
            count
        };
        let (weekday, other) = (count("weekday"), count("other"));
        return Some(vec![DayType::weekday(weekday?), DayType::other(other?)]);
    };
    let items = listed.items(DAY_TYPES_MAX)?;
    if items.is_empty() {
        return listed.mistake("is empty: a rule that compares days needs at least one type of day");
    }
    let types: Vec<_> = items
        .iter()
        .map(|v| read_day_type(v.section()?, select))
        .collect();
    let types: Vec<_> = types.into_iter().collect::<Option<_>>()?;
    let (mut names, mut kinds) = (BTreeSet::new(), BTreeSet::new());
    for (item, day_type) in items.iter().zip(&types) {
        if !names.insert(&day_type.name) {
            return item.mistake(format!("the name {} is given twice", day_type.name));
        }
        if day_type.on.iter().any(|kind| !kinds.insert(*kind)) {
            return item.mistake("one of its days belongs to an earlier type as well");
        }
    }
    Some(types)
}

fn read_day_type(mut s: Section<'_, '_>, select: Option<Selection>) -> Option<DayType> {
    let name = s.required("name").and_then(|v| v.read_with(read_id));
    let on = s.required("on").and_then(|v| {
        let kinds: Vec<_> = v
            .items(DayKind::ALL.len())?
            .iter()
            .map(|v| v.one_of(&DayKind::ALL))
            .collect();
        let kinds: Option<BTreeSet<_>> = kinds.into_iter().collect();
        match kinds {
            Some(kinds) if kinds.is_empty() => v.mistake("is empty: no day would be of this type"),
            kinds => kinds,
        }
    });
    let count = read_day_count(&mut s, select);
    s.finish();
    Some(DayType {
        name: name?,
        on: on?,
        count: count?,
    })
}

fn read_day_count(s: &mut Section<'_, '_>, select: Option<Selection>) -> Option<DayCount> {
    let mut number = |key| s.required(key).and_then(|v| v.whole(1..=DAYS_MAX));
    let (look_for, keep, minimum) = (number("look_for"), number("keep"), number("minimum"));
    let weights = or(s.optional("weights"), Vec::new(), |v| {
        let weights: Vec<_> = v.items(60)?.iter().map(|v| v.read_with(read_weight)).collect();
        weights.into_iter().collect()
    });
    let count = DayCount {
        look_for: look_for?,
        keep: keep?,
        minimum: minimum?,
        weights: weights?,
    };
    check_day_count(s, &count, select);
    Some(count)
}

fn check_day_count(s: &Section<'_, '_>, count: &DayCount, select: Option<Selection>) {
    let look_for = count.look_for;
    if count.keep > look_for {
        s.mistake("keep", format!("is more than look_for, {look_for}"));
    }
    if count.minimum > look_for {
        s.mistake(
            "minimum",
            format!("is more than look_for, {look_for}: it could never be met"),
        );
    }
    match select {
        Some(Selection::All) if count.keep != look_for => {
            s.mistake(
                "keep",
                format!("select = \"all\" keeps all of look_for, {look_for}"),
            );
        }
        Some(Selection::Middle) if count.keep.checked_add(2) != Some(look_for) => {
            s.mistake("keep", "select = \"middle\" keeps two fewer than look_for");
        }
        Some(Selection::Middle) if count.minimum < 3 => {
            s.mistake(
                "minimum",
                "select = \"middle\" drops two days, so it needs at least 3",
            );
        }
        _ => {}
    }
    if count.weights.is_empty() {
        return;
    }
    if u32::try_from(count.weights.len()) != Ok(count.keep) {
        s.mistake(
            "weights",
            format!("has not one weight for each of the {} kept days", count.keep),
        );
    }
    if Ratio::checked_sum(count.weights.iter().copied()) != Ok(Ratio::ONE) {
        s.mistake("weights", "do not add up to 1");
    }
}

fn read_sufficiency(mut s: Section<'_, '_>) -> Option<Sufficiency> {
    let days = s.required("days").and_then(|v| v.whole(1..=DAYS_MAX));
    let of = s.required("of").and_then(|v| v.whole(1..=DAYS_MAX));
    let share = s.required("share").and_then(|v| v.read_with(read_weight));
    if let Some((days, of)) = days.zip(of)
        && days > of
    {
        s.mistake("days", format!("is more than of, {of}: it could never be met"));
    }
    s.finish();
    Some(Sufficiency {
        days: days?,
        of: of?,
        share: share?,
    })
}

/// A rule's or program's name.
fn read_id(text: &str) -> Result<String, &'static str> {
    let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_' || b == b'-';
    if (1..=ID_LEN_MAX).contains(&text.len()) && text.bytes().all(allowed) {
        Ok(text.to_owned())
    } else {
        Err("is not 1 to 64 characters of a-z, 0-9, _ and -")
    }
}

fn decimal(text: &str) -> Result<Ratio, String> {
    Ratio::of_decimal(read_decimal(text)?).map_err(|e| e.to_string())
}

/// Above 0 and below 1.
fn read_share(text: &str) -> Result<Ratio, String> {
    let share = decimal(text)?;
    if share.is_positive() && share < Ratio::ONE {
        Ok(share)
    } else {
        Err("is not between 0 and 1".to_owned())
    }
}

/// Above 0 and up to 1.
fn read_weight(text: &str) -> Result<Ratio, String> {
    let weight = decimal(text)?;
    if weight.is_positive() && weight <= Ratio::ONE {
        Ok(weight)
    } else {
        Err("is not above 0 and up to 1".to_owned())
    }
}

/// A site's firm level in kilowatts.
///
/// # Errors
/// A sentence.
pub fn read_level(text: &str) -> Result<Ratio, String> {
    let level = decimal(text)?;
    if (Ratio::ZERO..=Ratio::whole(LEVEL_KW_MAX)).contains(&level) {
        Ok(level)
    } else {
        Err(format!("is not between 0 and {LEVEL_KW_MAX} kW"))
    }
}
