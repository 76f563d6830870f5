//! The charts of a day and of a month.

use chrono::{Days, Months, NaiveDate};
use gridtally_protocol::quantity::{MilliwattHours, Overflow};

use super::bars::{Series, chart};
use super::layout::{Tab, card, page};
use super::now::tiles;
use crate::history::Energies;
use crate::history::chart::{Bar, total};
use crate::page::html::{Html, html};
use crate::page::words::{energy, energy_or_dash};

/// What is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Period {
    /// One local day.
    Day(NaiveDate),
    /// The month that begins with this day.
    Month(NaiveDate),
}

/// The page.
///
/// # Errors
/// [`Overflow`] where sums do not fit.
pub fn energy_page(period: Period, today: NaiveDate, bars: &[Bar]) -> Result<Html, Overflow> {
    let (title, unit) = match period {
        Period::Day(day) if day == today => ("Today".to_owned(), "Hour"),
        Period::Day(day) => (day.format("%A, %-d %B %Y").to_string(), "Hour"),
        Period::Month(first) => (first.format("%B %Y").to_string(), "Day"),
    };
    let battery = bars
        .iter()
        .any(|b| b.energies.battery_charge.is_some() || b.energies.battery_discharge.is_some());
    let battery = battery.then(|| {
        card(
            "Battery",
            chart(
                bars,
                &[
                    Series {
                        name: "Charged",
                        class: "battery",
                        of: |e| e.battery_charge,
                    },
                    Series {
                        name: "Given back",
                        class: "soft",
                        of: |e| e.battery_discharge,
                    },
                ],
            ),
        )
    });
    let measured = bars.iter().any(|bar| bar.covered_seconds > 0);
    let charts = html!(
        [card(
            "Roof and house",
            chart(
                bars,
                &[
                    Series {
                        name: "From the roof",
                        class: "solar",
                        of: |e| e.solar
                    },
                    Series {
                        name: "Used in the house",
                        class: "house",
                        of: Energies::house
                    },
                ]
            )
        )][card(
            "Grid",
            chart(
                bars,
                &[
                    Series {
                        name: "Bought",
                        class: "grid",
                        of: |e| e.grid_import
                    },
                    Series {
                        name: "Sent",
                        class: "soft",
                        of: |e| e.grid_export
                    },
                ]
            )
        )][battery]
    );
    let content = if measured {
        html!(
            [card("In sum", figures(bars)?)] "<div class=\"charts\">" [charts] "</div>" [table(unit, bars)]
        )
    } else {
        card(
            "Nothing here yet",
            html!(
                "<p>Nothing was measured then. Days are kept for ten years, their hours for forty days.</p>"
            ),
        )
    };
    let main = html!([switch(period, today)] "<h1>" (title) "</h1>" [content]);
    Ok(page(Tab::Energy, "Energy", main))
}

/// The sums of the bars.
///
/// # Errors
/// [`Overflow`] where a sum does not fit.
pub fn figures(bars: &[Bar]) -> Result<Html, Overflow> {
    let sum = total(bars)?;
    Ok(html!(
        [tiles(&[
            ("From the roof", energy_or_dash(sum.solar), "solar"),
            ("Used", energy_or_dash(sum.house()), "house"),
            ("Bought", energy_or_dash(sum.grid_import), "grid"),
            ("Sent", energy_or_dash(sum.grid_export), "soft"),
        ])][own_share(&sum)
            .map(|share| html!("<p class=\"muted\">" (share) " % of what the house used was its own.</p>"))]
    ))
}

/// How much of its use the home covered itself, in whole percents.
fn own_share(sum: &Energies) -> Option<i128> {
    let used = i128::from(sum.house()?.get());
    let bought = i128::from(sum.grid_import?.get()).min(used);
    (used - bought).checked_mul(100)?.checked_div(used)
}

fn switch(period: Period, today: NaiveDate) -> Html {
    let (back, on, day, month) = match period {
        Period::Day(day) => (
            day.checked_sub_days(Days::new(1)),
            day.checked_add_days(Days::new(1)),
            true,
            false,
        ),
        Period::Month(first) => (
            first.checked_sub_months(Months::new(1)),
            first.checked_add_months(Months::new(1)),
            false,
            true,
        ),
    };
    let link =
        |to: Option<NaiveDate>, words: &'static str, sign: &'static str| {
            to.filter(|to| *to <= today).map(|to| {
            let query = if day { format!("day={to}") } else { format!("month={}", to.format("%Y-%m")) };
            html!("<a class=\"step\" href=\"/energy?" (query) "\" aria-label=\"" (words) "\">" (sign) "</a>")
        })
        };
    let current = |is: bool| is.then(|| html!(" aria-current=\"true\""));
    html!(
        "<div class=\"switch\"><a href=\"/energy\"" [current(day)] ">Day</a>"
        "<a href=\"/energy?month=" (today.format("%Y-%m")) "\"" [current(month)] ">Month</a><span></span>"
        [link(back, "Earlier", "‹")] [link(on, "Later", "›")] "</div>"
    )
}

fn table(unit: &'static str, bars: &[Bar]) -> Html {
    let rows: Html = bars
        .iter()
        .filter(|bar| bar.covered_seconds > 0)
        .map(|bar| {
            let cell = |e: Option<MilliwattHours>| html!("<td>" (e.map_or_else(|| "–".to_owned(), energy)) "</td>");
            let e = &bar.energies;
            html!(
                "<tr><th scope=\"row\">" (bar.label) "</th>" [cell(e.solar)] [cell(e.house())]
                [cell(e.grid_import)] [cell(e.grid_export)] [cell(e.battery_charge)] [cell(e.battery_discharge)] "</tr>"
            )
        })
        .collect();
    html!(
        "<details class=\"card\"><summary>The same as a table</summary><div class=\"scroll\" tabindex=\"0\"><table><thead><tr>"
        "<th scope=\"col\">" (unit) "</th><th scope=\"col\">Roof</th><th scope=\"col\">Used</th>"
        "<th scope=\"col\">Bought</th><th scope=\"col\">Sent</th><th scope=\"col\">Charged</th>"
        "<th scope=\"col\">Given back</th></tr></thead><tbody>" [rows] "</tbody></table></div></details>"
    )
}
