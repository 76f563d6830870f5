//! Verification: what a stranger runs on a bundle. Needs nothing but the bundle, and believes nothing in it
//! but signatures.

use gridtally_protocol::identity::Identity;

use super::bundle::{Bundle, BundleError, STATEMENT, named};
use super::canonical;
use super::derive::{DeriveError, Derived, derive};
use crate::rules::statement::{SiteStatement, Statement};

/// Why a bundle is not what it claims to be.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// Its form, its hashes or its signature.
    #[error(transparent)]
    Bundle(#[from] BundleError),
    /// Signed by another engine than expected.
    #[error("signed by {found}, not by {expected}: this is another engine's bundle, or a forgery")]
    Engine {
        /// Whose bundle it should be.
        expected: Box<Identity>,
        /// Whose it is.
        found: Box<Identity>,
    },
    /// Its evidence makes no statement.
    #[error(transparent)]
    Derive(#[from] DeriveError),
    /// Its evidence makes another statement or transaction.
    #[error("record {record} does not follow from the evidence: {difference}")]
    Differs {
        /// Which record.
        record: &'static str,
        /// The first difference.
        difference: String,
    },
}

impl VerifyError {
    /// The name of the first record that is wrong, where it is a record.
    #[must_use]
    pub fn record(&self) -> Option<&str> {
        match self {
            Self::Bundle(BundleError::Record { name, .. }) => Some(name),
            Self::Bundle(BundleError::Missing { name }) => Some(name),
            Self::Derive(DeriveError { record, .. }) => Some(record),
            Self::Differs { record, .. } => Some(record),
            Self::Bundle(BundleError::Header { .. }) | Self::Engine { .. } => Some("header"),
            Self::Bundle(BundleError::TooLong { .. }) => None,
        }
    }
}

/// A bundle of which everything holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// The bundle.
    pub bundle: Bundle,
    /// What was derived from it anew.
    pub derived: Derived,
}

/// Checks everything: form, hashes, root, the engine's signature, every gateway's signature, and that the same
/// rules make the same statement and the same transaction of it, byte for byte.
///
/// # Errors
/// [`VerifyError`] with the first thing that does not hold.
pub fn verify(bytes: &[u8], engine: Option<&Identity>) -> Result<Verified, VerifyError> {
    let bundle = Bundle::parse(bytes)?;
    if let Some(expected) = engine.filter(|expected| **expected != bundle.engine()) {
        return Err(VerifyError::Engine {
            expected: Box::new(*expected),
            found: Box::new(bundle.engine()),
        });
    }
    let derived = derive(&bundle.evidence()?)?;
    let stated = bundle.statement_text()?;
    if !canonical::is_text_of(stated, &derived.statement) {
        let difference = difference(stated, &derived.statement);
        return Err(VerifyError::Differs {
            record: STATEMENT,
            difference,
        });
    }
    for (record, transaction) in named(&derived.bookings) {
        let derived = transaction.and_then(|t| serde_json::to_string(t).ok());
        if derived.as_deref() != bundle.transaction_text(record) {
            let difference = "the statement books other amounts".to_owned();
            return Err(VerifyError::Differs { record, difference });
        }
    }
    Ok(Verified { bundle, derived })
}

/// Where two statements part, in words.
fn difference(stated: &str, derived: &Statement) -> String {
    let Ok(stated) = Statement::from_bytes(stated.as_bytes()) else {
        return "it is no statement".to_owned();
    };
    if stated == *derived {
        return "it is not written in the one canonical form".to_owned();
    }
    let sites = stated
        .sites
        .iter()
        .zip(&derived.sites)
        .find(|(stated, derived)| stated != derived);
    match sites {
        Some((stated, derived)) => site_difference(stated, derived),
        None => format!(
            "its totals or terms; it pays {} base units, the evidence makes it {}",
            stated.totals.amount.base_units(),
            derived.totals.amount.base_units()
        ),
    }
}

fn site_difference(stated: &SiteStatement, derived: &SiteStatement) -> String {
    let lines = stated
        .lines
        .iter()
        .zip(&derived.lines)
        .find(|(stated, derived)| stated != derived);
    match lines {
        Some((stated_line, line)) => format!(
            "site {}, interval {}: it pays {} base units, the evidence makes it {}",
            stated.site,
            line.start,
            stated_line.amount.base_units(),
            line.amount.base_units()
        ),
        None => format!(
            "site {} stands where the evidence has site {}",
            stated.site, derived.site
        ),
    }
}
