//! The form of a signed note: a text, an empty line, signature lines.

use core::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use super::key::{KeyError, KeyName};

/// The longest note that is read, in bytes: room for 16 of the longest known signatures, and more.
pub const NOTE_LEN_MAX: usize = 256 * 1024;
/// The most signatures on a note that is read.
pub const SIGNATURES_MAX: usize = 64;
const DASH: &str = "\u{2014} ";

/// Why bytes are no signed note.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoteError {
    /// Longer than it may be.
    #[error("the note has {len} bytes; more than {NOTE_LEN_MAX} are not read")]
    TooLong {
        /// How long it is, as far as that was read.
        len: usize,
    },
    /// Not UTF-8, or with control characters.
    #[error("the note is not UTF-8 text without control characters")]
    NotText,
    /// The text and its signatures are not one above the other.
    #[error("not a signed note: no text, an empty line and signature lines, each ended by a line feed")]
    Form,
    /// A signature line is not one.
    #[error("signature line {line} is not “— NAME BASE64”: {why}")]
    Line {
        /// Counted from 1.
        line: usize,
        /// What is wrong.
        why: &'static str,
    },
    /// Too many of them.
    #[error("the note has more than {SIGNATURES_MAX} signatures")]
    TooMany,
}

/// A line of a note: who claims to have signed it, and with what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignatureLine {
    /// The name of the key.
    pub name: KeyName,
    /// The first four bytes of the key's hash.
    pub key_id: [u8; 4],
    /// What the key's algorithm makes.
    pub signature: Vec<u8>,
}

impl SignatureLine {
    /// Reads a line, without its line feed.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(line: &str) -> Result<Self, &'static str> {
        let (name, encoded) = line
            .strip_prefix(DASH)
            .ok_or("it begins with an em dash and a space")?
            .split_once(' ')
            .ok_or("a name, a space and a signature follow the dash")?;
        let name = name
            .parse()
            .map_err(|_: KeyError| "the name has a space or plus, or is too long")?;
        let bytes = BASE64
            .decode(encoded)
            .map_err(|_| "the signature is not canonical Base64")?;
        match bytes.split_first_chunk::<4>() {
            Some((key_id, signature)) if !signature.is_empty() => Ok(Self {
                name,
                key_id: *key_id,
                signature: signature.to_vec(),
            }),
            _ => Err("four bytes of a key's hash and a signature are encoded in it"),
        }
    }
}

impl fmt::Display for SignatureLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = [self.key_id.as_slice(), &self.signature].concat();
        write!(f, "{DASH}{} {}", self.name, BASE64.encode(bytes))
    }
}

/// A text with signature lines, none of which has been verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    text: String,
    /// The lines below the text.
    pub signatures: Vec<SignatureLine>,
}

impl Note {
    /// A note that nobody has signed yet.
    ///
    /// # Errors
    /// [`NoteError`] where a note cannot have such a text.
    pub fn unsigned(text: String) -> Result<Self, NoteError> {
        if text.len() > NOTE_LEN_MAX {
            return Err(NoteError::TooLong { len: text.len() });
        }
        if text.chars().any(is_forbidden) {
            return Err(NoteError::NotText);
        }
        if !text.ends_with('\n') {
            return Err(NoteError::Form);
        }
        Ok(Self {
            text,
            signatures: Vec::new(),
        })
    }

    /// Reads a note.
    ///
    /// # Errors
    /// [`NoteError`].
    pub fn parse(bytes: &[u8]) -> Result<Self, NoteError> {
        if bytes.len() > NOTE_LEN_MAX {
            return Err(NoteError::TooLong { len: bytes.len() });
        }
        let whole = core::str::from_utf8(bytes).map_err(|_| NoteError::NotText)?;
        // The last empty line divides, so that a text may have some of its own.
        let (text, lines) = whole.rsplit_once("\n\n").ok_or(NoteError::Form)?;
        let lines = lines.strip_suffix('\n').ok_or(NoteError::Form)?;
        let mut note = Self::unsigned(format!("{text}\n"))?;
        for (line, number) in lines.split('\n').zip(1_usize..) {
            if number > SIGNATURES_MAX {
                return Err(NoteError::TooMany);
            }
            let fail = |why| NoteError::Line { line: number, why };
            note.signatures.push(SignatureLine::parse(line).map_err(fail)?);
        }
        Ok(note)
    }

    /// What is signed, with its last line feed.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.text)?;
        self.signatures.iter().try_for_each(|line| writeln!(f, "{line}"))
    }
}

fn is_forbidden(character: char) -> bool {
    character < ' ' && character != '\n'
}
