//! The picture in a terminal.

use std::fmt::{self, Write as _};

use super::picture::{Picture, Point};

/// About this many rows.
const ROWS: i64 = 20;
const COLUMNS: usize = 72;
const LABELS: usize = 6;

/// Draws the picture as text.
///
/// # Errors
/// Only what the writer says.
pub fn draw(picture: &Picture) -> Result<String, fmt::Error> {
    let mut out = String::new();
    chart(&mut out, picture)?;
    homes(&mut out, picture)?;
    ledger(&mut out, picture)?;
    refused(&mut out, picture)?;
    writeln!(out, "statement  {}", picture.statement_hash)?;
    writeln!(out, "bundle     {}", picture.bundle_root)?;
    writeln!(
        out,
        "\nCheck it yourself, without the engine and its database:\n  {}",
        picture.verify
    )?;
    Ok(out)
}

fn chart(out: &mut String, picture: &Picture) -> fmt::Result {
    writeln!(out, "\n{}, {}", picture.event, picture.window)?;
    writeln!(
        out,
        "Net power that the neighbourhood draws from the grid: ▒ metered, ━ baseline\n"
    )?;
    let Some(rows) = Rows::of(&picture.load) else {
        return writeln!(out, "  (nothing was metered around the event)");
    };
    let columns: Vec<&Point> = (0..COLUMNS).filter_map(|c| sample(&picture.load, c)).collect();
    for row in 0..rows.count {
        let top = rows.high - row * rows.height;
        let label = if top % (rows.height * 4) == 0 {
            kilowatts(top)
        } else {
            String::new()
        };
        let line: String = columns
            .iter()
            .map(|point| cell(point, top - rows.height, top))
            .collect();
        writeln!(out, "{label:>10} ┤{}", line.trim_end())?;
    }
    let labels: String = columns
        .iter()
        .step_by(COLUMNS / LABELS)
        .map(|p| format!("{:<w$}", p.label, w = COLUMNS / LABELS))
        .collect();
    writeln!(out, "{:>12}{labels}\n", "")
}

/// Rows of a round height, of which one begins at zero.
struct Rows {
    high: i64,
    height: i64,
    count: i64,
}

impl Rows {
    fn of(load: &[Point]) -> Option<Self> {
        let values = || {
            load.iter()
                .flat_map(|p| std::iter::once(p.metered_w).chain(p.baseline_w))
        };
        let (low, high) = (values().min()?.min(0), values().max()?.max(0));
        let height = [100, 200, 500, 1_000, 2_000, 5_000, 10_000, 20_000, 50_000]
            .into_iter()
            .find(|height| (high - low) / height < ROWS)
            .unwrap_or((high - low) / ROWS);
        let (above, below) = ((high + height - 1) / height, (-low + height - 1) / height);
        Some(Self {
            high: above * height,
            height,
            count: (above + below).max(1),
        })
    }
}

fn sample(load: &[Point], column: usize) -> Option<&Point> {
    load.get(column * load.len() / COLUMNS)
}

/// What stands where a point's column crosses the row from `bottom` to `top`.
fn cell(point: &Point, bottom: i64, top: i64) -> char {
    if point
        .baseline_w
        .is_some_and(|watts| bottom <= watts && watts < top)
    {
        return '━';
    }
    let middle = i64::midpoint(bottom, top);
    let metered = point.metered_w;
    if (middle > 0 && metered >= middle) || (middle < 0 && metered <= middle) {
        '▒'
    } else {
        ' '
    }
}

fn kilowatts(watts: i64) -> String {
    format!("{}{} kW", if watts < 0 { "-" } else { "" }, watts.abs() / 1_000)
}

fn homes(out: &mut String, picture: &Picture) -> fmt::Result {
    writeln!(
        out,
        "{:<9} {:>12} {:>12} {:>13} {:>14}  note",
        "home", "baseline kWh", "metered kWh", "delivered kWh", picture.token
    )?;
    for home in &picture.homes {
        let note = home.note();
        writeln!(
            out,
            "{:<9} {:>12} {:>12} {:>13} {:>14}  {note}",
            home.site, home.baseline, home.metered, home.delivered, home.tokens
        )?;
    }
    let total = &picture.total;
    writeln!(
        out,
        "{:<9} {:>12} {:>12} {:>13} {:>14}\n",
        "all", total.baseline, total.metered, total.delivered, total.tokens
    )
}

fn ledger(out: &mut String, picture: &Picture) -> fmt::Result {
    writeln!(
        out,
        "Ledger, in {} (double entry: credits and debits cancel out)",
        picture.token
    )?;
    for (account, balance) in &picture.ledger {
        writeln!(out, "  {account:<32} {balance:>20}")?;
    }
    writeln!(
        out,
        "  {:<32} {:>20}\n",
        "sum of all accounts", picture.ledger_sum
    )
}

fn refused(out: &mut String, picture: &Picture) -> fmt::Result {
    writeln!(out, "Refused, and kept with its reason")?;
    if picture.refused.is_empty() {
        writeln!(out, "  nothing")?;
    }
    for line in &picture.refused {
        writeln!(out, "  {:>3} × {:<18} {}", line.count, line.reason, line.example)?;
    }
    writeln!(out)
}
