//! What was found, for a person, for the config, for programs.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use gridtally_registers::profile::DeviceKind as Family;
use serde::Serialize;

use super::{Event, Find, guess};
use crate::config::{DEVICES_MAX, DeviceKind};
use crate::device::endpoint::Location;

/// The main fuse of most houses, 3 × 35 A: a bound of what a meter can show.
const METER_WATTS: &str = "24000";
/// What stands in a section until its owner has looked at the nameplate.
const UNKNOWN_WATTS: &str = "10000";

/// A device, with the other units that it answers to just the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// What it is.
    pub find: Find,
    /// The other units.
    pub also: Vec<u8>,
}

/// All that was found so far.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Report {
    /// The devices.
    pub found: Vec<Found>,
    /// What else is to be said.
    pub told: Vec<String>,
    /// How many places are done.
    pub done: usize,
}

impl Report {
    /// Takes an event in.
    pub fn take(&mut self, event: Event) {
        match event {
            Event::Found(find) => self.found.push(Found {
                find: *find,
                also: Vec::new(),
            }),
            Event::Also {
                endpoint,
                known,
                unit,
            } => {
                let mut found = self.found.iter_mut();
                if let Some(found) = found.find(|it| it.find.endpoint == endpoint && it.find.unit == known) {
                    found.also.push(unit);
                }
            }
            Event::Told(what) => self.told.push(what),
            Event::Done => self.done = self.done.saturating_add(1),
        }
    }

    /// Puts the devices in the order of their places, whichever answered first.
    pub fn sort(&mut self) {
        self.found.sort_by(|a, b| {
            let key = |found: &Found| (found.find.endpoint.clone(), found.find.unit);
            key(a).cmp(&key(b))
        });
        self.told.sort();
    }

    /// The devices in a table, and what else is to be said.
    #[must_use]
    pub fn table(&self) -> String {
        let mut rows =
            vec![["ADDRESS", "UNIT", "DEVICE", "SERIAL NUMBER", "WHAT", "MODELS"].map(str::to_owned)];
        rows.extend(self.found.iter().map(row));
        let mut widths = [0; 6];
        for row in &rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(cell.chars().count());
            }
        }
        let mut out = String::new();
        if self.found.is_empty() {
            out.push_str("No device was found.\n");
        } else {
            for row in &rows {
                let cells = row
                    .iter()
                    .zip(widths)
                    .map(|(cell, width)| format!("{cell:<width$}"));
                let _ = writeln!(out, "{}", cells.collect::<Vec<_>>().join("  ").trim_end());
            }
        }
        for what in &self.told {
            let _ = writeln!(out, "{what}");
        }
        out
    }

    /// `[[device]]` sections for `agent.toml`, numbered from `first`. What cannot stand beside another, or is
    /// not known well enough, is there as a comment.
    #[must_use]
    pub fn snippet(&self, first: u8) -> String {
        let mut out = String::from(
            "# Found by `gridtally edge scan`. Look at the names, the kinds and the nameplates.\n",
        );
        let mut names = BTreeSet::new();
        let (mut number, mut has_battery, mut count) = (first, false, 0);
        for section in self.found.iter().flat_map(sections) {
            let is_second_battery = section.kind.has_battery() && has_battery;
            let is_left_out = is_second_battery || section.is_perhaps || count >= DEVICES_MAX;
            let name = unique(&section.name, &mut names);
            let text = section.text(number, &name);
            out.push('\n');
            if is_second_battery {
                out.push_str("# A second battery: one agent moves one battery.\n");
            }
            for line in text.lines() {
                let _ = writeln!(out, "{}{line}", if is_left_out { "# " } else { "" });
            }
            if !is_left_out {
                has_battery |= section.kind.has_battery();
                number = number.saturating_add(1);
                count += 1;
            }
        }
        for found in self.found.iter().filter(|found| is_unknown(found)) {
            let _ = writeln!(
                out,
                "\n# {} unit {} answers, and what it is could not be seen.",
                found.find.endpoint, found.find.unit
            );
        }
        out
    }

    /// The devices as a JSON list.
    #[must_use]
    pub fn json(&self) -> String {
        let lines = self.found.iter().map(|found| {
            let find = &found.find;
            let profiles = find.families.iter().map(|family| Perhaps {
                profile: &family.profile,
                why: &family.why,
            });
            let line = Line {
                address: find.endpoint.to_string(),
                unit: find.unit,
                also_units: &found.also,
                base: find.base,
                maker: find.identity.maker.as_deref(),
                model: find.identity.model.as_deref(),
                version: find.identity.version.as_deref(),
                serial: find.identity.serial.as_deref(),
                models: &find.models,
                kinds: find.guess.kinds.iter().map(|kind| guess::word(*kind)).collect(),
                nameplate_watts: find.guess.nameplate.map(|watts| watts.normalize().to_string()),
                profiles: profiles.collect(),
            };
            serde_json::to_string(&line).unwrap_or_default()
        });
        format!("[\n{}\n]\n", lines.collect::<Vec<_>>().join(",\n"))
    }
}

