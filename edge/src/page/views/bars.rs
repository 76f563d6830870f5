//! Bars side by side as an SVG, in integers.

use gridtally_protocol::quantity::MilliwattHours;

use crate::history::Energies;
use crate::history::chart::Bar;
use crate::page::html::{Html, html};
use crate::page::words;

/// One colour of bars.
#[derive(Debug, Clone, Copy)]
pub struct Series {
    /// Its name in the legend.
    pub name: &'static str,
    /// Its colour.
    pub class: &'static str,
    /// What it shows of a bar.
    pub of: fn(&Energies) -> Option<MilliwattHours>,
}

/// The drawing: 360 wide, bars from `LEFT` to 356, the ground at `GROUND`.
const LEFT: usize = 46;
const WIDTH: usize = 310;
const TOP: i64 = 12;
const GROUND: i64 = 152;

/// The chart with its legend.
#[must_use]
pub fn chart(bars: &[Bar], series: &[Series]) -> Html {
    let value = |s: &Series, bar: &Bar| (s.of)(&bar.energies).map_or(0, MilliwattHours::get).max(0);
    let top = bars
        .iter()
        .flat_map(|bar| series.iter().map(move |s| value(s, bar)))
        .max()
        .unwrap_or(0);
    let top = ceiling(top);
    let slot = WIDTH.saturating_mul(100).checked_div(bars.len()).unwrap_or(0);
    let width = slot
        .saturating_sub(slot / 4)
        .checked_div(series.len())
        .unwrap_or(0);
    let drawn: Html = bars
        .iter()
        .enumerate()
        .map(|(index, bar)| {
            let left = slot
                .saturating_mul(index)
                .saturating_add(slot / 8)
                .saturating_add(LEFT * 100);
            let columns: Html = series
                .iter()
                .enumerate()
                .map(|(i, s)| {
                    column(
                        left.saturating_add(width.saturating_mul(i)),
                        width,
                        height(value(s, bar), top),
                        s.class,
                    )
                })
                .collect();
            let words: Vec<_> = series
                .iter()
                .map(|s| {
                    format!(
                        "{} {}",
                        s.name.to_lowercase(),
                        words::energy_or_dash((s.of)(&bar.energies))
                    )
                })
                .collect();
            html!("<g><title>" (bar.label) ": " (words.join(", ")) "</title>" [columns] "</g>")
        })
        .collect();
    let every = if bars.len() > 26 { 5 } else { 3 };
    let labels: Html = bars
        .iter()
        .enumerate()
        .filter(|(index, _)| index % every == 0)
        .map(|(index, bar)| {
            let middle = slot
                .saturating_mul(index)
                .saturating_add(slot / 2)
                .saturating_add(LEFT * 100);
            html!("<text class=\"below\" x=\"" (hundredths(middle)) "\" y=\"168\">" (bar.label) "</text>")
        })
        .collect();
    let legend: Html = series
        .iter()
        .map(|s| html!("<li><i class=\"dot " (s.class) "\"></i>" (s.name) "</li>"))
        .collect();
    let names: Vec<_> = series.iter().map(|s| s.name).collect();
    html!(
        "<svg class=\"chart\" viewBox=\"0 0 360 174\" role=\"img\" aria-label=\"" (names.join(" and ")) ", as bars\">"
        [rule(TOP, top, top)] [rule((TOP + GROUND) / 2, top / 2, top)] [rule(GROUND, 0, top)] [drawn] [labels] "</svg>"
        "<ul class=\"legend\">" [legend] "</ul>"
    )
}

fn column(left: usize, width: usize, height: i64, class: &'static str) -> Html {
    if height <= 0 {
        return Html::new();
    }
    html!(
        "<rect class=\"" (class) "\" x=\"" (hundredths(left)) "\" y=\"" (GROUND - height) "\" width=\"" (hundredths(width))
        "\" height=\"" (height) "\" rx=\"1\"/>"
    )
}

/// A line at a value, in the unit of the topmost one.
fn rule(y: i64, value: i64, top: i64) -> Html {
    let (unit, name) = if top < 1_000_000 {
        (1000, "Wh")
    } else {
        (1_000_000, "kWh")
    };
    let tenths = value / (unit / 10);
    let fraction = (tenths % 10 != 0).then(|| html!("."(tenths % 10)));
    let name = (value == top).then(|| html!(" "(name)));
    html!(
        "<path class=\"rule\" d=\"M46 " (y) "H356\"/><text class=\"left\" x=\"41\" y=\"" (y + 4) "\">"
        (tenths / 10) [fraction] [name] "</text>"
    )
}

/// The height of a value, at least one where there is something.
fn height(value: i64, top: i64) -> i64 {
    let scaled = i128::from(value) * i128::from(GROUND - TOP) / i128::from(top.max(1));
    i64::try_from(scaled)
        .unwrap_or(0)
        .max(i64::from(value > 0))
        .min(GROUND - TOP)
}

/// The next of 1, 2, 3, 4, 5, 6, 8 × a power of ten, from a watt-hour up: half of it is short too.
fn ceiling(value: i64) -> i64 {
    let mut unit = 1000_i64; // 1 Wh
    while let Some(next) = unit.checked_mul(10) {
        if let Some(top) = [1, 2, 3, 4, 5, 6, 8, 10]
            .iter()
            .map(|m| unit.saturating_mul(*m))
            .find(|top| *top >= value)
        {
            return top;
        }
        unit = next;
    }
    i64::MAX
}

fn hundredths(value: usize) -> String {
    format!("{}.{:02}", value / 100, value % 100)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_ceiling_is_round() {
        for (value, top) in [
            (0, 1000),
            (1001, 2000),
            (2000, 2000),
            (2001, 3000),
            (80_001, 100_000),
            (i64::MAX, i64::MAX),
        ] {
            assert_eq!(ceiling(value), top);
        }
    }

    proptest! {
        #[test]
        fn no_bar_leaves_the_chart(value in 0_i64..=i64::MAX) {
            let top = ceiling(value);
            prop_assert!(top >= value);
            prop_assert!((0..=GROUND - TOP).contains(&height(value, top)));
        }
    }
}
