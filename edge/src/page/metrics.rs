//! The home for Prometheus, in its text format 0.0.4.
//!
//! Names follow its conventions: base units (watts, joules, bytes, seconds, ratios), `_total` for what only
//! grows. What is not known has no sample: an absent series says more than a zero. No secrets, no names but
//! those of devices.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use gridtally_protocol::quantity::{MilliwattHours, Milliwatts};
use gridtally_protocol::time::Timestamp;

use super::state::{ClockHealth, Decision, HomeState};

/// The content type of the format.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";
/// How many series others may register: more would be a label that is made of something unbounded.
const SERIES_MAX: usize = 1024;

/// The help of a name, and its counters by their labels.
type Family = (&'static str, BTreeMap<String, Arc<AtomicU64>>);

/// Counters that other parts of the agent keep.
#[derive(Debug, Default)]
pub struct Registry {
    families: Mutex<BTreeMap<&'static str, Family>>,
}

impl Registry {
    /// A counter, `name` without its `_total`; the same one for the same name and labels.
    ///
    /// Past the bound on series it is one that nobody sees.
    pub fn counter(&self, name: &'static str, help: &'static str, labels: &[(&str, &str)]) -> Arc<AtomicU64> {
        let mut families = self.families.lock().unwrap_or_else(PoisonError::into_inner);
        let count: usize = families.values().map(|(_, series)| series.len()).sum();
        let (_, series) = families.entry(name).or_insert_with(|| (help, BTreeMap::new()));
        let labels = render_labels(labels);
        if let Some(counter) = series.get(&labels) {
            return Arc::clone(counter);
        }
        let counter = Arc::<AtomicU64>::default();
        if count < SERIES_MAX {
            series.insert(labels, Arc::clone(&counter));
        }
        counter
    }
}

/// Everything as text.
#[must_use]
pub fn render(home: &HomeState, registry: &Registry) -> String {
    let mut out = Page(String::with_capacity(8 * 1024));
    powers(&mut out, home);
    energies(&mut out, home);
    battery(&mut out, home);
    delivery(&mut out, home);
    earned(&mut out, home);
    let up: Vec<_> = home
        .devices
        .iter()
        .map(|d| {
            (
                render_labels(&[("device", &d.name)]),
                u8::from(d.reachable).to_string(),
            )
        })
        .collect();
    out.family("gridtally_device_up", "gauge", "Whether the device answers.", &up);
    let seen: Vec<_> = home
        .devices
        .iter()
        .filter_map(|d| {
            Some((
                render_labels(&[("device", &d.name)]),
                d.last_seen?.unix().to_string(),
            ))
        })
        .collect();
    out.family(
        "gridtally_device_last_seen_timestamp_seconds",
        "gauge",
        "When the device last gave a good value.",
        &seen,
    );
    let families = registry.families.lock().unwrap_or_else(PoisonError::into_inner);
    for (name, (help, series)) in families.iter() {
        let samples: Vec<_> = series
            .iter()
            .map(|(labels, count)| (labels.clone(), count.load(Ordering::Relaxed).to_string()))
            .collect();
        out.family(&format!("{name}_total"), "counter", help, &samples);
    }
    out.0
}

fn powers(out: &mut Page, home: &HomeState) {
    let p = &home.power;
    for (name, help, value) in [
        (
            "gridtally_grid_import_watts",
            "Power bought from the grid.",
            p.grid_import,
        ),
        (
            "gridtally_grid_export_watts",
            "Power sent to the grid.",
            p.grid_export,
        ),
        ("gridtally_solar_watts", "Power of the roof.", p.solar),
        (
            "gridtally_battery_charge_watts",
            "Power into the battery.",
            p.battery_charge,
        ),
        (
            "gridtally_battery_discharge_watts",
            "Power out of the battery.",
            p.battery_discharge,
        ),
        ("gridtally_house_watts", "Power that the house uses.", p.house()),
    ] {
        out.one(
            name,
            "gauge",
            help,
            value.map(|p| decimal(i128::from(Milliwatts::get(p)), 3)),
        );
    }
}

fn energies(out: &mut Page, home: &HomeState) {
    // A milliwatt-hour is 3.6 J.
    let joules = |e: MilliwattHours| decimal(i128::from(e.get()).saturating_mul(36), 1);
    let e = &home.totals;
    for (name, help, value) in [
        (
            "gridtally_grid_import_joules_total",
            "Energy bought from the grid.",
            e.grid_import,
        ),
        (
            "gridtally_grid_export_joules_total",
            "Energy sent to the grid.",
            e.grid_export,
        ),
        ("gridtally_solar_joules_total", "Energy of the roof.", e.solar),
        (
            "gridtally_battery_charge_joules_total",
            "Energy into the battery.",
            e.battery_charge,
        ),
        (
            "gridtally_battery_discharge_joules_total",
            "Energy out of the battery.",
            e.battery_discharge,
        ),
    ] {
        out.one(name, "counter", help, value.map(joules));
    }
}

fn battery(out: &mut Page, home: &HomeState) {
    // Thousandths of a percent are hundred-thousandths of the whole.
    let ratio = |thousandths: u32| decimal(i128::from(thousandths), 5);
    let battery = home.battery.as_ref();
    let charge = battery.and_then(|b| b.state_of_charge).map(ratio);
    out.one(
        "gridtally_battery_state_of_charge_ratio",
        "gauge",
        "Charge of the battery, 0 to 1.",
        charge,
    );
    let reserve = battery.map(|b| ratio(b.reserve));
    out.one(
        "gridtally_battery_reserve_ratio",
        "gauge",
        "Charge below which no event takes the battery.",
        reserve,
    );
}

fn delivery(out: &mut Page, home: &HomeState) {
    let flag = |is: bool| Some(u8::from(is).to_string());
    let at = |at: Option<Timestamp>| at.map(|at| at.unix().to_string());
    let taking_part = home
        .current_event
        .as_ref()
        .is_some_and(|event| matches!(event.decision, Decision::TakesPart(_)));
    for (name, help, value) in [
        (
            "gridtally_event_active",
            "Whether an event runs in which the home takes part.",
            flag(taking_part),
        ),
        (
            "gridtally_opted_out",
            "Whether the owner has opted out.",
            flag(home.opt_out.is_some()),
        ),
        (
            "gridtally_link_up",
            "Whether the broker of the engine is connected.",
            flag(home.link.connected_since.is_some()),
        ),
        (
            "gridtally_clock_trusted",
            "Whether the clock can be trusted.",
            flag(home.clock == ClockHealth::Trusted),
        ),
        (
            "gridtally_outbox_messages",
            "Messages without a receipt of the engine.",
            Some(home.outbox.messages.to_string()),
        ),
        (
            "gridtally_outbox_bytes",
            "Size of the outbox on the disk.",
            Some(home.outbox.bytes.to_string()),
        ),
        (
            "gridtally_outbox_oldest_timestamp_seconds",
            "When the oldest waiting message was made.",
            at(home.outbox.oldest),
        ),
        (
            "gridtally_last_receipt_timestamp_seconds",
            "When the engine last signed that it has a report.",
            at(home.last_receipt),
        ),
        (
            "gridtally_state_timestamp_seconds",
            "When these values were taken.",
            at(Some(home.time)),
        ),
    ] {
        out.one(name, "gauge", help, value);
    }
}

fn earned(out: &mut Page, home: &HomeState) {
    let totals: Vec<_> = home
        .earned
        .totals
        .iter()
        .filter_map(|(asset, total)| {
            let labels = render_labels(&[("asset", asset.code())]);
            Some((labels, asset.show((*total)?)))
        })
        .collect();
    out.family(
        "gridtally_earned_tokens",
        "gauge",
        "What the engine's statements that are kept say was earned, in whole tokens.",
        &totals,
    );
    let count = home.earned.statements.len();
    out.one(
        "gridtally_statements",
        "gauge",
        "Settled events whose statement is kept.",
        Some(count.to_string()),
    );
}

struct Page(String);

impl Page {
    fn one(&mut self, name: &str, kind: &str, help: &str, value: Option<String>) {
        let samples: Vec<_> = value.into_iter().map(|value| (String::new(), value)).collect();
        self.family(name, kind, help, &samples);
    }

    fn family(&mut self, name: &str, kind: &str, help: &str, samples: &[(String, String)]) {
        if samples.is_empty() {
            return;
        }
        // Writing to a `String` does not fail.
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
        for (labels, value) in samples {
            let _ = writeln!(self.0, "{name}{labels} {value}");
        }
    }
}

/// `{a="b",c="d"}`, escaped.
fn render_labels(labels: &[(&str, &str)]) -> String {
    if labels.is_empty() {
        return String::new();
    }
    let pairs: Vec<_> = labels
        .iter()
        .map(|(name, value)| {
            let value = value
                .replace('\\', "\\\\")
                .replace('"', "\\\"")
                .replace('\n', "\\n");
            format!("{name}=\"{value}\"")
        })
        .collect();
    format!("{{{}}}", pairs.join(","))
}

/// An integer of `10^-decimals` as a decimal, exactly.
fn decimal(value: i128, decimals: usize) -> String {
    let digits = format!(
        "{:0>width$}",
        value.unsigned_abs(),
        width = decimals.saturating_add(1)
    );
    let (whole, fraction) = digits.split_at(digits.len().saturating_sub(decimals));
    let sign = if value < 0 { "-" } else { "" };
    format!("{sign}{whole}.{fraction}")
}

#[cfg(test)]
#[path = "metrics_tests.rs"]
mod tests;
