//! A baseline rule: the parameters of the one engine, as data.

use core::fmt;

use serde::Serialize;
use sha2::{Digest as _, Sha256};

use crate::rules::calendar::DayType;
use crate::rules::document::{self, DocumentError, Section};
use crate::rules::exact::{Ratio, read_decimal};

/// How many days of a type the rule takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct DayCount {
    /// The search ends when so many eligible days are found.
    pub look_for: u32,
    /// So many of them are averaged.
    pub keep: u32,
    /// With fewer there is no baseline.
    pub minimum: u32,
}

/// Which of the eligible days are averaged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Selection {
    /// All that were found.
    All,
    /// Those with the highest mean over the event's hours; of equal ones the more recent.
    Highest,
    /// All but the one with the highest and the one with the lowest day total; of equal totals the older
    /// counts as lower.
    Middle,
}

/// What a day must have to be eligible.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Completeness {
    /// A reading for every interval of the local day.
    WholeDay,
    /// A reading for every interval that the event and the adjustment windows use.
    UsedIntervals,
}

/// What a window is measured from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Anchor {
    /// Minutes before the event's start.
    BeforeStart,
    /// Minutes after the event's end.
    AfterEnd,
}

/// A stretch of the event day that shows how it differs from the days before: from `from_minutes` to
/// `to_minutes` before the start, or after the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Window {
    /// What it is measured from.
    pub anchor: Anchor,
    /// Its first minute.
    pub from_minutes: u32,
    /// The minute after its last.
    pub to_minutes: u32,
}

/// The bounds of a ratio.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Cap {
    /// The least factor.
    pub low: Ratio,
    /// The greatest factor.
    pub high: Ratio,
}

/// How the average is fitted to the event day.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Adjustment {
    /// Not at all.
    None,
    /// Multiplied by metered / average over the windows, within the cap.
    Ratio {
        /// Where the two are compared.
        windows: Vec<Window>,
        /// The bounds of the factor.
        cap: Option<Cap>,
    },
    /// The mean of metered − average over the windows is added to each interval.
    Additive {
        /// Where the two are compared.
        windows: Vec<Window>,
    },
}

impl Adjustment {
    /// The windows, none without an adjustment.
    #[must_use]
    pub fn windows(&self) -> &[Window] {
        match self {
            Self::None => &[],
            Self::Ratio { windows, .. } | Self::Additive { windows } => windows,
        }
    }
}

/// One baseline rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BaselineRule {
    /// Its name.
    pub id: String,
    /// What it is, for a person.
    pub about: String,
    /// Days for an event on a weekday.
    pub weekday: DayCount,
    /// Days for an event on another day.
    pub other: DayCount,
    /// How many calendar days back the search goes.
    pub lookback_days: u32,
    /// What a day must have.
    pub completeness: Completeness,
    /// A day whose mean over the event's hours is below this share of the candidates' mean is dropped, and
    /// the search goes on.
    pub low_use_below: Option<Ratio>,
    /// Which days are averaged.
    pub select: Selection,
    /// How the average is fitted to the event day.
    pub adjustment: Adjustment,
}

/// The presets that are built in: name and document.
pub const PRESETS: [(&str, &str); 8] = [
    (
        "caiso_style_10_10",
        include_str!("../../../../config/programs/baselines/caiso_style_10_10.toml"),
    ),
    (
        "caiso_style_5_10_res",
        include_str!("../../../../config/programs/baselines/caiso_style_5_10_res.toml"),
    ),
    (
        "pjm_style_h4o5_saa",
        include_str!("../../../../config/programs/baselines/pjm_style_h4o5_saa.toml"),
    ),
    (
        "nyiso_style_5_10",
        include_str!("../../../../config/programs/baselines/nyiso_style_5_10.toml"),
    ),
    (
        "ercot_style_mid8_10",
        include_str!("../../../../config/programs/baselines/ercot_style_mid8_10.toml"),
    ),
    (
        "miso_style_10_10",
        include_str!("../../../../config/programs/baselines/miso_style_10_10.toml"),
    ),
    (
        "dfs_style_bl01",
        include_str!("../../../../config/programs/baselines/dfs_style_bl01.toml"),
    ),
    (
        "unadj_10_10",
        include_str!("../../../../config/programs/baselines/unadj_10_10.toml"),
    ),
];

/// A name that is not of a preset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownPreset(String);

impl fmt::Display for UnknownPreset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let known: Vec<_> = PRESETS.iter().map(|(name, _)| *name).collect();
        write!(f, "{:?} is no preset; known are {}", self.0, known.join(", "))
    }
}

impl std::error::Error for UnknownPreset {}

