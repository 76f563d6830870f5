//! The picture as a page: one self-contained HTML file with the chart as SVG, light or dark, on any width.

use std::fmt::{self, Write as _};

use super::picture::{HomeLine, Picture, Point};

const WIDTH: i64 = 960;
const HEIGHT: i64 = 340;
const LEFT: i64 = 92;
const RIGHT: i64 = 16;
const TOP: i64 = 20;
const BOTTOM: i64 = 40;

const STYLE: &str = include_str!("page.css");

/// Writes the page.
///
/// # Errors
/// Only what the writer says.
pub fn write(picture: &Picture) -> Result<String, fmt::Error> {
    let mut out = String::new();
    let event = escape(&picture.event);
    write!(
        out,
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>{event} · Gridtally</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n"
    )?;
    header(&mut out, picture)?;
    writeln!(out, "<section>\n<h2>The neighbourhood during the event</h2>")?;
    chart(&mut out, picture)?;
    writeln!(out, "</section>")?;
    homes(&mut out, picture)?;
    ledger(&mut out, picture)?;
    refused(&mut out, picture)?;
    proof(&mut out, picture)?;
    out.push_str("</main>\n</body>\n</html>\n");
    Ok(out)
}

/// Only the chart, as an SVG file that stands alone.
///
/// # Errors
/// Only what the writer says.
pub fn svg(picture: &Picture) -> Result<String, fmt::Error> {
    let mut out = String::new();
    chart(&mut out, picture)?;
    Ok(out.replacen("<svg ", "<svg xmlns=\"http://www.w3.org/2000/svg\" ", 1))
}

fn header(out: &mut String, picture: &Picture) -> fmt::Result {
    writeln!(
        out,
        "<header>\n<p class=\"brand\">Gridtally</p>\n<h1>{}</h1>\n<p>{}</p>\n<dl class=\"figures\">",
        escape(&picture.event),
        escape(&picture.window)
    )?;
    let paid = format!("{} {}", picture.total.tokens, picture.token);
    let delivered = format!("{} kWh", picture.total.delivered);
    let homes = picture.homes.len().to_string();
    for (name, value) in [("Delivered", &delivered), ("Paid", &paid), ("Homes", &homes)] {
        writeln!(out, "<div><dt>{name}</dt><dd>{}</dd></div>", escape(value))?;
    }
    writeln!(out, "</dl>\n</header>")
}

struct Scale {
    low: i64,
    high: i64,
    count: i64,
}

impl Scale {
    fn of(load: &[Point]) -> Option<Self> {
        let values = || {
            load.iter()
                .flat_map(|p| std::iter::once(p.metered_w).chain(p.baseline_w))
        };
        let (low, high) = (values().min()?.min(0), values().max()?.max(0));
        let step = Self::step(high - low);
        let low = -((-low + step - 1) / step) * step;
        let high = ((high + step - 1) / step).max(1) * step;
        Some(Self {
            low,
            high,
            count: i64::try_from(load.len()).ok()?,
        })
    }

    /// A round number of watts that makes about five grid lines.
    fn step(span: i64) -> i64 {
        [500, 1_000, 2_000, 5_000, 10_000, 20_000, 50_000, 100_000]
            .into_iter()
            .find(|step| span / step <= 6)
            .unwrap_or(1_000_000)
    }

    fn x(&self, index: i64) -> i64 {
        LEFT + index * (WIDTH - LEFT - RIGHT) / self.count.max(1)
    }

    fn y(&self, watts: i64) -> i64 {
        TOP + (self.high - watts) * (HEIGHT - TOP - BOTTOM) / (self.high - self.low).max(1)
    }
}