#[derive(Serialize)]
struct Line<'f> {
    address: String,
    unit: u8,
    also_units: &'f [u8],
    base: Option<u16>,
    maker: Option<&'f str>,
    model: Option<&'f str>,
    version: Option<&'f str>,
    serial: Option<&'f str>,
    models: &'f [u16],
    kinds: Vec<&'static str>,
    nameplate_watts: Option<String>,
    profiles: Vec<Perhaps<'f>>,
}

#[derive(Serialize)]
struct Perhaps<'f> {
    profile: &'f str,
    why: &'f str,
}

fn is_unknown(found: &Found) -> bool {
    found.find.guess.kinds.is_empty() && found.find.families.is_empty()
}

fn row(found: &Found) -> [String; 6] {
    let find = &found.find;
    let mut unit = find.unit.to_string();
    if !found.also.is_empty() {
        let _ = write!(unit, " (+{})", found.also.len());
    }
    let what = if let [first, ..] = &find.families[..] {
        let others = find.families.len().saturating_sub(1);
        let more = if others > 0 {
            format!(" (or {others} more)")
        } else {
            String::new()
        };
        format!("perhaps {}{more}: {}", first.profile, first.why)
    } else if find.guess.kinds.is_empty() {
        match find.base {
            Some(_) => "no meter and no inverter".to_owned(),
            None => "answers, with no map that is known here".to_owned(),
        }
    } else {
        let kinds: Vec<&str> = find.guess.kinds.iter().map(|kind| guess::word(*kind)).collect();
        let watts = find
            .guess
            .nameplate
            .map(|watts| format!(", {} W", watts.normalize()));
        format!("{}{}", kinds.join(" and "), watts.unwrap_or_default())
    };
    let models: Vec<String> = find.models.iter().map(u16::to_string).collect();
    [
        find.endpoint.to_string(),
        unit,
        device(find),
        find.identity.serial.clone().unwrap_or_default(),
        what,
        models.join(" "),
    ]
}

fn device(find: &Find) -> String {
    let parts = [&find.identity.maker, &find.identity.model];
    let parts: Vec<&str> = parts.into_iter().filter_map(|part| part.as_deref()).collect();
    parts.join(" ")
}

/// A `[[device]]` section.
struct Section {
    name: String,
    kind: DeviceKind,
    address: String,
    base: Option<u16>,
    profile: Option<String>,
    watts: Option<String>,
    notes: Vec<String>,
    is_perhaps: bool,
}

