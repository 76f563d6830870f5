//! Reading how a rule fits its average to the event day.

use super::{decimal, or, read_weight};
use crate::rules::baseline::rule::{AdditiveCap, Adjustment, Anchor, Cap, Window};
use crate::rules::document::{Found, Section};
use crate::rules::exact::Ratio;

const WINDOW_MINUTES_MAX: u32 = 1440;
const WINDOWS_MAX: usize = 8;
const FACTOR_MAX: i128 = 1000;
const CAP_KW_MAX: i128 = 1_000_000;

pub(super) fn read_adjustment(mut s: Section<'_, '_>) -> Option<Adjustment> {
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
    let kind = s.required("kind").and_then(|v| v.one_of(&words))?;
    let adjustment = match kind {
        Kind::None => Some(Adjustment::None),
        Kind::Additive => {
            let cap = read_additive_cap(&mut s);
            let windows = read_windows(&mut s);
            windows
                .zip(cap)
                .map(|(windows, cap)| Adjustment::Additive { windows, cap })
        }
        Kind::Ratio => {
            let cap = or(s.optional("cap"), None, |v| read_cap(&v).map(Some));
            let windows = read_windows(&mut s);
            windows
                .zip(cap)
                .map(|(windows, cap)| Adjustment::Ratio { windows, cap })
        }
    };
    s.finish();
    adjustment
}

fn read_pair(
    found: &Found<'_, '_>,
    example: &str,
    read: impl Fn(&str) -> Result<Ratio, String>,
) -> Option<(Ratio, Ratio)> {
    let bounds = found.items(2)?;
    let [low, high] = bounds.as_slice() else {
        return found.mistake(format!("is not a pair such as {example}"));
    };
    let (low, high) = (low.read_with(&read), high.read_with(&read));
    let (low, high) = low.zip(high)?;
    if low > high {
        return found.mistake("its first number is greater than its second");
    }
    Some((low, high))
}

fn read_cap(found: &Found<'_, '_>) -> Option<Cap> {
    let (low, high) = read_pair(found, "[\"0.8\", \"1.2\"]", read_factor)?;
    Some(Cap { low, high })
}

fn read_additive_cap(s: &mut Section<'_, '_>) -> Option<Option<AdditiveCap>> {
    let power = or(s.optional("cap_kw"), None, |found| {
        let (low_kw, high_kw) = read_pair(&found, "[\"-1.5\", \"1.5\"]", read_power)?;
        if low_kw > Ratio::ZERO || high_kw < Ratio::ZERO {
            return found.mistake("does not include 0: no adjustment at all would be out of bounds");
        }
        Some(Some(AdditiveCap::Power { low_kw, high_kw }))
    });
    let share = or(s.optional("cap_share"), None, |found| {
        found
            .read_with(read_weight)
            .map(|share| Some(AdditiveCap::Share(share)))
    });
    let (power, share) = power.zip(share)?;
    if power.is_some() && share.is_some() {
        s.mistake("cap_share", "there is a cap_kw as well; give one of them");
    }
    Some(power.or(share))
}

fn read_factor(text: &str) -> Result<Ratio, String> {
    let factor = decimal(text)?;
    if (Ratio::ZERO..=Ratio::whole(FACTOR_MAX)).contains(&factor) {
        Ok(factor)
    } else {
        Err(format!("is not between 0 and {FACTOR_MAX}"))
    }
}

fn read_power(text: &str) -> Result<Ratio, String> {
    let power = decimal(text)?;
    let bounds = Ratio::whole(CAP_KW_MAX.saturating_neg())..=Ratio::whole(CAP_KW_MAX);
    if bounds.contains(&power) {
        Ok(power)
    } else {
        Err(format!("is not between -{CAP_KW_MAX} and {CAP_KW_MAX} kW"))
    }
}

pub(super) fn read_windows(s: &mut Section<'_, '_>) -> Option<Vec<Window>> {
    let items = s.required("windows")?.items(WINDOWS_MAX)?;
    if items.is_empty() {
        s.mistake("windows", "is empty: there has to be at least one window");
    }
    let windows: Vec<_> = items.iter().map(|v| v.section().and_then(read_window)).collect();
    windows.into_iter().collect()
}

fn read_window(mut s: Section<'_, '_>) -> Option<Window> {
    let anchors = [
        ("before_start", Anchor::BeforeStart),
        ("before_notification", Anchor::BeforeNotification),
        ("after_end", Anchor::AfterEnd),
    ];
    let anchor = s.required("anchor").and_then(|v| v.one_of(&anchors));
    let mut minutes = |key| s.required(key).and_then(|v| v.whole(0..=WINDOW_MINUTES_MAX));
    let (from, to) = (minutes("from_minutes"), minutes("to_minutes"));
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
            Anchor::BeforeStart | Anchor::BeforeNotification => w.from_minutes > w.to_minutes,
            Anchor::AfterEnd => w.from_minutes < w.to_minutes,
        };
        if !forwards {
            s.mistake(
                "to_minutes",
                "the window ends before it begins: before_start and before_notification count down, after_end up",
            );
        }
    }
    s.finish();
    window
}
