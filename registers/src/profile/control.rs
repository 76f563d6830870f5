//! Recipes: what to write so that a device does a named thing.

use std::fmt;

use rust_decimal::Decimal;

use super::codec::{EncodeError, Value};
use super::encoding::Encoding;
use super::vocabulary::{PointName, Unit};

/// A thing that a device can be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Action {
    /// Give at most this much to the grid.
    LimitExport,
    /// Produce at most this much.
    LimitProduction,
    /// Charge the battery with this much.
    ForceCharge,
    /// Discharge the battery with this much.
    ForceDischarge,
    /// Do as the owner has set: takes every other action back.
    Release,
}

impl Action {
    /// Every action, in the order of the documentation.
    pub const ALL: &'static [Self] = &[
        Self::LimitExport,
        Self::LimitProduction,
        Self::ForceCharge,
        Self::ForceDischarge,
        Self::Release,
    ];

    /// The name in a profile, after `control.`.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::LimitExport => "limit_export",
            Self::LimitProduction => "limit_production",
            Self::ForceCharge => "force_charge",
            Self::ForceDischarge => "force_discharge",
            Self::Release => "release",
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// What the caller fills in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Argument {
    /// A power in watts.
    Watts,
    /// A power in percent of what the point's note says.
    Percent,
    /// How long, in seconds.
    Seconds,
}

impl Argument {
    /// The text in a profile.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Watts => "{watts}",
            Self::Percent => "{percent}",
            Self::Seconds => "{seconds}",
        }
    }

    pub(super) fn unit(self) -> Unit {
        match self {
            Self::Watts => Unit::Watt,
            Self::Percent => Unit::Percent,
            Self::Seconds => Unit::Second,
        }
    }
}

/// What brings the device back when nobody says anything more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reversion {
    /// It counts a timer down that the recipe writes.
    Timer(PointName),
    /// It returns when the recipe has not been repeated for this long.
    KeepAlive {
        /// Seconds, from 1.
        seconds: u32,
    },
    /// Nothing: whoever takes control must give it back.
    Never,
}

/// What is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Written {
    /// Always the same, in the unit of the target.
    Literal(Decimal),
    /// What the caller fills in.
    Argument(Argument),
}

/// One write of a recipe, to holding registers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Write {
    /// The point, where the recipe names one.
    pub point: Option<PointName>,
    /// Its first register.
    pub address: u16,
    /// What is written.
    pub value: Written,
    pub(super) encoding: Encoding,
    pub(super) unit: Option<Unit>,
    pub(super) bounds: Option<(Decimal, Decimal)>,
}

/// How a device is told one thing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Control {
    /// The writes, in their order: the enabling one is usually the last.
    pub writes: Vec<Write>,
    /// Whether writes to registers in a row are one request: some devices take a set only as a whole.
    pub joined: bool,
    /// What brings the device back; `None` for [`Action::Release`] only.
    pub reverts_after: Option<Reversion>,
    /// What a person should know.
    pub notes: Option<String>,
}

/// What the caller fills in, and how much.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Arguments {
    /// For `{watts}`.
    pub watts: Option<Decimal>,
    /// For `{percent}`.
    pub percent: Option<Decimal>,
    /// For `{seconds}`.
    pub seconds: Option<Decimal>,
}

impl Arguments {
    fn get(&self, argument: Argument) -> Option<Decimal> {
        match argument {
            Argument::Watts => self.watts,
            Argument::Percent => self.percent,
            Argument::Seconds => self.seconds,
        }
    }
}

/// Registers to write with one request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegisterWrite {
    /// The first holding register.
    pub address: u16,
    /// What to write there.
    pub registers: Vec<u16>,
}

