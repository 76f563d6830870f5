//! What was earned, and why: what the engine's statements say.

use gridtally_protocol::quantity::MilliwattHours;
use gridtally_protocol::statement::{SiteStatement, StatementLine, StatementPart};
use gridtally_protocol::time::Timestamp;

use super::View;
use super::layout::{Tab, card, page};
use crate::outbox::STATEMENTS_MAX;
use crate::page::earned::{self, Earned, sentence, tokens, zeros};
use crate::page::html::{Html, html};
use crate::page::words;

/// So many events stand on one page.
const EVENTS: usize = 8;

/// One page of them, from 1 on. A page that is none is the first or the last.
#[must_use]
pub fn earnings(view: View<'_>, number: usize) -> Html {
    let earned = view.home.earned.as_ref();
    let pages = earned.statements.len().div_ceil(EVENTS).max(1);
    let number = number.clamp(1, pages);
    let first = number.saturating_sub(1).saturating_mul(EVENTS);
    let events: Html = earned
        .statements
        .iter()
        .skip(first)
        .take(EVENTS)
        .map(|statement| event(view, statement))
        .collect();
    let content = if earned.statements.is_empty() {
        card(
            "Nothing yet",
            html!(
                "<p>After an event the engine writes a statement: what your meter saw, what it would have seen without the event, and what the difference pays. It comes here.</p>"
            ),
        )
    } else {
        html!([total(earned)] "<ol class=\"cards\">" [events] "</ol>" [pager(number, pages)])
    };
    let main = html!(
        "<h1>Earnings</h1>"[content][card(
            "How it is reckoned",
            html!(
                "<p>Paid is what was <em>delivered</em>: the baseline, which is what your home would most likely have used "
                "without the event, less what its meter counted. Below nothing (a minus sign) more went to the grid than came "
                "from it. Each line can be recomputed from signed readings by anyone you allow.</p>"
            )
        )]
    );
    page(Tab::Earnings, "Earnings", main)
}

fn total(earned: &Earned) -> Html {
    let totals: Html = earned
        .shown_totals()
        .map(|total| html!("<p class=\"big\">" [amount(&total)] "</p>"))
        .collect();
    let count = earned.statements.len();
    let of = match count {
        1 => "in one event".to_owned(),
        _ if count >= usize::from(STATEMENTS_MAX) => format!("in the last {count} events"),
        _ => format!("in {count} events"),
    };
    card("Earned", html!([totals] "<p class=\"muted\">" (of) "</p>"))
}

fn pager(number: usize, pages: usize) -> Option<Html> {
    let link = |to: usize, words: &'static str| html!("<a href=\"/earnings?page=" (to) "\">" (words) "</a> ");
    let later = (number > 1).then(|| link(number.saturating_sub(1), "Later events"));
    let earlier = (number < pages).then(|| link(number.saturating_add(1), "Earlier events"));
    (pages > 1).then(|| html!("<p class=\"switch\">" [later] [earlier] "</p>"))
}

fn event(view: View<'_>, statement: &SiteStatement) -> Html {
    let (home, zone) = (view.home, view.zone);
    let totals = &statement.totals;
    let corrected = (statement.version > 1).then(|| html!(" <span class=\"chip yes\">Corrected</span>"));
    html!(
        "<li class=\"card\"><div class=\"earned\"><h2>" (statement.event.as_str().replace('-', " ")) "</h2><p class=\"amount\">"
        [amount(&tokens(&statement.asset, totals.amount))] "</p></div><p class=\"muted\">"
        (words::span(statement.start, statement.end, home.time, zone)) [corrected] "</p>" [why_nothing(statement)]
        "<dl class=\"pairs\">" [pair("Would have used", totals.baseline)] [pair("Used", totals.metered)]
        [pair("Credited", Some(totals.credited))] "</dl>" [parts(statement)] [details(view, statement)] "</li>"
    )
}

