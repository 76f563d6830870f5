//! What an entry of the log says: that a record of some kind, under a name, with a digest, exists.
//!
//! One line of JSON in exactly this form, without a line feed:
//!
//! ```text
//! {"kind":"statement","name":"tuesday/1","digest":"3b1f…64 hexadecimal digits"}
//! ```

use core::fmt;
use core::str::FromStr;

use gridtally_protocol::identity::Digest;

use crate::merkle;

/// The longest name, in bytes.
pub const NAME_LEN_MAX: usize = 200;
/// No entry of this log is longer, in bytes.
pub const LEAF_LEN_MAX: usize = 512;

/// What sort of record a leaf stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// The newest report of a gateway's chain that the engine had accepted.
    ReportHead,
    /// Who may report what, and is paid.
    Enrolment,
    /// An event as it was announced, changed or cancelled.
    Event,
    /// What sites did and get.
    Statement,
    /// A transaction of the ledger.
    Transaction,
    /// A version of a program's rules.
    Rules,
    /// What addresses may claim on chain.
    PayoutRoot,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::ReportHead,
        Self::Enrolment,
        Self::Event,
        Self::Statement,
        Self::Transaction,
        Self::Rules,
        Self::PayoutRoot,
    ];

    /// As it stands in a leaf.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ReportHead => "report_head",
            Self::Enrolment => "enrolment",
            Self::Event => "event",
            Self::Statement => "statement",
            Self::Transaction => "transaction",
            Self::Rules => "rules",
            Self::PayoutRoot => "payout_root",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Kind {
    type Err = LeafError;

    fn from_str(text: &str) -> Result<Self, LeafError> {
        let known = Self::ALL.into_iter().find(|kind| kind.as_str() == text);
        known.ok_or(LeafError::Kind)
    }
}

/// What a record is called: 1 to 200 characters of visible ASCII, without a quotation mark or backslash, so that
/// JSON has one way of writing it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(String);

impl Name {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl FromStr for Name {
    type Err = LeafError;

    fn from_str(text: &str) -> Result<Self, LeafError> {
        let visible = |byte: u8| byte.is_ascii_graphic() && byte != b'"' && byte != b'\\';
        if text.is_empty() || text.len() > NAME_LEN_MAX || !text.bytes().all(visible) {
            return Err(LeafError::Name);
        }
        Ok(Self(text.to_owned()))
    }
}

/// Why bytes are no leaf.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LeafError {
    /// The name of a record.
    #[error("a record's name is 1 to {NAME_LEN_MAX} visible ASCII characters without \" and \\")]
    Name,
    /// What sort of record.
    #[error("the kinds of records are report_head, enrolment, event, statement, transaction and rules")]
    Kind,
    /// The whole.
    #[error(r#"not a leaf of this log; one looks like {{"kind":"event","name":"tuesday","digest":"3b1f…"}}"#)]
    Form,
}

/// A record, named by kind, name and digest.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Leaf {
    /// What sort of record.
    pub kind: Kind,
    /// What it is called; stable over its versions.
    pub name: Name,
    /// SHA-256 of the record's bytes.
    pub digest: Digest,
}

impl Leaf {
    /// The entry's bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        self.to_string().into_bytes()
    }

    /// Reads an entry.
    ///
    /// # Errors
    /// [`LeafError`] for anything that [`Leaf::encode`] would not write.
    pub fn decode(bytes: &[u8]) -> Result<Self, LeafError> {
        if bytes.len() > LEAF_LEN_MAX {
            return Err(LeafError::Form);
        }
        let read = || {
            let text = core::str::from_utf8(bytes).ok()?;
            let (kind, rest) = text.strip_prefix(r#"{"kind":""#)?.split_once(r#"","name":""#)?;
            let (name, rest) = rest.split_once(r#"","digest":""#)?;
            let digest = rest.strip_suffix(r#""}"#)?.parse().ok()?;
            Some((kind, name, digest))
        };
        let (kind, name, digest) = read().ok_or(LeafError::Form)?;
        Ok(Self {
            kind: kind.parse()?,
            name: name.parse()?,
            digest,
        })
    }

    /// Its hash in the tree.
    #[must_use]
    pub fn hash(&self) -> Digest {
        merkle::leaf(&self.encode())
    }
}

impl fmt::Display for Leaf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, name, digest } = self;
        write!(f, r#"{{"kind":"{kind}","name":"{name}","digest":"{digest}"}}"#)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const EVENT: &str = concat!(
        r#"{"kind":"event","name":"tuesday/1","digest":""#,
        r#"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"}"#
    );

    #[test]
    fn a_leaf_is_one_line_of_json() {
        let leaf = Leaf {
            kind: Kind::Event,
            name: "tuesday/1".parse().unwrap(),
            digest: Digest::of(b""),
        };
        assert_eq!(leaf.to_string(), EVENT);
        assert_eq!(Leaf::decode(EVENT.as_bytes()), Ok(leaf));
    }

    #[test]
    fn the_longest_leaf_has_room() {
        let leaf = Leaf {
            kind: Kind::ReportHead,
            name: "~".repeat(NAME_LEN_MAX).parse().unwrap(),
            digest: Digest::NONE,
        };
        assert!(leaf.encode().len() <= LEAF_LEN_MAX);
        assert_eq!(Leaf::decode(&leaf.encode()), Ok(leaf));
        assert_eq!("~".repeat(NAME_LEN_MAX + 1).parse::<Name>(), Err(LeafError::Name));
    }

    #[test]
    fn any_other_way_of_writing_it_is_refused() {
        for wrong in [
            EVENT.replace(':', ": "),
            EVENT.replace("event", "evening"),
            EVENT.replace("tuesday", "tues day"),
            EVENT.replace("tuesday/1", ""),
            EVENT.replace("/1", "\\u0041"),
            EVENT.replace("e3b0", "E3B0"),
            EVENT.replace("e3b0", "e3"),
            format!("{EVENT}\n"),
            String::new(),
        ] {
            assert!(Leaf::decode(wrong.as_bytes()).is_err(), "{wrong}");
        }
        assert!("".parse::<Name>().is_err() && "tür".parse::<Name>().is_err());
    }

    proptest! {
        #[test]
        fn what_is_read_is_written_back(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            if let Ok(leaf) = Leaf::decode(&bytes) {
                prop_assert_eq!(leaf.encode(), bytes);
            }
        }

        #[test]
        fn what_is_written_reads_back(kind in 0..6_usize, name in "[!#-\\[\\]-~]{1,200}", digest in any::<[u8; 32]>()) {
            let leaf = Leaf { kind: Kind::ALL[kind], name: name.parse().unwrap(), digest: Digest::from_bytes(digest) };
            prop_assert_eq!(Leaf::decode(&leaf.encode()), Ok(leaf));
        }
    }
}
