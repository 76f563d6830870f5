//! Why work cannot be paid for.

use gridtally_protocol::time::Timestamp;

use crate::rules::exact::Ratio;
use crate::rules::statement::{AmountError, SiteId};

/// Why work cannot be paid for: the inputs contradict one another, or a value does not fit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PaymentError {
    /// The event's intervals are not in order, one after the other.
    #[error("the event has no interval, or its intervals are not each once and in order")]
    Starts,
    /// A value of the event's is below zero.
    #[error("the event's {what} is below zero")]
    NegativeEvent {
        /// Which.
        what: &'static str,
    },
    /// A site stands twice.
    #[error("site {site} is given twice")]
    SiteTwice {
        /// The site.
        site: SiteId,
    },
    /// An interval stands twice.
    #[error("site {site}: the interval from {start} is given twice")]
    IntervalTwice {
        /// The site.
        site: SiteId,
        /// The interval.
        start: Timestamp,
    },
    /// An interval is not one of the event's.
    #[error("site {site}: the interval from {start} is none of the event's")]
    ForeignInterval {
        /// The site.
        site: SiteId,
        /// The interval.
        start: Timestamp,
    },
    /// A value is below zero.
    #[error("site {site}: the {what} is below zero")]
    Negative {
        /// The site.
        site: SiteId,
        /// Which.
        what: &'static str,
    },
    /// A quality is no share.
    #[error("site {site}: a quality of {quality} is not within 0 to 1")]
    Quality {
        /// The site.
        site: SiteId,
        /// As given.
        quality: Ratio,
    },
    /// An earlier event of no length.
    #[error("site {site}: an earlier event of the season lasts 0 seconds")]
    EventOfNoLength {
        /// The site.
        site: SiteId,
    },
    /// A site was not among those that the pool was shared out to.
    #[error("site {site}: the pool was shared out without it; give its weight, be it 0")]
    NoShare {
        /// The site.
        site: SiteId,
    },
    /// A value does not fit.
    #[error("{}: {error}", site.as_ref().map_or_else(|| "the totals".to_owned(), |s| format!("site {s}")))]
    Arithmetic {
        /// The site, where it is one's.
        site: Option<SiteId>,
        /// What does not fit.
        error: AmountError,
    },
}
