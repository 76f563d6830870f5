//! What one device says, for a person who asks: every point with its value or the reason why it has none
//! ([`look`], `gridtally edge read`), and every register with the requests that brought it, for a bug report
//! ([`dump`], `gridtally edge dump`).
//!
//! Nothing here writes to a device. [`Target`] is the device that is meant: one of the config, or a place.

mod dump;
mod exact;
mod look;
mod profiled;
mod redact;
mod render;
mod sight;
mod target;

pub use self::dump::{Dump, dump};
pub use self::exact::exact;
pub use self::look::{look, look_at, look_on, map_of};
pub(crate) use self::profiled::table as table_of;
pub use self::render::{json, table};
pub use self::sight::{Identity, MapName, ModelSight, PointSight, Sight};
pub use self::target::{Named, Target, TargetError, now};

use crate::device::SunSpecError;
use crate::device::bus::tls::TlsError;

/// Why nothing of a device can be shown.
#[derive(Debug, thiserror::Error)]
pub enum ShowError {
    /// The certificates cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The device does not answer, or has no map.
    #[error("{place}: {why}{}", hint(why))]
    Device {
        /// Where it is.
        place: String,
        /// What went wrong.
        why: SunSpecError,
    },
}

/// What to do about it.
const fn hint(why: &SunSpecError) -> &'static str {
    match why {
        SunSpecError::NoMap { .. } => {
            ". If its map begins elsewhere, write base=N behind the address; if it has none, name a profile with \
             --profile (docs/device-profiles.md); `gridtally edge scan` tries the profiles that come along"
        }
        SunSpecError::Bus(error) if error.is_answer() => "",
        SunSpecError::Bus(_) => {
            ". Is the address right, is the unit (unit=N behind the address), is Modbus switched on at the device, \
             and is no other program connected to it?"
        }
        _ => "",
    }
}