/// Why a preset cannot be had.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PresetError {
    /// There is none of this name.
    #[error(transparent)]
    Unknown(#[from] UnknownPreset),
    /// Its document is wrong.
    #[error(transparent)]
    Document(#[from] DocumentError),
}

const DAYS_MAX: u32 = 60;
const LOOKBACK_DAYS_MAX: u32 = 366;
const WINDOW_MINUTES_MAX: u32 = 1440;
const WINDOWS_MAX: usize = 8;
const ID_LEN_MAX: usize = 64;

impl BaselineRule {
    /// A preset by its name.
    ///
    /// # Errors
    /// [`PresetError::Unknown`] that lists the known names.
    pub fn preset(name: &str) -> Result<Self, PresetError> {
        let preset = PRESETS.iter().find(|(known, _)| *known == name);
        let (_, text) = preset.ok_or_else(|| UnknownPreset(name.chars().take(ID_LEN_MAX).collect()))?;
        Ok(Self::from_toml(name, text)?)
    }

    /// Reads a rule's document; `name` stands for it in errors.
    ///
    /// # Errors
    /// [`DocumentError`] with every mistake in it.
    pub fn from_toml(name: &str, text: &str) -> Result<Self, DocumentError> {
        document::read(name, text, Self::read)
    }

    /// Reads a rule that stands in a table of another document.
    pub(in crate::rules) fn read(s: &mut Section<'_, '_>) -> Option<Self> {
        let id = s.required("id").and_then(|v| v.read_with(read_id));
        let about = s.optional("about").and_then(|v| v.text()).unwrap_or_default();
        let lookback_days = s
            .required("lookback_days")
            .and_then(|v| v.whole(1..=LOOKBACK_DAYS_MAX));
        let completeness = match s.optional("completeness") {
            None => Some(Completeness::WholeDay),
            Some(v) => v.one_of(&[
                ("whole_day", Completeness::WholeDay),
                ("used_intervals", Completeness::UsedIntervals),
            ]),
        };
        let select = s.required("select").and_then(|v| {
            v.one_of(&[
                ("all", Selection::All),
                ("highest", Selection::Highest),
                ("middle", Selection::Middle),
            ])
        });
        let low_use_below = match s.optional("low_use_below") {
            None => Some(None),
            Some(v) => v.read_with(read_share).map(Some),
        };
        let weekday = read_day_count(s, "weekday", select);
        let other = read_day_count(s, "other", select);
        let adjustment = match s.optional("adjustment") {
            None => Some(Adjustment::None),
            Some(v) => v.section().and_then(read_adjustment),
        };
        Some(Self {
            id: id?,
            about: about.to_owned(),
            weekday: weekday?,
            other: other?,
            lookback_days: lookback_days?,
            completeness: completeness?,
            low_use_below: low_use_below?,
            select: select?,
            adjustment: adjustment?,
        })
    }

    /// The days that an event on a day of this type takes.
    #[must_use]
    pub const fn days(&self, day_type: DayType) -> DayCount {
        match day_type {
            DayType::Weekday => self.weekday,
            DayType::Other => self.other,
        }
    }

    /// SHA-256, in hex, of the parameters as JSON (fields in the order of this type): equal rules have equal
    /// hashes, wherever they were written down.
    #[must_use]
    pub fn hash(&self) -> String {
        let bytes = serde_json::to_vec(self).unwrap_or_default(); // no map, no float: cannot fail
        hex::encode(Sha256::digest(bytes))
    }
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

fn read_share(text: &str) -> Result<Ratio, String> {
    let share = Ratio::of_decimal(read_decimal(text)?).map_err(|e| e.to_string())?;
    if share.is_positive() && share < Ratio::ONE {
        Ok(share)
    } else {
        Err("is not between 0 and 1".to_owned())
    }
}

fn read_factor(text: &str) -> Result<Ratio, String> {
    let factor = Ratio::of_decimal(read_decimal(text)?).map_err(|e| e.to_string())?;
    let sane = (Ratio::ZERO..=Ratio::whole(1000)).contains(&factor);
    if sane {
        Ok(factor)
    } else {
        Err("is not between 0 and 1000".to_owned())
    }
}

fn read_day_count(s: &mut Section<'_, '_>, key: &'static str, select: Option<Selection>) -> Option<DayCount> {
    let mut s = s.required(key)?.section()?;
    let mut number = |key| s.required(key).and_then(|v| v.whole(1..=DAYS_MAX));
    let (look_for, keep, minimum) = (number("look_for"), number("keep"), number("minimum"));
    let count = look_for.zip(keep).zip(minimum);
    let count = count.map(|((look_for, keep), minimum)| DayCount {
        look_for,
        keep,
        minimum,
    });
    if let Some(count) = count {
        if count.keep > count.look_for {
            s.mistake("keep", format!("is more than look_for, {}", count.look_for));
        }
        if count.minimum > count.look_for {
            s.mistake(
                "minimum",
                format!("is more than look_for, {}: it could never be met", count.look_for),
            );
        }
        match select {
            Some(Selection::All) if count.keep != count.look_for => {
                s.mistake(
                    "keep",
                    format!("select = \"all\" keeps all of look_for, {}", count.look_for),
                );
            }
            Some(Selection::Middle) if count.keep.checked_add(2) != Some(count.look_for) => {
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
    }
    s.finish();
    count
}

fn read_adjustment(mut s: Section<'_, '_>) -> Option<Adjustment> {
    #[derive(Clone, Copy, PartialEq)]
    enum Kind {
        None,
        Ratio,
        Additive,
    }
    let words = [
        ("none", Kind::None),
        ("ratio", Kind::Ratio),
        ("additive", Kind::Additive),
    ];
    let kind = s.required("kind").and_then(|v| v.one_of(&words));
    let adjustment = match kind {
        None => None,
        Some(Kind::None) => Some(Adjustment::None),
        Some(Kind::Additive) => read_windows(&mut s).map(|windows| Adjustment::Additive { windows }),
        Some(Kind::Ratio) => {
            let cap = read_cap(&mut s);
            read_windows(&mut s)
                .zip(cap)
                .map(|(windows, cap)| Adjustment::Ratio { windows, cap })
        }
    };
    if kind.is_some() {
        s.finish();
    }
    adjustment
}

fn read_cap(s: &mut Section<'_, '_>) -> Option<Option<Cap>> {
    let Some(found) = s.optional("cap") else {
        return Some(None);
    };
    let bounds = found.items(2)?;
    let [low, high] = bounds.as_slice() else {
        s.mistake("cap", "is not a pair such as [\"0.8\", \"1.2\"]");
        return None;
    };
    let (low, high) = (low.read_with(read_factor), high.read_with(read_factor));
    let cap = low.zip(high).map(|(low, high)| Cap { low, high })?;
    if cap.low > cap.high {
        s.mistake("cap", "its first number is greater than its second");
    }
    Some(Some(cap))
}

fn read_windows(s: &mut Section<'_, '_>) -> Option<Vec<Window>> {
    let items = s.required("windows")?.items(WINDOWS_MAX)?;
    if items.is_empty() {
        s.mistake("windows", "is empty: an adjustment needs at least one window");
    }
    let windows: Vec<_> = items.iter().map(|v| v.section().and_then(read_window)).collect();
    windows.into_iter().collect()
}

fn read_window(mut s: Section<'_, '_>) -> Option<Window> {
    let anchors = [
        ("before_start", Anchor::BeforeStart),
        ("after_end", Anchor::AfterEnd),
    ];
    let anchor = s.required("anchor").and_then(|v| v.one_of(&anchors));
    let from = s
        .required("from_minutes")
        .and_then(|v| v.whole(0..=WINDOW_MINUTES_MAX));
    let to = s
        .required("to_minutes")
        .and_then(|v| v.whole(0..=WINDOW_MINUTES_MAX));
    let window = anchor
        .zip(from)
        .zip(to)
        .map(|((anchor, from_minutes), to_minutes)| Window {
            anchor,
            from_minutes,
            to_minutes,
        });
    if let Some(w) = window {
        let forwards = match w.anchor {
            Anchor::BeforeStart => w.from_minutes > w.to_minutes,
            Anchor::AfterEnd => w.from_minutes < w.to_minutes,
        };
        if !forwards {
            s.mistake(
                "to_minutes",
                "the window ends before it begins: before_start counts down, after_end up",
            );
        }
    }
    s.finish();
    window
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_preset_reads_and_bears_its_own_name() {
        for (name, _) in PRESETS {
            assert_eq!(BaselineRule::preset(name).unwrap().id, name);
        }
    }

    #[test]
    fn an_unknown_preset_is_refused_with_the_known_names() {
        let error = BaselineRule::preset("caiso").unwrap_err().to_string();
        assert!(
            error.contains("\"caiso\"") && error.contains("caiso_style_10_10"),
            "{error}"
        );
    }

    #[test]
    fn all_mistakes_are_named_at_once_with_their_lines() {
        let text = r#"id = "Bad Name"
lookback_days = 0
select = "some"
weekday = { look_for = 10, keep = 11, minimum = 5 }
other = { look_for = 4, keep = 4 }
colour = "green"
[adjustment]
kind = "ratio"
cap = ["1.2", "0.8"]
windows = [{ anchor = "before_start", from_minutes = 60, to_minutes = 240, extra = 1 }]
"#;
        let error = BaselineRule::from_toml("mine.toml", text).unwrap_err();
        let found: Vec<_> = error.mistakes.iter().map(|m| (m.line, m.key.as_str())).collect();
        let expected = [
            (1, "id"),
            (2, "lookback_days"),
            (3, "select"),
            (4, "weekday.keep"),
            (5, "other.minimum"),
            (6, "colour"),
            (9, "adjustment.cap"),
            (10, "adjustment.windows[0].to_minutes"),
            (10, "adjustment.windows[0].extra"),
        ];
        assert_eq!(found, expected, "{error}");
    }

    #[test]
    fn the_hash_depends_on_what_a_rule_does() {
        let rule = BaselineRule::preset("caiso_style_10_10").unwrap();
        let mut other = rule.clone();
        assert_eq!(rule.hash(), other.hash());
        other.lookback_days = 44;
        assert_ne!(rule.hash(), other.hash());
    }
}
