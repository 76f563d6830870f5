//! Events, and the one button that the owner has against them.

use super::View;
use super::layout::{Tab, card, page};
use crate::page::html::{Html, html};
use crate::page::state::{Decision, EventStage, EventState, OptOutScope};
use crate::page::words;

/// The page.
#[must_use]
pub fn events(view: View<'_>) -> Html {
    let home = view.home;
    let coming: Html = home
        .current_event
        .iter()
        .chain(&home.next_event)
        .map(|e| event_card(view, e))
        .collect();
    let coming = if home.current_event.is_none() && home.next_event.is_none() {
        card(
            "Nothing announced",
            html!("<p>When the grid asks for help, you see it here before it begins.</p>"),
        )
    } else {
        coming
    };
    let past: Html = home.past_events.iter().map(|e| past_line(view, e)).collect();
    let past =
        (!home.past_events.is_empty()).then(|| card("Before", html!("<ul class=\"lines\">" [past] "</ul>")));
    let main = html!("<h1>Events</h1><div class=\"columns\"><div>" [coming] "</div><div>" [opt_out_card(view)] [past] "</div></div>");
    page(Tab::Events, "Events", main)
}

/// An event that runs or was announced.
#[must_use]
pub fn event_card(view: View<'_>, event: &EventState) -> Html {
    let now = view.home.time;
    let runs = event.start <= now && now < event.end;
    let heading = if runs { "Now: " } else { "Next: " };
    let (class, taking, why) = match &event.decision {
        Decision::TakesPart(why) => ("yes", if runs { "Taking part" } else { "Will take part" }, why),
        Decision::EndedEarly(why) => ("no", "Ended early", why),
        Decision::Declined(why) => (
            "no",
            if runs {
                "Not taking part"
            } else {
                "Will not take part"
            },
            why,
        ),
    };
    let power = event
        .power
        .filter(|_| runs)
        .map(|p| html!("<p class=\"big\">" (words::power(p)) "</p>"));
    html!(
        "<section class=\"card event\"><h2>" (heading) (event.name) "</h2>" [power]
        "<p>" (words::target(event.target)) ", " (words::span(event.start, event.end, now, view.zone)) ".</p>"
        "<p><strong class=\"chip " (class) "\">" (taking) "</strong> " (why) "</p>"
        "<p class=\"muted\">" (stage(event.stage)) "</p></section>"
    )
}

const fn stage(stage: EventStage) -> &'static str {
    match stage {
        EventStage::Announced => "Announced. Nothing was changed yet.",
        EventStage::Written => "The battery was told.",
        EventStage::ReadBack => "The battery has confirmed it.",
        EventStage::Observed => "The battery has confirmed it, and the meter shows it.",
        EventStage::Completed => "Over. The battery goes back to your setting.",
        EventStage::Restored => "Over. The battery is back at your setting.",
    }
}

fn past_line(view: View<'_>, event: &EventState) -> Html {
    let (class, taken, why) = match &event.decision {
        Decision::TakesPart(why) => ("yes", "Took part", why),
        Decision::EndedEarly(why) => ("no", "Ended early", why),
        Decision::Declined(why) => ("no", "Took no part", why),
    };
    html!(
        "<li><strong>" (event.name) "</strong> <span class=\"muted\">" (words::span(event.start, event.end, view.home.time, view.zone))
        "</span><br><span class=\"chip " (class) "\">" (taken) "</span> " (why) "</li>"
    )
}

/// The button: out, or in again.
#[must_use]
pub fn opt_out_card(view: View<'_>) -> Html {
    let home = view.home;
    let token = html!("<input type=\"hidden\" name=\"token\" value=\"" (view.form_token) "\">");
    if !home.participates {
        return card(
            "Your choice",
            html!(
                "<p>Your battery takes no part in events: <code>participate = false</code> in <code>agent.toml</code>.</p>"
            ),
        );
    }
    if let Some(scope) = &home.opt_out {
        let how_long = match scope {
            OptOutScope::Event(id) => {
                let name = home
                    .current_event
                    .iter()
                    .chain(&home.next_event)
                    .find(|e| e.id == *id);
                format!("You sit out {}.", name.map_or("one event", |e| e.name.as_str()))
            }
            OptOutScope::Until(until) => format!(
                "You take a break until {}.",
                words::time(*until, home.time, view.zone)
            ),
        };
        return card(
            "Your choice",
            html!(
                "<p>" (how_long) " The battery does what you set it to.</p>"
                "<form method=\"post\" action=\"/opt-in\">" [token] "<button class=\"quiet\">Take part again</button></form>"
            ),
        );
    }
    let event = home.current_event.as_ref().or(home.next_event.as_ref());
    let option = event.map(|_| html!("<option value=\"event\">for this event</option>"));
    let hidden = event.map(|event| html!("<input type=\"hidden\" name=\"event\" value=\"" (event.id) "\">"));
    card(
        "Your choice",
        html!(
            "<p>It is your battery. Opting out costs nothing but what the event would have paid.</p>"
            "<form method=\"post\" action=\"/opt-out\">" [token] [hidden]
            "<label for=\"scope\">Opt out</label> <select id=\"scope\" name=\"scope\">" [option]
            "<option value=\"day\">for 24 hours</option><option value=\"week\">for a week</option></select>"
            "<button id=\"opt-out\">Opt out now</button></form>"
        ),
    )
}
