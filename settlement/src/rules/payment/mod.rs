//! What an event's work is worth: formulas as data, and each amount with its arithmetic.

mod due;
mod energy;
mod error;
mod inputs;
mod netting;
mod pay;
mod payments;
mod pool;
mod power;
mod read;
mod round;
mod site;
mod terms;

pub use self::error::PaymentError;
pub use self::inputs::{Before, EventWork, Season, SeasonEvent, SiteWork, WorkInterval};
pub use self::netting::{Netting, NotCredited, net};
pub use self::pay::pay;
pub use self::payments::{
    Ceiling, Component, Due, EnergyLine, Explanation, FeeTaken, Payments, PoolTotals, SitePayment, Zero,
};
pub use self::pool::{LeftOver, Share, Shares, share_out};
pub use self::round::{Bearer, Rounding, Step};
pub use self::terms::{
    Band, BelowZero, Capacity, DataBonus, Energy, Fee, FeePayer, FeeRounding, Formula, Points, Pool, Price,
    RoundPer, SeasonAverage, Shortfall, Terms, Uncounted, Weight,
};
