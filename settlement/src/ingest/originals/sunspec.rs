//! SunSpec models 220 (secure AC meter readings) and 4 (response to the secure reading of chosen registers), as read from a
//! device: all registers with ID and length, each of two bytes, the higher first. Standard: SunSpec Device Information Model
//! Specification 1.2.1 §3, and the models' definitions.
//!
//! The models carry a signature and name an algorithm, but no document says which bytes it is over (with ID and length, with
//! its own algorithm and length?), which hash goes with `ECC-256`, or how the signature is written. So it is kept and shown,
//! and never taken for verified.

use gridtally_protocol::quantity::MilliwattHours;

use super::{Parsed, Register, RegisterReading, Total};

/// 2000-01-01T00:00:00Z, from where both models count seconds.
const SUNSPEC_EPOCH: i64 = 946_684_800;
/// The least registers of a signature (model 220, note on N).
const SIGNATURE_MIN: u16 = 4;

/// Where points of a model are, in registers from its ID on.
struct Places {
    id: u16,
    seconds: usize,
    millis: usize,
    algorithm: usize,
    /// The number of the signature's registers, which follow it.
    count: usize,
}

const MODEL_220: Places = Places {
    id: 220,
    seconds: 38,
    millis: 40,
    algorithm: 42,
    count: 43,
};
const TOT_WH_EXP: usize = 16;
const TOT_WH_IMP: usize = 18;
const TOT_WH_SF: usize = 20;
const EVENTS: usize = 35;

const MODEL_4: Places = Places {
    id: 4,
    seconds: 55,
    millis: 57,
    algorithm: 60,
    count: 61,
};

/// Why bytes are not the registers of a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BlockError {
    /// Half a register, or fewer or more than the model says.
    #[error("{0} bytes are not as many registers as the model and its length say")]
    Length(usize),
    /// Another model.
    #[error("model {found} instead of {wanted}")]
    Model {
        /// Which one it is.
        found: u16,
        /// Which one it was said to be.
        wanted: u16,
    },
    /// A signature that cannot be one.
    #[error("a signature of {0} registers; there are at least {SIGNATURE_MIN}")]
    Signature(u16),
    /// A scale factor or a millisecond that there is not.
    #[error("{point} is {value}")]
    Value {
        /// Which point.
        point: &'static str,
        /// What stands there.
        value: i64,
    },
}

/// Reads model 220.
///
/// # Errors
/// [`BlockError`].
pub fn parse_220(bytes: &[u8]) -> Result<Parsed<'_>, BlockError> {
    let block = Block::read(&MODEL_220, bytes)?;
    let at_millis = block.at_millis()?;
    let scale = i16::from_be_bytes(block.register(TOT_WH_SF)?.to_be_bytes());
    let resolution = resolution(scale).ok_or(BlockError::Value {
        point: "TotWh_SF",
        value: scale.into(),
    })?;
    let sound = block.wide(EVENTS)? == 0;
    let total = |(register, place)| {
        let count = block.wide(place)?;
        let energy = i64::from(count).checked_mul(resolution);
        Ok(RegisterReading {
            at_millis,
            synchronised: false,
            register: Some(register),
            // An accumulator of nothing is one that is not there (SunSpec §4.2).
            value: energy.filter(|_| count != 0).map(|energy| Total {
                energy: MilliwattHours::new(energy),
                resolution: MilliwattHours::new(resolution),
            }),
            sound,
        })
    };
    let registers = [(Register::Import, TOT_WH_IMP), (Register::Export, TOT_WH_EXP)];
    let readings = registers.into_iter().map(total).collect::<Result<_, _>>()?;
    block.parsed(readings)
}

/// Reads model 4. Which registers its values are copies of is in the request, which is not at hand: there are no readings.
///
/// # Errors
/// [`BlockError`].
pub fn parse_4(bytes: &[u8]) -> Result<Parsed<'_>, BlockError> {
    let block = Block::read(&MODEL_4, bytes)?;
    block.at_millis()?;
    block.parsed(Vec::new())
}

/// The step of watt-hours with this scale factor, in milliwatt-hours, where it is whole.
fn resolution(scale: i16) -> Option<i64> {
    let power = u32::try_from(scale.checked_add(3)?).ok()?;
    (scale <= 10).then(|| 10_i64.checked_pow(power))?
}

struct Block<'a> {
    places: &'static Places,
    bytes: &'a [u8],
}

impl<'a> Block<'a> {
    fn read(places: &'static Places, bytes: &'a [u8]) -> Result<Self, BlockError> {
        let block = Self { places, bytes };
        let (found, wanted) = (block.register(0)?, places.id);
        if found != wanted {
            return Err(BlockError::Model { found, wanted });
        }
        let count = block.register(places.count)?;
        if count < SIGNATURE_MIN {
            return Err(BlockError::Signature(count));
        }
        let registers = usize::from(count).saturating_add(places.count).saturating_add(1);
        let said = usize::from(block.register(1)?).saturating_add(2);
        if registers != said || registers.saturating_mul(2) != bytes.len() {
            return Err(block.too_short());
        }
        Ok(block)
    }

    const fn too_short(&self) -> BlockError {
        BlockError::Length(self.bytes.len())
    }

    fn register(&self, place: usize) -> Result<u16, BlockError> {
        let at = place.saturating_mul(2);
        let pair = self.bytes.get(at..).and_then(<[u8]>::first_chunk);
        pair.map(|pair| u16::from_be_bytes(*pair))
            .ok_or_else(|| self.too_short())
    }

    fn wide(&self, place: usize) -> Result<u32, BlockError> {
        let at = place.saturating_mul(2);
        let four = self.bytes.get(at..).and_then(<[u8]>::first_chunk);
        four.map(|four| u32::from_be_bytes(*four))
            .ok_or_else(|| self.too_short())
    }

    fn at_millis(&self) -> Result<i64, BlockError> {
        let millis = i64::from(self.register(self.places.millis)?);
        let seconds = i64::from(self.wide(self.places.seconds)?).saturating_add(SUNSPEC_EPOCH);
        if millis > 999 {
            return Err(BlockError::Value {
                point: "Ms",
                value: millis,
            });
        }
        Ok(seconds.saturating_mul(1_000).saturating_add(millis))
    }

    fn parsed(self, readings: Vec<RegisterReading>) -> Result<Parsed<'a>, BlockError> {
        let algorithm = match self.register(self.places.algorithm)? {
            0 => "NONE".to_owned(),
            1 => "AES-GMAC-64".to_owned(),
            2 => "ECC-256".to_owned(),
            other => format!("algorithm {other}"),
        };
        let signature = self.places.count.saturating_add(1).saturating_mul(2);
        let (signed, signature) = self
            .bytes
            .split_at_checked(signature)
            .ok_or_else(|| self.too_short())?;
        Ok(Parsed {
            meter: String::new(),
            readings,
            signed,
            algorithm,
            signature: signature.to_vec(),
        })
    }
}