fn chart(out: &mut String, picture: &Picture) -> fmt::Result {
    let Some(scale) = Scale::of(&picture.load) else {
        return writeln!(out, "<p>Nothing was metered around the event.</p>");
    };
    writeln!(
        out,
        "<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"Net power from the grid against the \
         baseline\" font-family=\"system-ui, sans-serif\" font-size=\"13\">"
    )?;
    event_band(out, &scale, &picture.load)?;
    grid(out, &scale, &picture.load)?;
    let metered: Vec<(i64, i64)> = steps(&scale, &picture.load, |p| Some(p.metered_w));
    let baseline: Vec<(i64, i64)> = steps(&scale, &picture.load, |p| p.baseline_w);
    if let (Some(first), Some(last)) = (metered.first(), metered.last()) {
        writeln!(
            out,
            "<path d=\"M{} {} L{} L{} {} Z\" fill=\"#2a9d8f\" fill-opacity=\"0.28\"/>",
            first.0,
            scale.y(0),
            points(&metered),
            last.0,
            scale.y(0)
        )?;
    }
    writeln!(
        out,
        "<polyline points=\"{}\" fill=\"none\" stroke=\"#2a9d8f\" stroke-width=\"2\"/>\n\
         <polyline points=\"{}\" fill=\"none\" stroke=\"#e76f51\" stroke-width=\"2.5\" stroke-dasharray=\"7 4\"/>",
        points(&metered),
        points(&baseline)
    )?;
    legend(out)?;
    writeln!(out, "</svg>")
}

fn steps(scale: &Scale, load: &[Point], value: impl Fn(&Point) -> Option<i64>) -> Vec<(i64, i64)> {
    let mut line = Vec::new();
    for (point, index) in load.iter().zip(0..) {
        if let Some(watts) = value(point) {
            line.push((scale.x(index), scale.y(watts)));
            line.push((scale.x(index + 1), scale.y(watts)));
        }
    }
    line
}

fn points(line: &[(i64, i64)]) -> String {
    line.iter()
        .map(|(x, y)| format!("{x},{y}"))
        .collect::<Vec<_>>()
        .join(" ")
}

fn event_band(out: &mut String, scale: &Scale, load: &[Point]) -> fmt::Result {
    let inside = || {
        load.iter()
            .zip(0..)
            .filter(|(p, _)| p.baseline_w.is_some())
            .map(|(_, index)| index)
    };
    let (Some(first), Some(last)) = (inside().min(), inside().max()) else {
        return Ok(());
    };
    let (left, right) = (scale.x(first), scale.x(last + 1));
    writeln!(
        out,
        "<rect x=\"{left}\" y=\"{TOP}\" width=\"{}\" height=\"{}\" fill=\"#e9c46a\" fill-opacity=\"0.22\"/>",
        right - left,
        HEIGHT - TOP - BOTTOM
    )
}

fn grid(out: &mut String, scale: &Scale, load: &[Point]) -> fmt::Result {
    let step = Scale::step(scale.high - scale.low);
    let mut watts = scale.low;
    while watts <= scale.high {
        let (y, width) = (scale.y(watts), if watts == 0 { 2 } else { 1 });
        writeln!(
            out,
            "<line x1=\"{LEFT}\" x2=\"{}\" y1=\"{y}\" y2=\"{y}\" stroke=\"#888\" stroke-opacity=\"0.4\" \
             stroke-width=\"{width}\"/>\n<text x=\"{}\" y=\"{}\" text-anchor=\"end\" fill=\"#777\">{} kW</text>",
            WIDTH - RIGHT,
            LEFT - 8,
            y + 4,
            watts / 1000
        )?;
        watts += step;
    }
    for (point, index) in load.iter().zip(0..).filter(|(p, _)| p.label.ends_with(":00")) {
        writeln!(
            out,
            "<text x=\"{}\" y=\"{}\" text-anchor=\"middle\" fill=\"#777\">{}</text>",
            scale.x(index),
            HEIGHT - BOTTOM + 26,
            escape(&point.label)
        )?;
    }
    Ok(())
}

fn legend(out: &mut String) -> fmt::Result {
    let y = TOP + 16;
    writeln!(
        out,
        "<g fill=\"#777\"><rect x=\"{}\" y=\"{}\" width=\"22\" height=\"10\" fill=\"#2a9d8f\" fill-opacity=\"0.6\"/>\
         <text x=\"{}\" y=\"{y}\">metered</text>\
         <line x1=\"{}\" x2=\"{}\" y1=\"{}\" y2=\"{}\" stroke=\"#e76f51\" stroke-width=\"2.5\" stroke-dasharray=\"7 4\"/>\
         <text x=\"{}\" y=\"{y}\">baseline</text></g>",
        LEFT + 10,
        y - 10,
        LEFT + 38,
        LEFT + 150,
        LEFT + 178,
        y - 4,
        y - 4,
        LEFT + 186
    )
}

