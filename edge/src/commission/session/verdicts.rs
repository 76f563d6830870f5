//! What was measured under the command, as verdicts with their sentences.

use gridtally_protocol::channel::Quantity;
use gridtally_protocol::commission::{Failure, Step};
use gridtally_protocol::quantity::Milliwatts;

use super::{End, Session};
use crate::commission::direction::{Direction, direction, moved};
use crate::commission::judge::{Arrived, Shown, arrived, shown};
use crate::commission::outcome::Obstacle;
use crate::commission::time::Time;
use crate::commission::watch::{Sample, Window};
use crate::config::{DeviceConfig, DeviceKind};
use crate::device::Hand;
use crate::device::controls::Command;

/// A power below this has no direction that its counters would show.
pub(super) const DIRECTED: u64 = 100_000;

/// What was measured before, and while the command stood.
pub(super) struct Watched {
    pub(super) before: Window,
    pub(super) during: Window,
    /// The first and the last sample under the command.
    pub(super) first: Sample,
    pub(super) last: Sample,
    /// Whether power at the grid kept its direction: 1 for import, -1 for export, 0 where it turned.
    pub(super) grid_sign: i64,
}

impl<'s, T: Time> Session<'s, T> {
    pub(super) fn judge_device(
        &mut self,
        command: Command,
        told: Milliwatts,
        watched: &Watched,
    ) -> Result<(), End> {
        let power = watched.during.power().ok_or(Obstacle::Unmeasured)?;
        match shown(command, told, power) {
            Shown::Obeys => {
                let sentence = format!("the device obeys: {power} W");
                self.passed(Step::Observe, Some(power), &sentence);
                Ok(())
            }
            Shown::Opposite => {
                let was = watched.before.power().unwrap_or(Milliwatts::ZERO);
                let given = told.get().saturating_sub(was.get().saturating_neg());
                let cause = match arrived(given, watched.before.rest(), watched.during.rest()) {
                    Arrived::Yes(_) => {
                        "the meter shows that it obeys, so the sign of its own power is turned: mend it in its \
                         profile"
                    }
                    Arrived::Opposite(_) => {
                        "and so does the meter, so the command is turned: mend it in its profile"
                    }
                    Arrived::No(_) | Arrived::Unknown => {
                        "either its power or the command has a turned sign: mend it in its profile"
                    }
                };
                let sentence = format!("the device was told {told} W and shows {power} W; {cause}");
                Err(self.failed_at(Step::Observe, Failure::WrongSign, Some(power), &sentence))
            }
            Shown::Otherwise => {
                let sentence = format!(
                    "the device shows what it was told and does not do it: {power} W instead of {told} W; is its \
                     external control switched on?"
                );
                Err(self.failed_at(Step::Observe, Failure::DoesNotObey, Some(power), &sentence))
            }
        }
    }

    pub(super) fn judge_meter(&mut self, watched: &Watched) -> Result<(), End> {
        match change_at_meter(&watched.before, &watched.during) {
            Arrived::Yes(power) => {
                let sentence = format!("the meter at the grid connection shows it: {power} W of it arrived");
                self.passed(Step::Meter, Some(power), &sentence);
                Ok(())
            }
            Arrived::Unknown => {
                self.skipped(
                    Step::Meter,
                    "there is no meter at the grid connection that could show it",
                );
                Ok(())
            }
            Arrived::Opposite(power) => {
                let is_export = self.meter().is_some_and(|meter| meter.export_is_positive);
                let name = self.meter().map_or("", |meter| meter.name.as_str());
                let line = if is_export { "\"import\"" } else { "\"export\"" };
                let sentence = format!(
                    "the meter shows the opposite ({power} W): its power has the other sign; write positive_power \
                     = {line} in the [[device]] section of {name:?} and try again"
                );
                Err(self.failed_at(Step::Meter, Failure::WrongSign, Some(power), &sentence))
            }
            Arrived::No(power) => {
                let sentence = format!(
                    "the device says that it obeys, and at the meter {power} W of it arrived: either it does not \
                     do what it shows, or something large was switched in the house; try again while it is quiet"
                );
                Err(self.failed_at(Step::Meter, Failure::MeterDoesNotShow, Some(power), &sentence))
            }
        }
    }

    /// The meter at the grid connection, where there is one.
    fn meter(&self) -> Option<&'s DeviceConfig> {
        let devices = &self.config.devices;
        devices.iter().find(|device| device.kind == DeviceKind::GridMeter)
    }

    /// Compares the counters of the meter and of the battery with their powers.
    pub(super) fn judge_direction(&mut self, watched: &Watched) -> Result<(), End> {
        let between = |device, quantity| {
            moved(
                watched.first.counter(device, quantity)?,
                watched.last.counter(device, quantity)?,
            )
        };
        let judged = |device, sign: i64, [positive, negative]: [Quantity; 2]| {
            let (positive, negative) = (between(device, positive), between(device, negative));
            match sign {
                1.. => direction(positive, negative),
                0 => Direction::Undetermined,
                _ => direction(negative, positive),
            }
        };
        let mut seen = Vec::new();
        if let Some(meter) = self.meter().map(|meter| meter.number) {
            let counters = [Quantity::GridImport, Quantity::GridExport];
            match judged(meter, watched.grid_sign, counters) {
                Direction::Agrees => seen.push("the meter's counters"),
                Direction::Disagrees => {
                    let sentence = "the meter's counters move against its power: write counters_swapped = true in \
                                    its [[device]] section, or take it out where it stands, and try again";
                    return Err(self.failed(Step::Direction, Failure::WrongSign, sentence));
                }
                Direction::Undetermined => {}
            }
        }
        if self.subject.hand == Hand::Battery {
            let sign = watched.during.power().map_or(0, direction_of);
            let counters = [Quantity::BatteryDischarge, Quantity::BatteryCharge];
            match judged(self.subject.device, sign, counters) {
                Direction::Agrees => seen.push("the battery's counters"),
                Direction::Disagrees => {
                    let sentence = "the battery's counters move against its power: what it discharges would be \
                                    counted as charged; mend it in its profile";
                    return Err(self.failed(Step::Direction, Failure::WrongSign, sentence));
                }
                Direction::Undetermined => {}
            }
        }
        if seen.is_empty() {
            let sentence = "too little energy moved for the counters: their direction is not determined";
            self.skipped(Step::Direction, sentence);
        } else {
            let sentence = format!("{} move in the direction of the power", seen.join(" and "));
            self.passed(Step::Direction, None, &sentence);
        }
        Ok(())
    }
}

/// What of the device's change arrived at the meter.
pub(super) fn change_at_meter(before: &Window, during: &Window) -> Arrived {
    let (Some(was), Some(is)) = (before.power(), during.power()) else {
        return Arrived::Unknown;
    };
    let given = is.get().saturating_sub(was.get());
    arrived(given, before.rest(), during.rest())
}

/// 1 above zero, -1 below, 0 where the power is too small.
pub(super) const fn direction_of(power: Milliwatts) -> i64 {
    if power.get().unsigned_abs() < DIRECTED {
        0
    } else {
        power.get().signum()
    }
}
