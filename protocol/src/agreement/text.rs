//! Signed messages as text: a claim as a URI that fits into a QR code, and files that people pass on.

use core::fmt;

use data_encoding::BASE64URL_NOPAD;

use super::{Accepted, Agreement, AgreementError};
use crate::envelope::ENVELOPE_LEN_MAX;

/// What a claim's text begins with; base64url of the envelope without padding (RFC 4648 §5) follows.
pub const CLAIM_SCHEME: &str = "gridtally:claim:";
const HEADLINE: &str = "gridtally-agreement 1";
/// Three envelopes as text, with their names.
const PAPERS_LEN_MAX: usize = 3 * (ENVELOPE_LEN_MAX / 3 * 4 + 64);

/// Why a text holds no such messages.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PapersError {
    /// Not what is expected.
    #[error("this is no text of {0}")]
    Form(&'static str),
    /// The messages.
    #[error(transparent)]
    Agreement(#[from] AgreementError),
    /// There is no admission yet.
    #[error("the operator has not admitted it yet")]
    NotAdmitted,
}

/// A claim's envelope as text.
#[must_use]
pub fn write_claim(envelope: &[u8]) -> String {
    format!("{CLAIM_SCHEME}{}", BASE64URL_NOPAD.encode(envelope))
}

/// The envelope in a claim's text; its content is not looked at.
///
/// # Errors
/// [`PapersError::Form`].
pub fn read_claim(text: &str) -> Result<Vec<u8>, PapersError> {
    let wrong = PapersError::Form("a claim, which begins with gridtally:claim:");
    let digits = text.strip_prefix(CLAIM_SCHEME);
    digits.and_then(decoded).ok_or(wrong)
}

fn decoded(digits: &str) -> Option<Vec<u8>> {
    if digits.len() > ENVELOPE_LEN_MAX.saturating_mul(2) {
        return None;
    }
    BASE64URL_NOPAD.decode(digits.as_bytes()).ok()
}

/// The envelopes of an agreement, as they are passed on in a file: a headline, then a line for each, `NAME BASE64URL`.
/// Without an admission it is what the owner hands to the operator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Papers {
    /// The gateway's.
    pub claim: Vec<u8>,
    /// The owner's.
    pub acceptance: Vec<u8>,
    /// The operator's, where there is one yet.
    pub admission: Option<Vec<u8>>,
}

impl Papers {
    /// Reads a file's text. There is one way to write it, line ends apart.
    ///
    /// # Errors
    /// [`PapersError::Form`]; signatures are not looked at.
    pub fn parse(text: &str) -> Result<Self, PapersError> {
        let wrong = PapersError::Form(HEADLINE);
        if text.len() > PAPERS_LEN_MAX {
            return Err(wrong);
        }
        let mut lines = text.lines();
        let headline = lines.next();
        let mut named = |name: &str| {
            let line = lines.next()?;
            decoded(line.strip_prefix(name)?.strip_prefix(' ')?)
        };
        let (claim, acceptance) = (named("claim"), named("acceptance"));
        let (Some(HEADLINE), Some(claim), Some(acceptance)) = (headline, claim, acceptance) else {
            return Err(wrong);
        };
        let papers = Self {
            claim,
            acceptance,
            admission: named("admission"),
        };
        // Nothing before, between or after.
        let is_all = papers.to_string().lines().eq(text.lines());
        is_all.then_some(papers).ok_or(wrong)
    }

    /// The claim and its acceptance, checked.
    ///
    /// # Errors
    /// [`AgreementError`].
    pub fn accepted(&self) -> Result<Accepted, AgreementError> {
        Accepted::open(&self.claim, &self.acceptance)
    }

    /// The whole agreement, checked.
    ///
    /// # Errors
    /// [`PapersError::NotAdmitted`] or [`PapersError::Agreement`].
    pub fn agreement(&self) -> Result<Agreement, PapersError> {
        let admission = self.admission.as_deref().ok_or(PapersError::NotAdmitted)?;
        Ok(Agreement::open(&self.claim, &self.acceptance, admission)?)
    }
}

impl fmt::Display for Papers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{HEADLINE}")?;
        let admission = self.admission.as_ref().map(|bytes| ("admission", bytes));
        let papers = [("claim", &self.claim), ("acceptance", &self.acceptance)];
        for (name, bytes) in papers.into_iter().chain(admission) {
            writeln!(f, "{name} {}", BASE64URL_NOPAD.encode(bytes))?;
        }
        Ok(())
    }
}

const CHANGE_HEADLINE: &str = "gridtally-change 1";
/// What changes an agreement, by the names that stand in its file.
const KINDS: [&str; 3] = ["rotation", "transfer", "revocation"];

/// A signed change, as it is passed on in a file: a headline, then a line for each signature, `KIND BASE64URL`. What
/// two sign stands there once until the second has signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangePapers {
    /// `rotation`, `transfer` or `revocation`.
    pub kind: &'static str,
    /// The envelope of who signs first.
    pub first: Vec<u8>,
    /// The envelope of who signs second, where it takes two.
    pub second: Option<Vec<u8>>,
}

impl ChangePapers {
    /// Reads a file's text. There is one way to write it, line ends apart.
    ///
    /// # Errors
    /// [`PapersError::Form`]; signatures are not looked at.
    pub fn parse(text: &str) -> Result<Self, PapersError> {
        let read = || {
            let mut lines = text.lines();
            lines.next().filter(|line| *line == CHANGE_HEADLINE)?;
            let (name, digits) = lines.next()?.split_once(' ')?;
            let kind = KINDS.into_iter().find(|kind| *kind == name)?;
            let papers = Self {
                kind,
                first: decoded(digits)?,
                second: lines.next().and_then(|line| decoded(line.split_once(' ')?.1)),
            };
            papers.to_string().lines().eq(text.lines()).then_some(papers)
        };
        let bounded = text.len() <= PAPERS_LEN_MAX;
        bounded
            .then(read)
            .flatten()
            .ok_or(PapersError::Form(CHANGE_HEADLINE))
    }
}

impl fmt::Display for ChangePapers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{CHANGE_HEADLINE}")?;
        for bytes in [Some(&self.first), self.second.as_ref()].into_iter().flatten() {
            writeln!(f, "{} {}", self.kind, BASE64URL_NOPAD.encode(bytes))?;
        }
        Ok(())
    }
}
