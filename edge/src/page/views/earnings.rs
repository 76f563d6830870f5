//! What was earned, and why: what the engine's statements say.

use super::View;
use super::layout::{Tab, card, page};
use crate::page::html::{Html, html};
use crate::page::state::EarningLine;
use crate::page::words;

/// The page.
#[must_use]
pub fn earnings(view: View<'_>) -> Html {
    let lines: Html = view.home.earnings.iter().map(|l| line(view, l)).collect();
    let content = if view.home.earnings.is_empty() {
        card(
            "Nothing yet",
            html!(
                "<p>After an event the engine writes a statement: what your meter saw, what it would have seen without the event, and what the difference pays. It comes here.</p>"
            ),
        )
    } else {
        html!("<ol class=\"cards\">" [lines] "</ol>")
    };
    let main = html!(
        "<h1>Earnings</h1>"[content][card(
            "How it is reckoned",
            html!(
                "<p>Paid is what was <em>delivered</em>: what your meter saw in the event, less the baseline, which is what it "
                "would most likely have seen without it. Each line can be recomputed from signed readings by anyone you allow.</p>"
            )
        )]
    );
    page(Tab::Earnings, "Earnings", main)
}

fn line(view: View<'_>, line: &EarningLine) -> Html {
    let zero = line
        .zero_because
        .as_ref()
        .map(|why| html!("<p><strong class=\"chip no\">Why nothing</strong> " (why) "</p>"));
    html!(
        "<li class=\"card\"><h2>" (line.event) "</h2><p class=\"muted\">" (words::time(line.start, view.home.time, view.zone)) "</p>"
        "<p class=\"big\">" (line.tokens) "</p><dl class=\"pairs\"><div><dt>Delivered</dt><dd>" (words::exact_energy(line.delivered))
        "</dd></div><div><dt>Baseline</dt><dd>" (words::exact_energy(line.baseline)) "</dd></div></dl>" [zero] "</li>"
    )
}
