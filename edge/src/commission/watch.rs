//! Samples of the home while a device is tried.

use std::collections::VecDeque;

use gridtally_protocol::channel::{DeviceNumber, Quantity};
use gridtally_protocol::quantity::Milliwatts;
use gridtally_protocol::time::Timestamp;

use super::judge::median;
use crate::config::{DeviceConfig, DeviceKind};
use crate::device::reading::Count;
use crate::device::{Device, Hand, Observed, Snapshot};

/// The median is of so many samples at most.
const WINDOW: usize = 5;

/// What the home showed at one instant.
#[derive(Debug, Clone, Default)]
pub(super) struct Sample {
    /// The power that is tried.
    pub(super) power: Option<Milliwatts>,
    /// At the grid connection.
    pub(super) grid: Option<Milliwatts>,
    /// The grid and all sources but the one that is tried: what has to give way when that gives more.
    pub(super) rest: Option<Milliwatts>,
    /// Of the battery, in thousandths of a percent.
    pub(super) charge: Option<i64>,
    /// Which device it is in truth, as it says.
    pub(super) fingerprint: Option<u64>,
    /// Why nothing of it counts, where that is so.
    pub(super) complaint: Option<String>,
    /// All counters.
    counters: Vec<(DeviceNumber, Quantity, Count)>,
}

impl Sample {
    /// A counter of a device.
    pub(super) fn counter(&self, device: DeviceNumber, quantity: Quantity) -> Option<Count> {
        self.counters
            .iter()
            .find(|(of, what, _)| (*of, *what) == (device, quantity))
            .map(|(_, _, count)| *count)
    }
}

/// Reads all devices at once, as the agent does; the one that is tried has number `tried`.
pub(super) async fn look(devices: &mut [Device], tried: DeviceNumber, hand: Hand, now: Timestamp) -> Sample {
    let observing: Vec<_> = devices
        .iter_mut()
        .map(|device| device.observe(now, true))
        .collect();
    let mut snapshots = Vec::with_capacity(observing.len());
    for device in observing {
        snapshots.push(device.finish().await);
    }
    let shown = devices.iter().map(Device::config).zip(&snapshots);
    sample(shown, tried, hand)
}

fn sample<'a>(
    shown: impl Iterator<Item = (&'a DeviceConfig, &'a Snapshot)>,
    tried: DeviceNumber,
    hand: Hand,
) -> Sample {
    let mut sample = Sample::default();
    let mut others: i64 = 0;
    for (
        config,
        Snapshot {
            channels,
            live,
            complaint,
        },
    ) in shown
    {
        let is_tried = config.number == tried;
        let battery = live.battery.filter(|_| config.kind.has_battery());
        let has_panels = matches!(config.kind, DeviceKind::PvInverter | DeviceKind::HybridInverter);
        let panels = live.pv.filter(|_| has_panels);
        if config.kind == DeviceKind::GridMeter {
            sample.grid = sample.grid.or(live.grid);
        }
        let (mut given, mut rest) = (None, [battery, panels]);
        if is_tried {
            (given, rest) = match hand {
                Hand::Battery => (battery, [None, panels]),
                Hand::Production => (panels, [battery, None]),
            };
            sample.charge = live.charge;
            sample.complaint.clone_from(complaint);
        }
        sample.power = sample.power.or(given);
        for power in rest.into_iter().flatten() {
            others = others.saturating_add(power.get());
        }
        for (channel, observed) in channels {
            if let Ok(Observed::Counter(counter)) = observed {
                sample
                    .counters
                    .push((channel.device, channel.quantity, counter.count));
                if is_tried {
                    sample.fingerprint = sample.fingerprint.or(counter.device);
                }
            }
        }
    }
    sample.rest = sample
        .grid
        .map(|grid| Milliwatts::new(grid.get().saturating_add(others)));
    sample
}

/// The latest samples.
#[derive(Debug, Clone, Default)]
pub(super) struct Window(VecDeque<Sample>);

impl Window {
    pub(super) fn push(&mut self, sample: Sample) {
        if self.0.len() == WINDOW {
            self.0.pop_front();
        }
        self.0.push_back(sample);
    }

    pub(super) fn is_full(&self) -> bool {
        self.0.len() == WINDOW
    }

    pub(super) fn power(&self) -> Option<Milliwatts> {
        median(self.0.iter().filter_map(|sample| sample.power))
    }

    pub(super) fn rest(&self) -> Option<Milliwatts> {
        median(self.0.iter().filter_map(|sample| sample.rest))
    }

    pub(super) fn last(&self) -> Option<&Sample> {
        self.0.back()
    }
}
