//! The power that flows now, as a picture: roof, grid, house and battery around a crossing.

use gridtally_protocol::quantity::Milliwatts;

use crate::page::html::{Html, html};
use crate::page::state::HomeState;
use crate::page::words;

/// Less than this is the noise of measuring: no flow.
const NOISE: Milliwatts = Milliwatts::new(20_000);

/// Which way power goes between a place and the crossing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    In,
    Out,
    None,
}

/// The picture.
#[must_use]
pub fn flow(home: &HomeState) -> Html {
    let power = &home.power;
    let (grid, grid_way) = net(power.grid_import, power.grid_export);
    let (battery, battery_way) = net(power.battery_discharge, power.battery_charge);
    let (solar, solar_way) = net(power.solar, None);
    let (house, house_way) = net(None, power.house());
    let has_battery = battery.is_some() || home.battery.is_some();
    let grid_label = match grid_way {
        Way::In => "From the grid",
        Way::Out => "To the grid",
        Way::None => "Grid",
    };
    let charge = home.battery.as_ref().and_then(|b| b.state_of_charge);
    let battery_label = charge.map_or_else(
        || "Battery".to_owned(),
        |c| format!("Battery {}", words::percent(c)),
    );
    let battery_node = has_battery.then(|| {
        html!(
            [line(
                "battery",
                battery_way,
                html!("M180 216V150"),
                html!("M180 150V216")
            )][node(
                "battery",
                html!("translate(180 256)"),
                battery_icon(),
                battery,
                &battery_label,
                html!("y=\"62\"")
            )]
        )
    });
    html!(
        "<svg class=\"flow\" viewBox=\"0 0 360 326\" role=\"img\" aria-labelledby=\"flow-words\">"
        "<title id=\"flow-words\">" (sentence(home)) "</title>"
        [line("solar", solar_way, html!("M180 92V150"), html!("M180 150V92"))]
        [line("grid", grid_way, html!("M92 150H180"), html!("M180 150H92"))]
        [line("house", house_way, html!("M268 150H180"), html!("M180 150H268"))]
        [node("solar", html!("translate(180 52)"), solar_icon(), solar, "Roof", html!("x=\"50\" y=\"-18\" class=\"side\""))]
        [node("grid", html!("translate(52 150)"), grid_icon(), grid, grid_label, html!("y=\"62\""))]
        [node("house", html!("translate(308 150)"), house_icon(), house, "House", html!("y=\"62\""))]
        [battery_node]
        "<circle class=\"crossing\" cx=\"180\" cy=\"150\" r=\"6\"/></svg>"
    )
}

/// The magnitude, and the way it goes.
fn net(inward: Option<Milliwatts>, outward: Option<Milliwatts>) -> (Option<Milliwatts>, Way) {
    let (i, o) = (inward.unwrap_or_default(), outward.unwrap_or_default());
    if inward.is_none() && outward.is_none() {
        return (None, Way::None);
    }
    let (size, way) = if i >= o {
        (i.checked_sub(o), Way::In)
    } else {
        (o.checked_sub(i), Way::Out)
    };
    let size = size.unwrap_or_default();
    (Some(size), if size < NOISE { Way::None } else { way })
}

fn line(class: &'static str, way: Way, inward: Html, outward: Html) -> Html {
    let moving = match way {
        Way::None => return html!("<path class=\"wire\" d=\"" [inward] "\"/>"),
        Way::In => inward,
        Way::Out => outward,
    };
    html!(
        "<path class=\"wire on " (class) "\" d=\"" [moving.clone()] "\"/>"
        "<path class=\"pulse " (class) "\" d=\"" [moving] "\"/>"
    )
}

fn node(
    class: &'static str,
    place: Html,
    icon: Html,
    value: Option<Milliwatts>,
    label: &str,
    at: Html,
) -> Html {
    html!(
        "<g class=\"node " (class) "\" transform=\"" [place] "\"><circle r=\"40\"/>" [icon]
        "<text class=\"value\" y=\"20\">" (words::power_or_dash(value)) "</text>"
        "<text " [at] ">" (label) "</text></g>"
    )
}

fn solar_icon() -> Html {
    html!(
        "<path class=\"sign\" d=\"M-5-13a5 5 0 1 0 10 0 5 5 0 1 0-10 0M0-24v3M0-5v3M-11-13h3M8-13h3M-8-21l2 2M6-7l2 2M8-21l-2 2M-6-7l-2 2\"/>"
    )
}

fn grid_icon() -> Html {
    html!("<path class=\"sign\" d=\"M-9-2-3-24h6L9-2M-11-17h22M-7-9 4-17M7-9-4-17\"/>")
}

fn house_icon() -> Html {
    html!("<path class=\"sign\" d=\"M-12-12 0-23l12 11M-8-15v13H8v-13\"/>")
}

fn battery_icon() -> Html {
    html!("<path class=\"sign\" d=\"M-11-20H9v15h-20zM9-15h3v5H9M1-18l-5 6h5l-5 6\"/>")
}

/// The same in words, for the headline and for those who do not see the picture.
#[must_use]
pub fn sentence(home: &HomeState) -> String {
    let power = &home.power;
    let Some(house) = power.house() else {
        return "The meter does not answer, so the flows are not known".to_owned();
    };
    let above = |p: Option<Milliwatts>| p.filter(|p| *p >= NOISE);
    let mut sources = Vec::new();
    if let Some(p) = above(power.solar) {
        sources.push(format!("{} from the roof", words::power(p)));
    }
    if let Some(p) = above(power.battery_discharge) {
        sources.push(format!("{} from the battery", words::power(p)));
    }
    if let Some(p) = above(power.grid_import) {
        sources.push(format!("{} from the grid", words::power(p)));
    }
    let mut text = format!("The house uses {}", words::power(house));
    if !sources.is_empty() {
        text.push_str("; ");
        text.push_str(&sources.join(", "));
    }
    if let Some(p) = above(power.battery_charge) {
        text.push_str(&format!(", {} into the battery", words::power(p)));
    }
    if let Some(p) = above(power.grid_export) {
        text.push_str(&format!(", {} to the grid", words::power(p)));
    }
    text
}

/// What that means, in one line.
#[must_use]
pub fn headline(home: &HomeState) -> &'static str {
    let power = &home.power;
    let on = |p: Option<Milliwatts>| p.is_some_and(|p| p >= NOISE);
    if power.house().is_none() {
        return "The meter does not answer";
    }
    match (
        on(power.solar),
        on(power.battery_discharge),
        on(power.grid_import),
        on(power.grid_export),
    ) {
        (_, true, _, true) => "Your battery helps the grid",
        (true, _, false, true) => "Your roof has power to spare",
        (true, true, false, false) => "Roof and battery run your home",
        (true, false, false, false) => "Your roof runs your home",
        (false, true, false, false) => "Your battery runs your home",
        (true, _, true, _) => "Your roof helps along",
        (false, true, true, _) => "Your battery helps along",
        (false, false, true, _) => "Your home runs on the grid",
        (false, false, false, _) => "All is quiet",
    }
}
