//! What a test proved.

use core::fmt;

use gridtally_protocol::quantity::Milliwatts;
use gridtally_protocol::time::{IntervalLength, Timestamp};
use serde::{Deserialize, Serialize};

use super::TEST_SECONDS;
use super::forecast::{Around, Forecast, ForecastError, MeterReadings};
use crate::rules::exact::{ArithmeticError, Ratio};

/// Whether and how a site answered a test.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// Not at all, before the test was over.
    None,
    /// It said that it would not follow.
    OptedOut,
    /// It said that it would follow.
    OptedIn,
}

/// A span in which a site said that it cannot be tested.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unavailability {
    /// Its first instant.
    pub from: Timestamp,
    /// The first instant after it.
    pub until: Timestamp,
    /// When it was said.
    pub declared_at: Timestamp,
}

impl Unavailability {
    /// Whether it counts for a test that begins at `start` and was sent at `issued_at`: it was said before that.
    #[must_use]
    pub fn excuses(&self, start: Timestamp, issued_at: Timestamp) -> bool {
        let end = start.checked_add(TEST_SECONDS).unwrap_or(Timestamp::LATEST);
        self.declared_at < issued_at && self.from < end && start < self.until
    }
}

/// Why a test failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Failure {
    /// The site did not answer.
    NoAnswer,
    /// It answered that it would not follow, and had not said before that it cannot.
    OptedOut,
    /// Its meter's readings are not there.
    NoReadings,
    /// Its meter shows too little of what was asked: whatever moved, it moved little behind that meter.
    TooLittle,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::NoAnswer => "no answer",
            Self::OptedOut => "opted out",
            Self::NoReadings => "no readings",
            Self::TooLittle => "too little behind the meter",
        })
    }
}

/// Why a test counts for nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Void {
    /// The site's use before and after differ by so much that nobody can tell.
    OutsideBand,
    /// An event had the site in the test's time, or just before or after it.
    Event,
}

impl fmt::Display for Void {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::OutsideBand => "use before and after differs too much",
            Self::Event => "an event at that time",
        })
    }
}

/// What a test proved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// At least this power can be relied on: never more than was asked, nor than the nameplate.
    Passed(Milliwatts),
    /// It proved nothing where it should have.
    Failed(Failure),
    /// It counts for nothing.
    Void(Void),
    /// The site had said before that it cannot be tested.
    Unavailable,
}

/// What a test is judged by.
#[derive(Debug, Clone, Copy)]
pub struct Test<'t> {
    /// When it began.
    pub start: Timestamp,
    /// When its instruction was signed.
    pub issued_at: Timestamp,
    /// What was asked.
    pub asked: Milliwatts,
    /// The most that the site can give.
    pub nameplate: Milliwatts,
    /// The least share of what is asked that passes, in percent.
    pub least_percent: u32,
    /// The meter's intervals.
    pub interval: IntervalLength,
    /// How the site answered.
    pub answer: Answer,
    /// Whether an event had the site in some of the time that matters.
    pub in_event: bool,
    /// What the site said of when it cannot be tested.
    pub unavailable: &'t [Unavailability],
    /// What the meter of its connection counted.
    pub readings: &'t MeterReadings,
}

impl Test<'_> {
    /// The verdict. It follows from the arguments alone.
    ///
    /// # Errors
    /// [`ArithmeticError`] where readings are implausibly large.
    pub fn verdict(&self) -> Result<Verdict, ArithmeticError> {
        let excused = |span: &Unavailability| span.excuses(self.start, self.issued_at);
        if self.unavailable.iter().any(excused) {
            return Ok(Verdict::Unavailable);
        }
        if self.in_event {
            return Ok(Verdict::Void(Void::Event));
        }
        match self.answer {
            Answer::None => return Ok(Verdict::Failed(Failure::NoAnswer)),
            Answer::OptedOut => return Ok(Verdict::Failed(Failure::OptedOut)),
            Answer::OptedIn => {}
        }
        let Some(around) = Around::of(self.start, self.interval) else {
            return Ok(Verdict::Failed(Failure::NoReadings));
        };
        match Forecast::of(&around, self.readings) {
            Ok(forecast) => self.measured(&forecast),
            Err(ForecastError::NoReading(_)) => Ok(Verdict::Failed(Failure::NoReadings)),
            Err(ForecastError::Arithmetic(error)) => Err(error),
        }
    }

    fn measured(&self, forecast: &Forecast) -> Result<Verdict, ArithmeticError> {
        let least = power_share(self.asked, self.least_percent)?;
        let proven = power(forecast.spared_at_least()?)?;
        // A power of nothing proves nothing, whatever share is asked.
        if proven >= least && proven.is_positive() {
            let most = Ratio::whole(self.asked.min(self.nameplate).get().into());
            let capacity = floor(proven.min(most))?;
            return Ok(if capacity > Milliwatts::ZERO {
                Verdict::Passed(capacity)
            } else {
                Verdict::Failed(Failure::TooLittle)
            });
        }
        if power(forecast.spared_at_most()?)? >= least {
            return Ok(Verdict::Void(Void::OutsideBand));
        }
        Ok(Verdict::Failed(Failure::TooLittle))
    }
}

/// The power of an energy over a test, in milliwatts.
fn power(energy: Ratio) -> Result<Ratio, ArithmeticError> {
    const HOUR_SECONDS: i128 = 3_600;
    energy.checked_mul(Ratio::new(HOUR_SECONDS, TEST_SECONDS.into())?)
}

fn power_share(power: Milliwatts, percent: u32) -> Result<Ratio, ArithmeticError> {
    Ratio::whole(power.get().into()).checked_mul(Ratio::new(percent.into(), 100)?)
}

/// The whole milliwatts of what is not below zero.
fn floor(power: Ratio) -> Result<Milliwatts, ArithmeticError> {
    let overflow = ArithmeticError::Overflow { operation: "power" };
    let whole = power.numerator().checked_div_euclid(power.denominator());
    let whole = whole.and_then(|whole| i64::try_from(whole).ok());
    whole.map(Milliwatts::new).ok_or(overflow)
}
