//! Settlement of one event: for every site and interval what it delivered and earned, or why nothing.
//!
//! ```text
//! delta    = baseline − metered                      (mWh; positive is a reduction)
//! credited = max(delta, 0)
//! exact    = credited × price per kWh / 1,000,000    (base units)
//! amount   = round(exact)                            once, at the line
//! ```
//!
//! What rounding leaves over is not lost: with `remainder = Σ (exact − amount)` in millionths of a base unit,
//!
//! ```text
//! carry_in + remainder = posted × 1,000,000 + carry_out        0 ≤ carry_out < 1,000,000
//! escrow debit         = Σ amount + posted
//! ```
//!
//! `posted` whole base units go to (where negative: come from) the program's rounding account, and `carry_out`
//! into its next settlement; so over a season the operator pays the exact sum, to less than one base unit.
//!
//! A program that pays by [formulas](super::payment) gives each site their sum, less its fee; then `Σ amount` has these,
//! and the escrow pays the fees and what a pool leaves beside.

mod compare;
mod inputs;
mod lines;
mod price;
mod resettle;
mod season;
mod settle;
mod sheet;

pub(crate) use self::inputs::is_nothing;
pub use self::inputs::{
    BeneficiaryId, Corrected, DayTemperature, Event, Metered, MissingReason, NameError, Offer, Participation,
    PublishedPrice, Reading, SettlementInputs, SiteId, SiteInputs,
};
pub use self::lines::{
    BaselineRef, FORMAT, Line, ProgramRef, Reason, RoundingRemainder, SiteStatement, SiteStatus, Statement,
    Totals,
};
pub use self::resettle::{Cause, Change, Earlier, Occasion, Paid, Resettled, SiteDifference};
pub use self::season::{SeasonSoFar, seasons};
pub use self::settle::{AmountError, SettleError, settle};
pub use self::sheet::{Sheet, Sum};
