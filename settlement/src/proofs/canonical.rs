//! Whether a text is the one way to write something, found out without writing it anywhere.

use std::io::{self, ErrorKind, Write};

use serde::Serialize;

/// Whether a text is the canonical JSON of a content.
pub(super) fn is_text_of(text: &str, content: &impl Serialize) -> bool {
    let mut expected = Expected(text.as_bytes());
    serde_json::to_writer(&mut expected, content).is_ok() && expected.0.is_empty()
}

/// What is still to be written, as long as what is written is what is expected.
struct Expected<'t>(&'t [u8]);

impl Write for Expected<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 = self.0.strip_prefix(bytes).ok_or(ErrorKind::InvalidData)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_text_is_of_a_content_just_if_it_is_what_would_be_written(
            content in prop::collection::vec((any::<i64>(), "\\PC{0,8}"), 0..4), other in "\\PC{0,4}", cut in 0_usize..40,
        ) {
            let text = serde_json::to_string(&content).unwrap();
            prop_assert!(is_text_of(&text, &content));
            let shorter: String = text.chars().take(cut).collect();
            prop_assert_eq!(is_text_of(&shorter, &content), shorter == text);
            let longer = format!("{text}{other}");
            prop_assert_eq!(is_text_of(&longer, &content), other.is_empty());
        }
    }
}
