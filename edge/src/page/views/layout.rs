//! What is around every page.

use crate::page::html::{Html, html};

/// The pages that the navigation leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tab {
    /// What flows now.
    Now,
    /// The charts.
    Energy,
    /// Events and the opt-out.
    Events,
    /// What was earned.
    Earnings,
    /// Devices, link, outbox.
    System,
}

/// A page of somebody who is signed in.
#[must_use]
pub fn page(tab: Tab, title: &str, main: Html) -> Html {
    let item = |this: Tab, path: &'static str, name: &'static str, icon: Html| {
        let current = (this == tab).then(|| html!(" aria-current=\"page\""));
        html!("<li><a href=\"" (path) "\"" [current] ">" [icon] "<span>" (name) "</span></a></li>")
    };
    let items: Html = [
        item(Tab::Now, "/", "Now", icon_now()),
        item(Tab::Energy, "/energy", "Energy", icon_energy()),
        item(Tab::Events, "/events", "Events", icon_events()),
        item(Tab::Earnings, "/earnings", "Earnings", icon_earnings()),
        item(Tab::System, "/system", "System", icon_system()),
    ]
    .into_iter()
    .collect();
    let nav = html!("<nav aria-label=\"Main\"><ul>" [items] "</ul></nav>");
    frame(title, nav, main)
}

/// A page of somebody who is not.
#[must_use]
pub fn outside(title: &str, main: Html) -> Html {
    frame(
        title,
        Html::new(),
        html!("<div class=\"narrow\">" [main] "</div>"),
    )
}

fn frame(title: &str, nav: Html, main: Html) -> Html {
    html!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">"
        "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1, viewport-fit=cover\">"
        "<meta name=\"color-scheme\" content=\"light dark\">"
        "<title>" (title) " · Gridtally</title>"
        "<link rel=\"icon\" href=\"/icon.svg\" type=\"image/svg+xml\"><link rel=\"stylesheet\" href=\"/style.css\">"
        "<script src=\"/refresh.js\" defer></script></head><body>"
        "<a class=\"skip\" href=\"#main\">Skip to the content</a>"
        "<header><a class=\"brand\" href=\"/\">" [mark()] "Gridtally</a>" [nav] "</header>"
        "<main id=\"main\">" [main] "</main></body></html>"
    )
}

fn mark() -> Html {
    html!(
        "<svg viewBox=\"0 0 24 24\" width=\"24\" height=\"24\" aria-hidden=\"true\">"
        "<path class=\"mark\" d=\"M12 2 2.5 10v11.5h19V10z\"/><path class=\"mark-cut\" d=\"M13 7 8.5 14H12l-1 5 4.5-7H12z\"/></svg>"
    )
}

fn icon(path: Html) -> Html {
    html!("<svg class=\"icon\" viewBox=\"0 0 24 24\" aria-hidden=\"true\">" [path] "</svg>")
}

fn icon_now() -> Html {
    icon(html!("<path d=\"M13 3 6 13h5l-1 8 8-11h-5z\"/>"))
}

fn icon_energy() -> Html {
    icon(html!("<path d=\"M5 20v-7M10 20V5M15 20v-9M20 20V9\"/>"))
}

fn icon_events() -> Html {
    icon(html!(
        "<path d=\"M4 6h16v14H4zM4 10.5h16M8.5 3.5V8M15.5 3.5V8\"/>"
    ))
}

fn icon_earnings() -> Html {
    icon(html!(
        "<circle cx=\"12\" cy=\"12\" r=\"8.5\"/><path d=\"M12 7.5v9M9 9.5h4.5a1.5 1.5 0 0 1 0 3h-3a1.5 1.5 0 0 0 0 3H15\"/>"
    ))
}

fn icon_system() -> Html {
    icon(html!(
        "<path d=\"M4 7h10M18 7h2M4 17h2M10 17h10\"/><circle cx=\"16\" cy=\"7\" r=\"2\"/><circle cx=\"8\" cy=\"17\" r=\"2\"/>"
    ))
}

/// A card with a heading.
#[must_use]
pub fn card(heading: &'static str, content: Html) -> Html {
    html!("<section class=\"card\"><h2>" (heading) "</h2>" [content] "</section>")
}

/// A card that comes after the others on a narrow screen.
#[must_use]
pub fn later_card(heading: &'static str, content: Html) -> Html {
    html!("<section class=\"card later\"><h2>" (heading) "</h2>" [content] "</section>")
}

/// A number that one sees from across the room.
#[must_use]
pub fn figure(label: &str, value: &str, class: &'static str) -> Html {
    html!("<div class=\"figure\"><dt><i class=\"dot " (class) "\"></i>" (label) "</dt><dd>" (value) "</dd></div>")
}