/// The sections of one find: one for each of its kinds, or for each profile that perhaps fits.
fn sections(found: &Found) -> Vec<Section> {
    let find = &found.find;
    let location = Location {
        endpoint: find.endpoint.clone(),
        unit: Some(find.unit),
        base: None,
    };
    let section = |kind: DeviceKind| Section {
        name: name_of(find, kind),
        kind,
        address: location.to_string(),
        base: find.base,
        profile: None,
        watts: None,
        notes: Vec::new(),
        is_perhaps: false,
    };
    let of_models = find.guess.kinds.iter().map(|&kind| {
        let mut section = section(kind);
        if kind == DeviceKind::GridMeter {
            section.watts = None;
            if find.guess.meters > 1 {
                section.notes.push(format!(
                    "There are {} meters in its map: instance = 1 is the first, say which one is at the grid.",
                    find.guess.meters
                ));
            }
        } else {
            section.watts = find.guess.nameplate.map(|watts| watts.round_dp(3).normalize().to_string());
        }
        section
    });
    let is_only = find.families.len() == 1;
    let of_families = find.families.iter().map(|family| {
        let mut section = section(match family.kind {
            Family::Inverter => DeviceKind::PvInverter,
            Family::Battery => DeviceKind::BatteryInverter,
            Family::Hybrid => DeviceKind::HybridInverter,
            Family::Meter => DeviceKind::GridMeter,
        });
        section.profile = Some(family.profile.clone());
        section.is_perhaps = !is_only;
        section.notes.push(format!(
            "Perhaps: {}. Compare with `gridtally edge read`.",
            family.why
        ));
        section
    });
    of_models.chain(of_families).collect()
}

impl Section {
    fn text(&self, number: u8, name: &str) -> String {
        let mut out = String::new();
        for note in &self.notes {
            let _ = writeln!(out, "# {}", note.replace(char::is_control, " "));
        }
        let _ = writeln!(
            out,
            "[[device]]\nnumber = {number}\nname = {}\nkind = \"{}\"\naddress = {}",
            quoted(name),
            guess::word(self.kind),
            quoted(&self.address)
        );
        if let Some(base) = self.base {
            let _ = writeln!(out, "base = {base}");
        }
        if let Some(profile) = &self.profile {
            let _ = writeln!(out, "profile = {}", quoted(profile));
        }
        let unknown = match self.kind {
            DeviceKind::GridMeter => (
                METER_WATTS,
                "the main fuse of the house allows this; is it yours?",
            ),
            _ => (
                UNKNOWN_WATTS,
                "the device does not tell; write what its nameplate says",
            ),
        };
        let _ = match &self.watts {
            Some(watts) => writeln!(out, "nameplate_watts = \"{watts}\""),
            None => writeln!(out, "nameplate_watts = \"{}\" # {}", unknown.0, unknown.1),
        };
        out
    }
}

/// A text of TOML: what JSON escapes, TOML reads, and there are no control characters in it.
fn quoted(text: &str) -> String {
    let shown: String = text.chars().filter(|c| !c.is_control()).collect();
    serde_json::Value::from(shown).to_string()
}

fn name_of(find: &Find, kind: DeviceKind) -> String {
    let said = device(find);
    let what = match kind {
        DeviceKind::GridMeter => "grid meter",
        DeviceKind::PvInverter => "inverter",
        DeviceKind::BatteryInverter => "battery",
        DeviceKind::HybridInverter => "hybrid inverter",
    };
    let name = format!("{what} {said}");
    // Room is left for a number behind it.
    name.chars()
        .filter(|c| !c.is_control())
        .take(58)
        .collect::<String>()
        .trim()
        .to_owned()
}

fn unique(name: &str, names: &mut BTreeSet<String>) -> String {
    let mut name_of_its_own = name.to_owned();
    let mut n = 2_u32;
    while !names.insert(name_of_its_own.clone()) {
        name_of_its_own = format!("{name} {n}");
        n = n.saturating_add(1);
    }
    name_of_its_own
}

#[cfg(test)]
#[path = "report_tests.rs"]
mod tests;
