//! Bytes in records: lower-case hexadecimal text, and nothing else. Most of a bundle is such text, so how fast it is read
//! is how fast a bundle is.

use std::fmt;

use data_encoding::HEXLOWER;
use serde::de::{self, Visitor};
use serde::{Deserializer, Serializer};

pub(in crate::proofs) fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&HEXLOWER.encode(bytes))
}

pub(in crate::proofs) fn deserialize<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Vec<u8>, D::Error> {
    deserializer.deserialize_str(Digits)
}

/// Reads the text where it stands, without a copy of it.
struct Digits;

impl Visitor<'_> for Digits {
    type Value = Vec<u8>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("bytes as hexadecimal digits in lower case")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Vec<u8>, E> {
        let no_digits = |error| E::custom(format!("no hexadecimal digits in lower case: {error}"));
        HEXLOWER.decode(text.as_bytes()).map_err(no_digits)
    }
}

#[cfg(test)]
mod tests {
    use serde::{Deserialize, Serialize};

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Bytes(#[serde(with = "super")] Vec<u8>);

    #[test]
    fn there_is_one_way_to_write_bytes() {
        let bytes = Bytes((0..=255).collect());
        let text = serde_json::to_string(&bytes).unwrap();
        assert!(text.starts_with("\"000102") && text.ends_with("fdfeff\""));
        assert_eq!(serde_json::from_str::<Bytes>(&text).unwrap(), bytes);
        for wrong in ["\"0A\"", "\"0\"", "\"0g\"", "\"0 \"", "\"00 \"", "\"é\"", "7"] {
            let refused = serde_json::from_str::<Bytes>(wrong).unwrap_err().to_string();
            assert!(
                refused.contains("hexadecimal digits in lower case"),
                "{wrong}: {refused}"
            );
        }
    }
}
