//! What happens in a neighbourhood, and when: plain data.

use gridtally_protocol::quantity::Milliwatts;
use gridtally_protocol::time::{IntervalLength, Timestamp};

/// A span of simulated time, `[from, until)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// Its first instant.
    pub from: Timestamp,
    /// The first instant after it.
    pub until: Timestamp,
}

impl Span {
    /// Whether the instant lies in it.
    #[must_use]
    pub fn contains(&self, instant: Timestamp) -> bool {
        self.from <= instant && instant < self.until
    }
}

/// The operator's event.
#[derive(Debug, Clone)]
pub struct EventPlan {
    /// Its name.
    pub id: String,
    /// When the operator announces it.
    pub announced_at: Timestamp,
    /// Its window.
    pub window: Span,
    /// What each battery is asked to give.
    pub discharge: Milliwatts,
}

/// A neighbourhood and its story. Homes are numbered from 1.
#[derive(Debug, Clone)]
pub struct Scenario {
    /// All differences between homes, the weather and the keys follow from it.
    pub seed: u64,
    /// How many homes.
    pub homes: usize,
    /// The first interval starts here.
    pub start: Timestamp,
    /// The last interval ends here.
    pub end: Timestamp,
    /// The length of the metering intervals, which is also the step of simulated time.
    pub interval: IntervalLength,
    /// How many intervals travel in one report.
    pub intervals_per_report: u16,
    /// The operator's event.
    pub event: EventPlan,
    /// This home's owner does not take part.
    pub opted_out: Option<usize>,
    /// This home's link is down for a while.
    pub offline: Option<(usize, Span)>,
    /// This home's meter replies nonsense for a while.
    pub nonsense: Option<(usize, Span)>,
    /// This home's owner keeps a high reserve, so that its battery stops early.
    pub high_reserve: Option<usize>,
    /// This home signs a second, richer version of a report.
    pub equivocator: Option<usize>,
    /// A stranger on the broker forges and replays once the event is over; the first two homes are online then.
    pub forger: bool,
}

const DAY: i64 = 86_400;
const HOUR: i64 = 3_600;

/// Midnight of 9 April 2026 in London, a Thursday of British summer time.
const FIRST_MIDNIGHT: i64 = 1_775_689_200;

impl Scenario {
    /// Twelve homes, fifteen days, an event on the last evening: what `gridtally demo` plays.
    #[must_use]
    pub fn demo() -> Self {
        let last_day = at(FIRST_MIDNIGHT + 14 * DAY);
        Self {
            seed: 2026,
            homes: 12,
            start: at(FIRST_MIDNIGHT),
            end: later(last_day, DAY),
            interval: IntervalLength::FIVE_MINUTES,
            intervals_per_report: 12,
            event: evening_event(last_day),
            opted_out: Some(3),
            offline: Some((
                5,
                Span {
                    from: later(last_day, 18 * HOUR + 1_200),
                    until: later(last_day, 22 * HOUR),
                },
            )),
            nonsense: Some((8, span(at(FIRST_MIDNIGHT + 7 * DAY), 11 * HOUR, 12 * HOUR))),
            high_reserve: Some(10),
            equivocator: Some(11),
            forger: true,
        }
    }

    /// Three homes, eight days, half-hourly: small enough to be run over and over.
    #[must_use]
    pub fn small(seed: u64) -> Self {
        let last_day = at(FIRST_MIDNIGHT + 7 * DAY);
        Self {
            seed,
            homes: 3,
            start: at(FIRST_MIDNIGHT),
            end: later(last_day, DAY),
            interval: IntervalLength::HALF_HOUR,
            intervals_per_report: 2,
            event: evening_event(last_day),
            opted_out: None,
            offline: Some((
                2,
                Span {
                    from: later(last_day, 18 * HOUR + 1_800),
                    until: later(last_day, 22 * HOUR),
                },
            )),
            nonsense: Some((3, span(at(FIRST_MIDNIGHT + DAY), 11 * HOUR, 12 * HOUR))),
            high_reserve: None,
            equivocator: None,
            forger: false,
        }
    }

    /// The instants at which simulated time stops, from the start to the end.
    pub fn steps(&self) -> impl Iterator<Item = Timestamp> + use<> {
        let (start, end) = (self.start, self.end);
        let length = i64::from(self.interval.seconds());
        (0..)
            .map(move |n| later(start, n * length))
            .take_while(move |now| *now <= end)
    }

    /// The name of a home's site.
    #[must_use]
    pub fn site(home: usize) -> String {
        format!("home-{home:02}")
    }
}

fn evening_event(midnight: Timestamp) -> EventPlan {
    EventPlan {
        id: "evening-peak".into(),
        announced_at: later(midnight, 12 * HOUR),
        window: span(midnight, 18 * HOUR, 20 * HOUR),
        discharge: Milliwatts::new(3_000_000),
    }
}

fn span(midnight: Timestamp, from: i64, until: i64) -> Span {
    Span {
        from: later(midnight, from),
        until: later(midnight, until),
    }
}

fn at(unix: i64) -> Timestamp {
    Timestamp::from_unix(unix).unwrap_or(Timestamp::EPOCH)
}

fn later(instant: Timestamp, seconds: i64) -> Timestamp {
    instant.checked_add(seconds).unwrap_or(instant)
}
