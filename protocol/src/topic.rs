//! MQTT topics: `gridtally/v1/<gateway>/<kind>`, the gateway as the multibase text of its key.

use core::fmt;
use core::str::FromStr;

use crate::identity::{Identity, IdentityError};

const PREFIX: &str = "gridtally/v1";

/// Engine to every gateway: the [beacon](crate::beacon) of the epoch, retained. The only topic that is nobody's own.
pub const BEACON_TOPIC: &str = "gridtally/v1/beacon";

/// What travels on a topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum TopicKind {
    /// Gateway to engine: readings.
    Report,
    /// Gateway to whoever listens: online or offline, retained, with a last will. Not signed, and nothing rests on it.
    Status,
    /// Engine to gateway: what it is asked to do.
    Instruction,
    /// Gateway to engine: what it did.
    Acknowledgement,
    /// Engine to gateway: what is held durably.
    Receipt,
    /// Engine to gateway: which reports are missed.
    Resend,
    /// Engine to gateway: what an event was settled with.
    Statement,
    /// Gateway to engine: what a meter has signed itself.
    Original,
}

impl TopicKind {
    /// Every kind there is.
    pub const ALL: [Self; 8] = [
        Self::Report,
        Self::Status,
        Self::Instruction,
        Self::Acknowledgement,
        Self::Receipt,
        Self::Resend,
        Self::Statement,
        Self::Original,
    ];

    /// The last segment of the topic.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Report => "report",
            Self::Status => "status",
            Self::Instruction => "instruction",
            Self::Acknowledgement => "ack",
            Self::Receipt => "receipt",
            Self::Resend => "resend",
            Self::Statement => "statement",
            Self::Original => "original",
        }
    }

    /// The filter that takes this kind from every gateway.
    #[must_use]
    pub fn filter_for_all(self) -> String {
        format!("{PREFIX}/+/{}", self.name())
    }
}

/// Why a text is none of our topics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TopicError {
    /// Not `gridtally/v1/<gateway>/<kind>`.
    #[error(
        "not a topic of the form gridtally/v1/<gateway>/report|status|instruction|ack|receipt|resend|statement|original"
    )]
    Form,
    /// The gateway's segment is no key.
    #[error("the topic's gateway is unusable: {0}")]
    Gateway(#[from] IdentityError),
}

/// A topic of one gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Topic {
    /// Whose.
    pub gateway: Identity,
    /// What travels on it.
    pub kind: TopicKind,
}

impl fmt::Display for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}/{}/{}", self.gateway.multibase(), self.kind.name())
    }
}

impl FromStr for Topic {
    type Err = TopicError;
    fn from_str(text: &str) -> Result<Self, TopicError> {
        let rest = text
            .strip_prefix(PREFIX)
            .and_then(|r| r.strip_prefix('/'))
            .ok_or(TopicError::Form)?;
        let (gateway, kind) = rest.split_once('/').ok_or(TopicError::Form)?;
        let kind = TopicKind::ALL
            .into_iter()
            .find(|k| k.name() == kind)
            .ok_or(TopicError::Form)?;
        Ok(Self {
            gateway: Identity::from_multibase(gateway)?,
            kind,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GATEWAY: &str = "z6MktwupdmLXVVqTzCw4i46r4uGyosGXRnR3XjN4Zq7oMMsw";

    #[test]
    fn topics_are_the_documented_texts_and_read_back() {
        let names = [
            "report",
            "status",
            "instruction",
            "ack",
            "receipt",
            "resend",
            "statement",
            "original",
        ];
        for (kind, name) in TopicKind::ALL.into_iter().zip(names) {
            let text = format!("gridtally/v1/{GATEWAY}/{name}");
            let topic: Topic = text.parse().unwrap();
            assert_eq!((topic.kind, topic.gateway.multibase().as_str()), (kind, GATEWAY));
            assert_eq!(topic.to_string(), text);
            assert_eq!(kind.filter_for_all(), format!("gridtally/v1/+/{name}"));
        }
    }

    #[test]
    fn any_other_text_is_refused() {
        let texts = [
            String::new(),
            format!("gridtally/v1/{GATEWAY}"),
            format!("gridtally/v1/{GATEWAY}/"),
            format!("gridtally/v1/{GATEWAY}/Report"),
            format!("gridtally/v1/{GATEWAY}/report/"),
            format!("gridtally/v1/{GATEWAY}/report/x"),
            format!("gridtally/v1//{GATEWAY}/report"),
            format!("/gridtally/v1/{GATEWAY}/report"),
            format!("gridtally/v2/{GATEWAY}/report"),
            format!("gridtally/v1/did:key:{GATEWAY}/report"),
            "gridtally/v1/+/report".to_owned(),
            "gridtally/v1/#".to_owned(),
            BEACON_TOPIC.to_owned(),
            format!("gridtally/v1/{GATEWAY}\0/report"),
        ];
        for text in texts {
            assert!(text.parse::<Topic>().is_err(), "{text:?} was accepted");
        }
    }
}
