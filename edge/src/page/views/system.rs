//! The machinery: devices, link, outbox, clock.

use super::View;
use super::layout::{Tab, card, page};
use super::now::all_is_well;
use crate::page::html::{Html, html};
use crate::page::state::{ClockHealth, DeviceRole, DeviceState, HomeState};
use crate::page::words;

/// The page.
#[must_use]
pub fn system(view: View<'_>) -> Html {
    let home = view.home;
    let headline = if all_is_well(home) {
        "All is well"
    } else {
        "Something needs a look"
    };
    let devices: Html = home.devices.iter().map(|d| device(view, d)).collect();
    let main = html!(
        "<h1>" (headline) "</h1><div class=\"columns\"><div>" [card("Devices", html!("<ul class=\"lines\">" [devices] "</ul>"))]
        "</div><div>" [card("Connection", connection(view))] [card("Waiting to be delivered", outbox(home))]
        [card("This box", this_box(view))] "</div></div>"
    );
    page(Tab::System, "System", main)
}

fn device(view: View<'_>, device: &DeviceState) -> Html {
    let role = match device.role {
        DeviceRole::GridMeter => "grid meter",
        DeviceRole::Solar => "solar inverter",
        DeviceRole::Battery => "battery",
        DeviceRole::Other => "device",
    };
    let (class, word) = if device.reachable {
        ("yes", "Answers")
    } else {
        ("no", "Does not answer")
    };
    let seen = device
        .last_seen
        .map(|at| html!(" · last good value "(words::ago(at, view.home.time))));
    let complaint = device
        .complaint
        .as_ref()
        .map(|text| html!("<br><span class=\"complaint\">" (text) "</span>"));
    html!(
        "<li><strong>" (device.name) "</strong> <span class=\"muted\">" (role) [seen] "</span><br>"
        "<span class=\"chip " (class) "\">" (word) "</span>" [complaint] "</li>"
    )
}

fn connection(view: View<'_>) -> Html {
    let (home, link) = (view.home, &view.home.link);
    let state = match link.connected_since {
        Some(since) => {
            html!("<p><span class=\"chip yes\">Connected</span> since " (words::time(since, home.time, view.zone)) "</p>")
        }
        None => html!(
            "<p><span class=\"chip no\">Not connected</span> " (link.complaint.as_deref().unwrap_or_default()) "</p>"
        ),
    };
    let receipt = home
        .last_receipt
        .map_or_else(|| "none yet".to_owned(), |at| words::ago(at, home.time));
    html!(
        [state] "<dl class=\"pairs\"><div><dt>Broker</dt><dd>" (link.broker) "</dd></div>"
        "<div><dt>Last receipt of the engine</dt><dd>" (receipt) "</dd></div></dl>"
    )
}

fn outbox(home: &HomeState) -> Html {
    let outbox = &home.outbox;
    let oldest = outbox
        .oldest
        .map(|at| html!("<div><dt>Oldest</dt><dd>" (words::ago(at, home.time)) "</dd></div>"));
    html!(
        "<p class=\"big\">" (outbox.messages) " <small>" (if outbox.messages == 1 { "message" } else { "messages" }) "</small></p>"
        "<p class=\"muted\">A message is kept until the engine has signed that it has it.</p>"
        "<dl class=\"pairs\">" [oldest] "<div><dt>On the disk</dt><dd>" (words::bytes(outbox.bytes)) "</dd></div></dl>"
    )
}

fn this_box(view: View<'_>) -> Html {
    let home = view.home;
    let clock = match &home.clock {
        ClockHealth::Trusted => "synchronised",
        ClockHealth::Doubtful(why) => why,
    };
    html!(
        "<dl class=\"pairs\"><div><dt>Clock</dt><dd>" (clock) "</dd></div><div><dt>Time zone</dt><dd>" (view.zone.name()) "</dd></div>"
        "<div><dt>Identity</dt><dd><code>" (home.gateway) "</code></dd></div></dl>"
        "<form method=\"post\" action=\"/sign-out\"><input type=\"hidden\" name=\"token\" value=\"" (view.form_token) "\">"
        "<button class=\"quiet\">Sign out</button></form>"
    )
}
