//! The closed vocabulary of quantities, and the units that each may have.

use std::fmt;

use rust_decimal::Decimal;

/// The longest name after `vendor:`.
pub const VENDOR_NAME_LENGTH_MAX: usize = 60;

/// The unit of a point's value, as the file says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Watt.
    Watt,
    /// 1000 W.
    Kilowatt,
    /// Watt-hour.
    WattHour,
    /// 1000 Wh.
    KilowattHour,
    /// 1,000,000 Wh.
    MegawattHour,
    /// Volt.
    Volt,
    /// Ampere.
    Ampere,
    /// Hertz.
    Hertz,
    /// Percent of what the point's note says.
    Percent,
    /// Degree Celsius.
    Celsius,
    /// Second.
    Second,
    /// 60 s.
    Minute,
    /// Reactive power.
    Var,
    /// Apparent power.
    VoltAmpere,
}

impl Unit {
    pub(super) const WORDS: &'static [(&'static str, Self)] = &[
        ("W", Self::Watt),
        ("kW", Self::Kilowatt),
        ("Wh", Self::WattHour),
        ("kWh", Self::KilowattHour),
        ("MWh", Self::MegawattHour),
        ("V", Self::Volt),
        ("A", Self::Ampere),
        ("Hz", Self::Hertz),
        ("%", Self::Percent),
        ("degC", Self::Celsius),
        ("s", Self::Second),
        ("min", Self::Minute),
        ("var", Self::Var),
        ("VA", Self::VoltAmpere),
    ];

    /// The unit without its prefix, and how many of it this unit is.
    #[must_use]
    pub fn base(self) -> (Self, u32) {
        match self {
            Self::Kilowatt => (Self::Watt, 1_000),
            Self::KilowattHour => (Self::WattHour, 1_000),
            Self::MegawattHour => (Self::WattHour, 1_000_000),
            Self::Minute => (Self::Second, 60),
            other => (other, 1),
        }
    }

    /// A value of this unit in its base unit; `None` beyond the range of decimals.
    #[must_use]
    pub fn to_base(self, value: Decimal) -> Option<Decimal> {
        value.checked_mul(Decimal::from(self.base().1))
    }

    /// A value of the base unit in this unit; `None` where that has no exact decimal (seconds that are no
    /// decimal number of minutes).
    #[must_use]
    pub fn from_base(self, value: Decimal) -> Option<Decimal> {
        let converted = value.checked_div(Decimal::from(self.base().1))?;
        (self.to_base(converted)? == value).then_some(converted)
    }
}

impl fmt::Display for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = Self::WORDS.iter().find(|(_, unit)| unit == self);
        f.write_str(word.map_or("", |(word, _)| word))
    }
}

/// What the value of a quantity is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Measure {
    /// A number in one of these units.
    In(&'static [Unit]),
    /// A number without a unit: a state, a mode, bits.
    Code,
    /// Text.
    Text,
    /// Text, or a whole number without a unit.
    Identity,
}

const POWER: Measure = Measure::In(&[Unit::Watt, Unit::Kilowatt]);
const ENERGY: Measure = Measure::In(&[Unit::WattHour, Unit::KilowattHour, Unit::MegawattHour]);
const VOLTAGE: Measure = Measure::In(&[Unit::Volt]);
const CURRENT: Measure = Measure::In(&[Unit::Ampere]);
const FREQUENCY: Measure = Measure::In(&[Unit::Hertz]);
const PERCENT: Measure = Measure::In(&[Unit::Percent]);
const TEMPERATURE: Measure = Measure::In(&[Unit::Celsius]);
const LIMIT: Measure = Measure::In(&[Unit::Watt, Unit::Kilowatt, Unit::Percent]);
const TIME: Measure = Measure::In(&[Unit::Second, Unit::Minute]);

macro_rules! quantities {
    ($($name:ident $word:literal $measure:expr, $doc:literal;)*) => {
        /// The quantities that mean the same for every device. Power is positive where it flows **into the
        /// house**: imported, produced, discharged. Energies are lifetime counters, which only rise.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Quantity { $(#[doc = $doc] $name,)* }

        impl Quantity {
            /// Every quantity, in the order of the documentation.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The name in a profile.
            #[must_use]
            pub fn word(self) -> &'static str {
                match self { $(Self::$name => $word,)* }
            }

            /// What its value is.
            #[must_use]
            pub fn measure(self) -> Measure {
                match self { $(Self::$name => $measure,)* }
            }

            /// Its meaning in one line.
            #[must_use]
            pub fn meaning(self) -> &'static str {
                match self { $(Self::$name => $doc,)* }
            }
        }
    };
}

