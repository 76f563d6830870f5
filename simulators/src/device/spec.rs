//! How a device presents itself.

use clap::ValueEnum;
use gridtally_registers::profile::{DeviceKind, Profile};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// What a device is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// An inverter with the roof's panels behind it.
    Inverter,
    /// An inverter with a battery behind it.
    Battery,
    /// One inverter for panels and battery: its AC side is the sum of both.
    Hybrid,
    /// A meter.
    Meter,
}

/// The generation of SunSpec models that a device speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Generation {
    /// Integers and scale factors: 101 to 103, 120 to 124, 160, 802, 201 to 204.
    #[default]
    Integer,
    /// Floats: 111 to 113 and 211 to 214, the rest as with integers.
    Float,
    /// IEEE 1547-2018: 701 to 715; a meter speaks integers.
    #[serde(rename = "ieee-1547")]
    #[value(name = "ieee-1547", alias = "ieee1547")]
    Ieee1547,
    /// Everything in one map, as some vendors have it.
    All,
}

/// How a device or a house is connected to the grid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Phases {
    /// One phase against neutral: 101, 111, 201, 211.
    Single,
    /// Two lines and neutral, as in North America: 102, 112, 202, 212.
    Split,
    /// Three phases and neutral: 103, 113, 203, 213.
    #[default]
    Three,
    /// Three phases without neutral; a meter is then 204 or 214, an inverter as with three.
    Delta,
}

impl Phases {
    /// How many lines carry current.
    #[must_use]
    pub fn lines(self) -> i64 {
        match self {
            Self::Single => 1,
            Self::Split => 2,
            Self::Three | Self::Delta => 3,
        }
    }

    fn number(self) -> u16 {
        match self {
            Self::Single => 1,
            Self::Split => 2,
            Self::Three => 3,
            Self::Delta => 4,
        }
    }
}

/// What a meter measures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Branch {
    /// The grid connection: import positive.
    Grid,
    /// The panels' inverter: its production is export.
    Pv,
    /// The battery's inverter: discharge is export.
    Battery,
    /// The household: its use is import.
    Load,
}

/// How a device presents itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceSpec {
    /// What it is called in logs, on the command line and by the control API.
    pub name: String,
    /// What it is.
    pub role: Role,
    /// Where `SunS` stands: 0, 40000 and 50000 are the bases that clients look at.
    pub base: u16,
    /// The Modbus unit that it answers to.
    pub unit: u8,
    /// Model 1 `Mn`.
    pub manufacturer: String,
    /// Model 1 `Md`.
    pub model: String,
    /// Model 1 `SN`.
    pub serial_number: String,
    /// How it is connected.
    pub phases: Phases,
    /// The models behind model 1, in the order of the chain. A meter may have one number several
    /// times.
    pub models: Vec<u16>,
    /// What each meter model of the chain measures, in order; the last holds for those that follow.
    pub measures: Vec<Branch>,
    /// Scale factor of energy counters, in powers of ten of a watt-hour.
    pub energy_scale: i16,
    /// Scale factor of active power, in powers of ten of a watt. Beyond 32767 units a power register
    /// stays at its end: 3.2 kW at −1, 32 kW at 0.
    pub power_scale: i16,
    /// Scale factor of the state of charge, in powers of ten of a percent.
    pub soc_scale: i16,
    /// Energy counters wrap at 2 to this power; `None` for the width of their type.
    pub counter_bits: Option<u32>,
    /// A controller that began to send heartbeats (model 715) and stops for so many seconds loses
    /// its controls.
    pub heartbeat_seconds: i64,
    /// The register map of a device without SunSpec. Then `base`, `models` and the scale factors say
    /// nothing.
    pub profile: Option<Arc<Profile>>,
}

impl DeviceSpec {
    /// A device with the models that belong to its role, generation and phases: base 40000, unit 1,
    /// energy in 0.1 Wh, power in 1 W, state of charge in 0.1 %.
    #[must_use]
    pub fn new(role: Role, serial_number: impl Into<String>) -> Self {
        let (name, model) = match role {
            Role::Inverter => ("inverter", "PV inverter"),
            Role::Battery => ("battery", "Battery inverter"),
            Role::Hybrid => ("hybrid", "Hybrid inverter"),
            Role::Meter => ("meter", "Meter"),
        };
        let mut spec = Self {
            name: name.to_owned(),
            role,
            base: 40_000,
            unit: 1,
            manufacturer: "Gridtally".to_owned(),
            model: model.to_owned(),
            serial_number: serial_number.into(),
            phases: Phases::default(),
            models: Vec::new(),
            measures: vec![Branch::Grid],
            energy_scale: -1,
            power_scale: 0,
            soc_scale: -1,
            counter_bits: None,
            heartbeat_seconds: 60,
            profile: None,
        };
        spec.speak(Generation::default(), Phases::default());
        spec
    }