fn homes(out: &mut String, picture: &Picture) -> fmt::Result {
    writeln!(
        out,
        "<section>\n<h2>Each home</h2>\n<div class=\"scroll\"><table class=\"homes\">\n<thead><tr><th>Home</th>\
         <th class=\"n\">Baseline kWh</th><th class=\"n\">Metered kWh</th><th class=\"n\">Delivered kWh</th>\
         <th class=\"n\">{}</th><th>What happened</th></tr></thead>\n<tbody>",
        escape(&picture.token)
    )?;
    for home in &picture.homes {
        home_row(out, home)?;
    }
    let total = &picture.total;
    writeln!(
        out,
        "</tbody>\n<tfoot><tr><th>All</th><td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td>\
         <td class=\"n\">{}</td><td></td></tr></tfoot>\n</table></div>\n</section>",
        total.baseline, total.metered, total.delivered, total.tokens
    )
}

fn home_row(out: &mut String, home: &HomeLine) -> fmt::Result {
    write!(out, "<tr><th>{}</th>", escape(&home.site))?;
    let figures = [
        ("Baseline kWh", &home.baseline),
        ("Metered kWh", &home.metered),
        ("Delivered kWh", &home.delivered),
        ("Tokens", &home.tokens),
    ];
    for (name, figure) in figures {
        write!(
            out,
            "<td class=\"n\" data-name=\"{name}\">{}</td>",
            escape(figure)
        )?;
    }
    writeln!(out, "<td>{}</td></tr>", escape(&home.note()))
}

fn ledger(out: &mut String, picture: &Picture) -> fmt::Result {
    writeln!(
        out,
        "<section>\n<h2>The ledger</h2>\n<p>Double entry: what one account gets, another gives. The sum of all \
         accounts is zero.</p>\n<div class=\"scroll\"><table>\n<thead><tr><th>Account</th><th class=\"n\">{}</th></tr></thead>\n<tbody>",
        escape(&picture.token)
    )?;
    for (account, balance) in &picture.ledger {
        writeln!(
            out,
            "<tr><td><code>{}</code></td><td class=\"n\">{}</td></tr>",
            escape(account),
            escape(balance)
        )?;
    }
    writeln!(
        out,
        "</tbody>\n<tfoot><tr><th>Sum</th><td class=\"n\">{}</td></tr></tfoot>\n</table></div>\n</section>",
        escape(&picture.ledger_sum)
    )
}

fn refused(out: &mut String, picture: &Picture) -> fmt::Result {
    writeln!(
        out,
        "<section>\n<h2>What was refused</h2>\n<p>Nothing is thrown away silently: each refusal is kept with its \
         bytes and its reason.</p>\n<div class=\"scroll\"><table>\n<thead><tr><th>Reason</th><th class=\"n\">How often</th>\
         <th>For example</th></tr></thead>\n<tbody>"
    )?;
    for line in &picture.refused {
        writeln!(
            out,
            "<tr><td><code>{}</code></td><td class=\"n\">{}</td><td>{}</td></tr>",
            escape(&line.reason),
            line.count,
            escape(&line.example)
        )?;
    }
    writeln!(out, "</tbody>\n</table></div>\n</section>")
}

fn proof(out: &mut String, picture: &Picture) -> fmt::Result {
    writeln!(
        out,
        "<section>\n<h2>Check it yourself</h2>\n<p>{}</p>\n<pre>{}</pre>\n<dl class=\"hashes\"><dt>Statement</dt>\
         <dd><code>{}</code></dd><dt>Bundle root</dt><dd><code>{}</code></dd></dl>\n\
         <p class=\"fine\">Household load: Low Carbon London, UK Power Networks, CC BY 4.0, shifted and scaled for \
         each home. Sun, clouds and batteries: simulated.</p>\n</section>",
        escape(&picture.volume),
        escape(&picture.verify),
        escape(&picture.statement_hash),
        escape(&picture.bundle_root)
    )
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}
