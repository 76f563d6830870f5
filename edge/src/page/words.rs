//! Quantities and times as a person reads them. Rounded for the eye; nothing is computed from them.

use gridtally_protocol::quantity::{MilliwattHours, Milliwatts};
use gridtally_protocol::time::Timestamp;

use super::state::EventTarget;
use crate::config::Zone;
use crate::history::days::local;

/// What stands where a value is not known.
pub const UNKNOWN: &str = "–";

/// `640 W`, `2.4 kW`.
#[must_use]
pub fn power(power: Milliwatts) -> String {
    scaled(power.get(), "W", "kW")
}

/// `640 W`, `2.4 kW`, or a dash.
#[must_use]
pub fn power_or_dash(value: Option<Milliwatts>) -> String {
    value.map_or_else(|| UNKNOWN.to_owned(), power)
}

/// `640 Wh`, `2.4 kWh`, `312 kWh`.
#[must_use]
pub fn energy(energy: MilliwattHours) -> String {
    scaled(energy.get(), "Wh", "kWh")
}

/// `4.83 kWh`: every digit, as a statement has it.
#[must_use]
pub fn exact_energy(energy: MilliwattHours) -> String {
    format!("{} kWh", exact_kwh(energy))
}

/// `4.83`: every digit, where the unit stands elsewhere.
#[must_use]
pub fn exact_kwh(energy: MilliwattHours) -> String {
    let digits = energy.to_string();
    let digits = digits.trim_end_matches('0').trim_end_matches('.');
    digits.replace('-', "−")
}

/// `640 Wh`, `2.4 kWh`, `312 kWh`, or a dash.
#[must_use]
pub fn energy_or_dash(value: Option<MilliwattHours>) -> String {
    value.map_or_else(|| UNKNOWN.to_owned(), energy)
}

/// `73 %` of thousandths of a percent.
#[must_use]
pub fn percent(thousandths: u32) -> String {
    format!("{} %", thousandths.saturating_add(500) / 1000)
}

/// `12 KiB`, `3.4 MiB`.
#[must_use]
pub fn bytes(bytes: u64) -> String {
    const MIB: u64 = 1024 * 1024;
    if bytes < MIB {
        return format!("{} KiB", bytes.div_ceil(1024));
    }
    let tenths = bytes.saturating_mul(10) / MIB;
    format!("{}.{} MiB", tenths / 10, tenths % 10)
}

/// Thousandths, rounded half away from zero: below a thousand whole, above in thousands.
fn scaled(thousandths: i64, unit: &str, kilo_unit: &str) -> String {
    let magnitude = thousandths.unsigned_abs();
    let whole = magnitude.saturating_add(500) / 1000;
    let minus = if thousandths < 0 && whole > 0 { "−" } else { "" };
    if whole < 1000 {
        return format!("{minus}{whole} {unit}");
    }
    let tenths = whole.saturating_add(50) / 100;
    if tenths < 1000 {
        return format!("{minus}{}.{} {kilo_unit}", tenths / 10, tenths % 10);
    }
    format!("{minus}{} {kilo_unit}", whole.saturating_add(500) / 1000)
}

/// `17:05`, or `Thu 9 Apr, 17:05` where it is another day than `now`.
#[must_use]
pub fn time(at: Timestamp, now: Timestamp, zone: &Zone) -> String {
    let (at, now) = (local(at, zone), local(now, zone));
    let form = if at.date() == now.date() {
        "%H:%M"
    } else {
        "%a %-d %b, %H:%M"
    };
    at.format(form).to_string()
}

/// `17:00 to 19:00`, with the day where it is another one.
#[must_use]
pub fn span(start: Timestamp, end: Timestamp, now: Timestamp, zone: &Zone) -> String {
    format!("{} to {}", time(start, now, zone), time(end, start, zone))
}

/// `just now`, `5 minutes ago`, `3 hours ago`, `2 days ago`.
#[must_use]
pub fn ago(at: Timestamp, now: Timestamp) -> String {
    let seconds = now.seconds_since(at);
    let (count, unit) = match seconds {
        ..60 => return "just now".to_owned(),
        60..3600 => (seconds / 60, "minute"),
        3600..86_400 => (seconds / 3600, "hour"),
        _ => (seconds / 86_400, "day"),
    };
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {unit}{plural} ago")
}

/// What an event asks for, as a request.
#[must_use]
pub fn target(target: EventTarget) -> String {
    match target {
        EventTarget::Discharge(p) => format!("Give {} from the battery", power(p)),
        EventTarget::Charge(p) => format!("Charge the battery with {}", power(p)),
        EventTarget::ImportLimit(p) => format!("Take at most {} from the grid", power(p)),
        EventTarget::ExportLimit(p) => format!("Send at most {} to the grid", power(p)),
        EventTarget::ChargeTo(soc) => format!("Have the battery at {} at the end", percent(soc)),
        EventTarget::Simple(0) => "Carry on as normal".to_owned(),
        EventTarget::Simple(level) => format!("Ease the load on the grid, level {level} of 3"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn quantities_are_short_and_rounded_to_the_nearest() {
        let shown = |w: i64| power(Milliwatts::new(w));
        assert_eq!(shown(0), "0 W");
        assert_eq!(shown(-400), "0 W");
        assert_eq!(shown(639_500), "640 W");
        assert_eq!(shown(999_499), "999 W");
        assert_eq!(shown(999_500), "1.0 kW");
        assert_eq!(shown(-2_449_000), "−2.4 kW");
        assert_eq!(shown(99_949_000), "99.9 kW");
        assert_eq!(shown(99_950_000), "100 kW");
        assert_eq!(energy(MilliwattHours::new(312_400_000)), "312 kWh");
        assert_eq!(exact_energy(MilliwattHours::new(4_830_001)), "4.830001 kWh");
        assert_eq!(exact_energy(MilliwattHours::new(-10_000_000)), "−10 kWh");
        assert_eq!(exact_energy(MilliwattHours::ZERO), "0 kWh");
        assert_eq!(percent(72_500), "73 %");
        assert_eq!(
            (bytes(1), bytes(3_600_000)),
            ("1 KiB".to_owned(), "3.4 MiB".to_owned())
        );
    }

    #[test]
    fn times_are_local_and_name_the_day_where_it_is_another() {
        let zone = &Zone::load("Europe/Berlin").unwrap();
        let now: Timestamp = "2026-04-09T21:30:00Z".parse().unwrap();
        assert_eq!(time(now, now, zone), "23:30");
        let end = now.checked_add(3600).unwrap();
        assert_eq!(span(now, end, now, zone), "23:30 to Fri 10 Apr, 00:30");
        assert_eq!(ago(now, end), "1 hour ago");
        assert_eq!(ago(end, now), "just now");
    }

    proptest! {
        #[test]
        fn every_value_has_words(value in any::<i64>(), other in any::<u64>()) {
            prop_assert!(power(Milliwatts::new(value)).len() < 32);
            prop_assert!(bytes(other).len() < 32);
        }
    }
}