/// The number, and smaller the token's code.
fn amount(shown: &str) -> Html {
    match shown.split_once(' ') {
        Some((number, rest)) => html!((number) " <small>" (rest) "</small>"),
        None => html!((shown)),
    }
}

fn pair(what: &'static str, energy: Option<MilliwattHours>) -> Html {
    html!("<div><dt>" (what) "</dt><dd>" (energy_or_unknown(energy)) "</dd></div>")
}

fn energy_or_unknown(energy: Option<MilliwattHours>) -> String {
    energy.map_or_else(|| "not known".to_owned(), words::exact_energy)
}

/// What the amount is made of, where that is more than energy by the interval.
fn parts(statement: &SiteStatement) -> Option<Html> {
    let row = |part: &StatementPart| {
        let what = earned::part(part.kind);
        let amount = match part.amount {
            Some(amount) => tokens(&statement.asset, amount),
            None => "not known yet".to_owned(),
        };
        let why = part
            .reason
            .map(|reason| html!("<br><span class=\"muted\">" (sentence(reason)) "</span>"));
        html!("<div><dt>" (what) "</dt><dd>" (amount) [why] "</dd></div>")
    };
    let rows: Html = statement.parts.iter().map(row).collect();
    (!statement.parts.is_empty()).then(|| html!("<dl class=\"pairs\">" [rows] "</dl>"))
}

/// Why the whole event, or some of its intervals, earned nothing.
fn why_nothing(statement: &SiteStatement) -> Html {
    if let Some(reason) = statement.reason {
        return html!("<p><strong class=\"chip no\">Why nothing</strong> " (sentence(reason)) ".</p>");
    }
    let all = statement.lines.len();
    zeros(&statement.lines)
        .into_iter()
        .map(|(reason, count)| {
            html!(
                "<p class=\"muted\">Nothing for " (count) " of " (all) " intervals: " (sentence(reason)) ".</p>"
            )
        })
        .collect()
}

fn details(view: View<'_>, statement: &SiteStatement) -> Html {
    let rows: Html = statement
        .timed_lines()
        .map(|(start, line)| row(view, statement, start, line))
        .collect();
    let table = (!statement.lines.is_empty()).then(|| {
        html!(
            "<div class=\"scroll\" tabindex=\"0\" role=\"group\" aria-label=\"Each interval\"><table><caption>Energies in kWh</caption>"
            "<thead><tr><th>From</th><th>" (statement.asset.code()) "</th><th>Credited</th><th>Usual</th><th>Used</th></tr></thead><tbody>" [rows] "</tbody></table></div>"
        )
    });
    let minutes = statement.interval.seconds() / 60;
    let summary = match statement.lines.len() {
        0 => "The rules".to_owned(),
        count => format!("Each of the {count} intervals of {minutes} min"),
    };
    html!(
        "<details><summary>" (summary) "</summary>" [table] "<p class=\"muted\">Settled "
        (words::time(statement.settled_at, view.home.time, view.zone)) " under version " (statement.program_version)
        " of the program " (statement.program) ". Version " (statement.version) " of the statement, <code>"
        (statement.statement) "</code></p></details>"
    )
}

fn row(view: View<'_>, statement: &SiteStatement, start: Timestamp, line: &StatementLine) -> Html {
    let bare =
        |energy: Option<MilliwattHours>| energy.map_or_else(|| words::UNKNOWN.to_owned(), words::exact_kwh);
    let why = line
        .reason
        .map(|reason| html!("<tr class=\"why\"><td colspan=\"5\">" (sentence(reason)) "</td></tr>"));
    html!(
        "<tr><th scope=\"row\">" (words::time(start, statement.start, view.zone)) "</th><td>"
        (statement.asset.show(line.amount)) "</td><td>" (words::exact_kwh(line.credited)) "</td><td>"
        (bare(line.baseline)) "</td><td>" (bare(line.metered)) "</td></tr>" [why]
    )
}
