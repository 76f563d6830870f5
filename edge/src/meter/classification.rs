//! What a reading of a counter turned out to be.

use gridtally_protocol::channel::{Missing, Quality};

/// What the reading at a boundary was, seen from the readings before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Classification {
    /// In step with the counter that is believed.
    Normal,
    /// In step, over the end of the register.
    Rollover,
    /// In step, in another unit than before.
    ScaleChanged,
    /// Still below where the counter was before it stepped back, and not falling further.
    HeldBack,
    /// In step, but the interval has no beginning: nothing was read there, or nothing that is believed.
    Gap,
    /// The first that is believed. A counter that shows more than zero for the first time is this, too: the
    /// zero before may have meant that nothing had been counted (accumulators, §6.4.2).
    First,
    /// Another device answers than before, and is believed from here on.
    DeviceReplaced,
    /// So small that the counter has begun anew: a reset, or the end of a register that ends earlier than it
    /// should.
    Reset,
    /// Far from the counter that was believed, but for so many readings in step with itself that it is believed
    /// from here on.
    NewLine,
    /// Zero after more than zero: what devices answer when they wake up. A real reset shows in the next value.
    WakeUpZero,
    /// Lower than before, by a count or by no more than an interval: it will catch up.
    Backstep,
    /// Far below the counter that is believed, or further above it than the device can have come.
    Jump,
    /// The count went on as if its unit had not changed, but the unit did: one of the two is wrong.
    ScaleFault,
    /// More energy than any device moves in its life.
    Unfit,
    /// No reading, or none that the device's driver believes.
    Unread(Missing),
}

impl Classification {
    /// Its name in logs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Normal => "normal",
            Self::Rollover => "rollover",
            Self::ScaleChanged => "scale_changed",
            Self::HeldBack => "held_back",
            Self::Gap => "gap",
            Self::First => "first",
            Self::DeviceReplaced => "device_replaced",
            Self::Reset => "reset",
            Self::NewLine => "new_line",
            Self::WakeUpZero => "wake_up_zero",
            Self::Backstep => "backstep",
            Self::Jump => "jump",
            Self::ScaleFault => "scale_fault",
            Self::Unfit => "unfit",
            Self::Unread(_) => "unread",
        }
    }

    /// Whether the owner should find it in the log: what happened to the counter, and not to the line to it.
    #[must_use]
    pub const fn is_notable(self) -> bool {
        !matches!(
            self,
            Self::Normal | Self::HeldBack | Self::Gap | Self::First | Self::Unread(_)
        )
    }

    /// Why an interval that ends with such a reading has no value, where it has none because of the reading.
    #[must_use]
    pub const fn missing(self) -> Option<Missing> {
        Some(match self {
            Self::Normal | Self::Rollover | Self::ScaleChanged | Self::HeldBack | Self::Gap => return None,
            Self::First => Missing::NoStart,
            Self::DeviceReplaced => Missing::DeviceReplaced,
            Self::Reset => Missing::CounterReset,
            Self::WakeUpZero | Self::Unfit => Missing::BadSample,
            Self::NewLine | Self::Backstep | Self::Jump | Self::ScaleFault => Missing::CounterFault,
            Self::Unread(missing) => missing,
        })
    }

    /// What the reading says of a value that ends with it.
    #[must_use]
    pub const fn quality(self) -> Option<Quality> {
        match self {
            Self::Rollover => Some(Quality::Rollover),
            Self::ScaleChanged => Some(Quality::ScaleChanged),
            Self::HeldBack => Some(Quality::HeldBack),
            _ => None,
        }
    }
}
