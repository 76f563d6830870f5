//! What an event's work is worth: formulas as data, and each amount with its arithmetic.
//!
//! A program states [`Terms`]: a list of [`Formula`]s and perhaps a [`Fee`], read from the `[[payment]]` sections of
//! its document. [`pay`] turns them and each site's work into [`Payments`]: for each formula one [`Component`], with
//! its amount, the values that it was made from, or the reason why there is none. A price that is not known yet is
//! not a price of nothing: such an amount is absent.
//!
//! ```text
//! amount = round(exact) − before.paid                       one rounding, named by the program
//! exact  = before.paid + before.remainder + amount + remainder
//! gross  = Σ amount          net = gross − fee (where the site pays it)
//! drawn + carry_in = Σ share + left                         of a pool
//! ```
//!
//! `exact` is what is due in all; `before` is nothing but for what is paid upfront or over a season. Since it is
//! never below zero, no more is taken back than was paid (only an energy formula with `below_zero = "owed"` can
//! charge a site). Remainders are in millionths of a base unit: whole where energies are priced, and to the nearest
//! where a factor has another denominator. The remainders of one settlement add up for the program's rounding
//! account, as those of the lines of a [statement](super::statement) do.
//!
//! [`net`] says, before all that, what each interval is credited.

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
pub use self::pay::{EventPricing, pay};
pub use self::payments::{
    Ceiling, Component, Due, EnergyLine, Explanation, FeeTaken, Payments, PoolTotals, SitePayment, Zero,
};
pub use self::pool::{LeftOver, PoolPart, Share, Shares, share_out};
pub(in crate::rules) use self::read::read_clock;
pub(in crate::rules) use self::round::divide;
pub use self::round::{Bearer, Rounding, Step};
pub use self::terms::{
    Band, BelowZero, Capacity, DataBonus, Energy, Fee, FeePayer, FeeRounding, Formula, Points, Pool, Price,
    RoundPer, SeasonAverage, Shortfall, Terms, Uncounted, Weight,
};