/// Why a recipe cannot be carried out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ControlError {
    /// The recipe needs it and the caller has not said it.
    #[error("the recipe needs {}: say how much", .0.word())]
    MissingArgument(Argument),
    /// The amount has no exact value in the unit of the register.
    #[error("{value} has no exact value in {unit} at register {address}: round it to a multiple")]
    NotExact {
        /// The amount.
        value: Decimal,
        /// The unit of the register.
        unit: Unit,
        /// The register.
        address: u16,
    },
    /// The amount does not fit the register.
    #[error("register {address}: {source}")]
    Encode {
        /// The register.
        address: u16,
        /// Why.
        source: EncodeError,
    },
}

impl Control {
    /// Whether the recipe has a place for an argument.
    #[must_use]
    pub fn takes(&self, argument: Argument) -> bool {
        self.writes
            .iter()
            .any(|write| write.value == Written::Argument(argument))
    }

    /// The registers of each write, in their order. Nothing is rounded. [`Control::requests`] sends them.
    ///
    /// # Errors
    /// [`ControlError`] for the first write that cannot be made. Then none may be sent: half a recipe is
    /// another one.
    pub fn render(&self, arguments: &Arguments) -> Result<Vec<RegisterWrite>, ControlError> {
        self.writes.iter().map(|write| write.render(arguments)).collect()
    }

    /// The requests that send what [`Control::render`] has made: one for each write, or where the recipe is
    /// [`joined`](Self::joined), one for those to registers in a row.
    #[must_use]
    pub fn requests(&self, rendered: Vec<RegisterWrite>) -> Vec<RegisterWrite> {
        let mut requests: Vec<RegisterWrite> = Vec::new();
        for next in rendered {
            match requests.last_mut() {
                Some(last) if self.joined && last.is_before(next.address) => {
                    last.registers.extend(next.registers);
                }
                _ => requests.push(next),
            }
        }
        requests
    }

    /// How many registers each request writes.
    pub(super) fn request_lengths(&self) -> Vec<usize> {
        let mut lengths: Vec<(usize, usize)> = Vec::new();
        for write in &self.writes {
            let (start, length) = (usize::from(write.address), usize::from(write.encoding.length()));
            match lengths.last_mut() {
                Some((end, whole)) if self.joined && *end == start => {
                    (*end, *whole) = (start + length, *whole + length);
                }
                _ => lengths.push((start + length, length)),
            }
        }
        lengths.into_iter().map(|(_, length)| length).collect()
    }
}

impl RegisterWrite {
    /// Whether the next register is this one.
    fn is_before(&self, address: u16) -> bool {
        usize::from(self.address) + self.registers.len() == usize::from(address)
    }
}

impl Write {
    /// How the value is laid out from [`Write::address`] on.
    #[must_use]
    pub fn encoding(&self) -> &Encoding {
        &self.encoding
    }

    /// The unit of the registers.
    #[must_use]
    pub fn unit(&self) -> Option<Unit> {
        self.unit
    }

    /// Least and greatest value that may be written, in that unit; `None` for a bare address.
    #[must_use]
    pub fn bounds(&self) -> Option<(Decimal, Decimal)> {
        self.bounds
    }

    fn render(&self, arguments: &Arguments) -> Result<RegisterWrite, ControlError> {
        let value = match self.value {
            Written::Literal(literal) => literal,
            Written::Argument(argument) => {
                let value = arguments
                    .get(argument)
                    .ok_or(ControlError::MissingArgument(argument))?;
                self.converted(value)?
            }
        };
        let address = self.address;
        let registers = self
            .encode(value)
            .map_err(|source| ControlError::Encode { address, source })?;
        Ok(RegisterWrite { address, registers })
    }

    fn converted(&self, value: Decimal) -> Result<Decimal, ControlError> {
        let Some(unit) = self.unit else { return Ok(value) };
        let address = self.address;
        unit.from_base(value)
            .ok_or(ControlError::NotExact { value, unit, address })
    }

    pub(super) fn encode(&self, value: Decimal) -> Result<Vec<u16>, EncodeError> {
        match self.bounds {
            Some((min, max)) if value < min || value > max => {
                Err(EncodeError::OutOfBounds { value, min, max })
            }
            _ => self.encoding.encode(&Value::Number(value)),
        }
    }
}