    /// A device without SunSpec, with the registers of a profile: its role, unit, maker and first model
    /// are those of the profile, and its name is the profile's in kebab case.
    ///
    /// ```
    /// use gridtally_registers::profile::Profile;
    /// use gridtally_simulators::{DeviceSpec, Home, HomeSpec};
    /// # let text = "name = 'Meter One'\nvendor = 'Example'\nmodels = ['M1']\nkind = 'meter'\nsource = 'x'\n\
    /// # tested_on_hardware = false\nmax_registers = 60\npause_ms = 0\n[[point]]\nname = 'frequency'\n\
    /// # table = 'input'\naddress = 7\ntype = 'u16'\nscale = '0.01'\nunit = 'Hz'\npoll = 'slow'\n";
    ///
    /// let profile = Profile::parse(text, "m1.toml").expect("a profile without mistakes");
    /// let mut spec = HomeSpec::draw(1);
    /// spec.devices = vec![DeviceSpec::profiled(profile.into(), "SN1")];
    /// let home = Home::new(spec, 1_782_043_200);
    /// assert_eq!(home.grid_meter().name(), "meter-one");
    /// ```
    #[must_use]
    pub fn profiled(profile: Arc<Profile>, serial_number: impl Into<String>) -> Self {
        let role = match profile.kind {
            DeviceKind::Inverter => Role::Inverter,
            DeviceKind::Battery => Role::Battery,
            DeviceKind::Hybrid => Role::Hybrid,
            DeviceKind::Meter => Role::Meter,
        };
        let mut spec = Self::new(role, serial_number);
        spec.name = kebab_case(&profile.name);
        spec.unit = profile.unit;
        spec.manufacturer.clone_from(&profile.vendor);
        if let Some(model) = profile.models.first() {
            spec.model.clone_from(model);
        }
        spec.models = Vec::new();
        spec.profile = Some(profile);
        spec
    }

    /// Takes the models that belong to the device's role in this generation.
    pub fn speak(&mut self, generation: Generation, phases: Phases) {
        let stores = matches!(self.role, Role::Battery | Role::Hybrid);
        let (integer, float) = match generation {
            Generation::Integer => (true, false),
            Generation::Float => (false, true),
            Generation::Ieee1547 => (self.role == Role::Meter, false),
            Generation::All => (true, true),
        };
        let der = matches!(generation, Generation::Ieee1547 | Generation::All);
        self.phases = phases;
        self.models = if self.role == Role::Meter {
            let numbers = [(integer, 200 + phases.number()), (float, 210 + phases.number())];
            numbers
                .into_iter()
                .filter(|(wanted, _)| *wanted)
                .map(|(_, id)| id)
                .collect()
        } else {
            let line = phases.number().min(3);
            let mut models = Vec::new();
            models.extend(integer.then_some(100 + line));
            models.extend(float.then_some(110 + line));
            if integer || float {
                models.extend([120, 121, 122, 123]);
                models.extend(stores.then_some(124));
                models.push(160);
            }
            if der {
                models.extend(701..=712);
                models.extend(stores.then_some(713));
                models.extend([714, 715]);
            }
            models.extend(stores.then_some(802));
            models
        };
    }

    /// What the n-th meter model of the chain measures.
    pub(crate) fn branch(&self, n: usize) -> Branch {
        self.measures
            .get(n)
            .or(self.measures.last())
            .copied()
            .unwrap_or(Branch::Grid)
    }
}

/// Letters and digits in lower case, with a hyphen wherever something else stands between them.
fn kebab_case(name: &str) -> String {
    let words = name.split(|c: char| !c.is_alphanumeric());
    let words: Vec<String> = words
        .filter(|word| !word.is_empty())
        .map(str::to_lowercase)
        .collect();
    words.join("-")
}