quantities! {
    GridPower "grid_power" POWER, "Power at the grid connection, positive while importing";
    GridPowerL1 "grid_power_l1" POWER, "The first phase of it";
    GridPowerL2 "grid_power_l2" POWER, "The second phase of it";
    GridPowerL3 "grid_power_l3" POWER, "The third phase of it";
    GridImportEnergy "grid_import_energy" ENERGY, "Energy taken from the grid";
    GridExportEnergy "grid_export_energy" ENERGY, "Energy given to the grid";
    PvPower "pv_power" POWER, "Power of the panels";
    PvEnergy "pv_energy" ENERGY, "Energy of the panels";
    BatteryPower "battery_power" POWER, "Power of the battery, positive while discharging";
    BatterySoc "battery_soc" PERCENT, "State of charge";
    BatterySoh "battery_soh" PERCENT, "State of health";
    BatteryChargeEnergy "battery_charge_energy" ENERGY, "Energy charged";
    BatteryDischargeEnergy "battery_discharge_energy" ENERGY, "Energy discharged";
    BatteryCapacity "battery_capacity" ENERGY, "Rated capacity";
    BatteryVoltage "battery_voltage" VOLTAGE, "Voltage of the battery";
    BatteryCurrent "battery_current" CURRENT, "Current of the battery";
    BatteryTemperature "battery_temperature" TEMPERATURE, "Temperature of the battery";
    AcPower "ac_power" POWER, "Power at the AC terminals of the inverter, positive while feeding in";
    AcEnergy "ac_energy" ENERGY, "Energy fed in at the AC terminals of the inverter";
    LoadPower "load_power" POWER, "Power that the house uses, always positive";
    RatedPower "rated_power" POWER, "The nameplate";
    AcVoltage "ac_voltage" VOLTAGE, "Voltage, phase to neutral, of a device with one";
    AcVoltageL1 "ac_voltage_l1" VOLTAGE, "Voltage of the first phase to neutral";
    AcVoltageL2 "ac_voltage_l2" VOLTAGE, "Voltage of the second phase to neutral";
    AcVoltageL3 "ac_voltage_l3" VOLTAGE, "Voltage of the third phase to neutral";
    AcCurrentL1 "ac_current_l1" CURRENT, "Current of the first phase";
    AcCurrentL2 "ac_current_l2" CURRENT, "Current of the second phase";
    AcCurrentL3 "ac_current_l3" CURRENT, "Current of the third phase";
    Frequency "frequency" FREQUENCY, "Frequency of the grid";
    Temperature "temperature" TEMPERATURE, "Temperature of the device";
    State "state" Measure::Code, "State of the device, in the maker's codes";
    SerialNumber "serial_number" Measure::Identity, "Serial number";
    Model "model" Measure::Text, "Name of the model";
    Firmware "firmware" Measure::Text, "Version of the firmware";
    ExportLimit "export_limit" LIMIT, "Greatest power into the grid";
    ProductionLimit "production_limit" LIMIT, "Greatest power of the inverter";
    ChargeSetpoint "charge_setpoint" LIMIT, "Power of a forced charge, not negative";
    DischargeSetpoint "discharge_setpoint" LIMIT, "Power of a forced discharge, not negative";
    BatteryReserve "battery_reserve" PERCENT, "State of charge kept for a blackout";
    ControlTimer "control_timer" TIME, "How long a control lasts before the device returns by itself";
}

/// What a point is called: a quantity, or `vendor:` and a name of its own.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PointName {
    /// A quantity of the vocabulary.
    Quantity(Quantity),
    /// What only this maker has: lower-case letters, digits and `_`.
    Vendor(String),
}

impl PointName {
    /// Reads a name; `None` where it is neither of the vocabulary nor `vendor:xyz`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if let Some(own) = text.strip_prefix("vendor:") {
            let legal = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
            let fits = (1..=VENDOR_NAME_LENGTH_MAX).contains(&own.len()) && own.chars().all(legal);
            return fits.then(|| Self::Vendor(own.to_owned()));
        }
        let found = Quantity::ALL.iter().find(|quantity| quantity.word() == text)?;
        Some(Self::Quantity(*found))
    }
}

impl fmt::Display for PointName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Quantity(quantity) => f.write_str(quantity.word()),
            Self::Vendor(own) => write!(f, "vendor:{own}"),
        }
    }
}
