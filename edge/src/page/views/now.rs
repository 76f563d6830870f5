//! The first page: what flows now, the battery, the event, today.

use gridtally_protocol::quantity::Overflow;

use super::events::{event_card, opt_out_card};
use super::flow::{flow, headline, sentence};
use super::layout::{Tab, card, figure, later_card, page};
use super::{View, energy};
use crate::history::chart::Bar;
use crate::page::html::{Html, html};
use crate::page::state::{BatteryState, ClockHealth, HomeState, PowerFlows};
use crate::page::words;

/// A message that has to be seen.
#[must_use]
pub fn notice(class: &'static str, text: &str) -> Html {
    html!("<p class=\"notice " (class) "\" role=\"status\">" (text) "</p>")
}

/// The page. `today` are the hours of today.
///
/// # Errors
/// [`Overflow`] where the energies of today do not fit.
pub fn now(view: View<'_>, said: Option<Html>, today: &[Bar]) -> Result<Html, Overflow> {
    let home = view.home;
    let event = home.current_event.as_ref().or(home.next_event.as_ref());
    let main = html!(
        [said] [problems(view)]
        "<div class=\"lead\"><h1>" (headline(home)) "</h1>"
        "<p class=\"muted\">" (words::time(home.time, home.time, view.zone)) " · " (sentence(home)) ".</p></div>"
        "<div class=\"columns\"><div>"
        "<section class=\"card\"><h2 class=\"hidden\">Power flow</h2>" [flow(home)] "</section>"
        [later_card("Today", html!([energy::figures(today)?] "<p><a href=\"/energy\">See the charts</a></p>"))]
        "</div><div>"
        [event.map(|event| event_card(view, event))]
        [opt_out_card(view)]
        [home.battery.as_ref().map(|b| battery_card(b, &home.power))]
        "</div></div>"
    );
    Ok(page(Tab::Now, "Now", main))
}

/// What the owner should look at, if anything.
fn problems(view: View<'_>) -> Html {
    let home = view.home;
    let devices = home.devices.iter().filter(|d| !d.reachable).map(|device| {
        let since = device.last_seen.map_or_else(
            || "it was never heard".to_owned(),
            |at| format!("last heard {}", words::ago(at, home.time)),
        );
        notice("warn", &format!("{} does not answer: {since}.", device.name))
    });
    let clock = match &home.clock {
        ClockHealth::Trusted => None,
        ClockHealth::Doubtful(why) => Some(notice("warn", &format!("The clock may be wrong: {why}."))),
    };
    let link = home.link.connected_since.is_none().then(|| {
        notice(
            "warn",
            "There is no connection to the engine. Nothing is lost: what was measured waits here.",
        )
    });
    devices.chain(clock).chain(link).collect()
}

fn battery_card(battery: &BatteryState, power: &PowerFlows) -> Html {
    let charge = battery
        .state_of_charge
        .map_or_else(|| words::UNKNOWN.to_owned(), words::percent);
    let doing = match (power.battery_charge, power.battery_discharge) {
        (Some(p), _) if p.get() >= 20_000 => format!("charging with {}", words::power(p)),
        (_, Some(p)) if p.get() >= 20_000 => format!("giving {}", words::power(p)),
        (None, None) => "not answering".to_owned(),
        _ => "resting".to_owned(),
    };
    let capacity = battery
        .capacity
        .map(|c| html!(" It holds " (words::energy(c)) " when full."));
    card(
        "Battery",
        html!(
            "<p class=\"big\">" (charge) " <small>" (doing) "</small></p>" [gauge(battery)]
            "<p class=\"muted\">Events never take it below " (words::percent(battery.reserve))
            ": that reserve is yours." [capacity] "</p>"
        ),
    )
}

/// The charge as a bar of 1000 parts, with the reserve marked.
fn gauge(battery: &BatteryState) -> Html {
    let parts = |thousandths: u32| thousandths.min(100_000) / 100;
    let filled = parts(battery.state_of_charge.unwrap_or(0));
    html!(
        "<svg class=\"gauge\" viewBox=\"0 0 1000 60\" preserveAspectRatio=\"none\" aria-hidden=\"true\">"
        "<rect class=\"empty\" width=\"1000\" height=\"60\"/><rect class=\"full\" width=\"" (filled) "\" height=\"60\"/>"
        "<rect class=\"reserve\" width=\"" (parts(battery.reserve)) "\" height=\"60\"/></svg>"
    )
}

/// Whether everything is well, for the title of the system page.
#[must_use]
pub fn all_is_well(home: &HomeState) -> bool {
    home.devices.iter().all(|d| d.reachable && d.complaint.is_none())
        && home.link.connected_since.is_some()
        && home.clock == ClockHealth::Trusted
}

/// The tiles of a sum.
#[must_use]
pub fn tiles(items: &[(&str, String, &'static str)]) -> Html {
    let figures: Html = items
        .iter()
        .map(|(label, value, class)| figure(label, value, class))
        .collect();
    html!("<dl class=\"figures\">" [figures] "</dl>")
}
