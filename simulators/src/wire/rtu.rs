//! Modbus RTU: frames after *MODBUS over Serial Line Specification and Implementation Guide V1.02*,
//! section 2.5.1, and a server of them.

use super::conversation::{Conversation, Framing, Heard};
use super::line::{Line, LineError, Port};
use super::{Bus, Link};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinHandle;

/// As long as a frame can be: unit, PDU and checksum.
const MAX_LEN: usize = 256;
/// Unit, function and checksum.
const MIN_LEN: usize = 4;

/// Devices on a serial line. Dropping it closes the line.
#[derive(Debug)]
pub(crate) struct RtuServer {
    path: PathBuf,
    task: JoinHandle<()>,
}

impl RtuServer {
    /// The silence that ends a frame. The specification's 3.5 characters are a few milliseconds;
    /// USB adapters and pseudo-terminals deliver in lumps, so it is longer here.
    pub(crate) const SILENCE: Duration = Duration::from_millis(50);

    /// Serves a bus on a serial line.
    ///
    /// # Errors
    /// If the line cannot be opened.
    pub(crate) fn open(line: &Line, bus: Arc<dyn Bus>) -> Result<Self, LineError> {
        Self::open_with_silence(line, Self::SILENCE, bus)
    }

    /// As [`open`](Self::open), with another silence that ends a frame.
    ///
    /// # Errors
    /// If the line cannot be opened.
    pub(crate) fn open_with_silence(
        line: &Line,
        silence: Duration,
        bus: Arc<dyn Bus>,
    ) -> Result<Self, LineError> {
        let port = Port::open(line)?;
        let path = port.path().to_owned();
        let task = tokio::spawn(converse(port, silence, bus));
        Ok(Self { path, task })
    }

    /// What a client opens.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for RtuServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn converse(port: Port, silence: Duration, bus: Arc<dyn Bus>) {
    let path = port.path().to_owned();
    match Conversation::new(port, Rtu { silence }, bus).run().await {
        Ok(()) => tracing::warn!(path = %path.display(), "the serial line hung up; its devices are gone"),
        Err(error) => {
            tracing::warn!(%error, path = %path.display(), "the serial line failed; its devices are gone");
        }
    }
}

/// Frames told apart by what their function makes their length, by their checksum, and by silence.
///
/// What cannot be a request is passed over byte by byte until something is. A beginning that could
/// become one is waited for until there is silence; then it, too, is passed over.
#[derive(Debug)]
struct Rtu {
    silence: Duration,
}

impl Framing for Rtu {
    fn silence(&self) -> Option<Duration> {
        Some(self.silence)
    }

    fn next(&self, heard: &[u8], after_silence: bool) -> Heard {
        let request = |len: usize| Heard::Request {
            link: Link::Rtu,
            unit: heard[0],
            pdu: 1..len - 2,
            len,
        };
        for start in 0..heard.len() {
            match examine(&heard[start..]) {
                Found::Frame(len) if start == 0 => return request(len),
                Found::Frame(_) => return Heard::Garbage(start),
                Found::Unfinished | Found::Unknown if !after_silence => {
                    return if start == 0 {
                        Heard::Unfinished
                    } else {
                        Heard::Garbage(start)
                    };
                }
                Found::Unfinished | Found::Unknown | Found::Nothing => {}
            }
        }
        // Between two silences stands one frame of a function whose length we do not know. Only of
        // all the bytes: among garbage one beginning in 65,536 would have a fitting checksum.
        match (examine(heard), heard.len()) {
            (_, 0) => Heard::Unfinished,
            (Found::Unknown, len) if is_sound(heard) => request(len),
            (_, len) => Heard::Garbage(len),
        }
    }
}

/// What can begin at some byte.
enum Found {
    /// A frame so long.
    Frame(usize),
    /// The beginning of a frame.
    Unfinished,
    /// A frame that only silence can end.
    Unknown,
    /// No frame.
    Nothing,
}

fn examine(bytes: &[u8]) -> Found {
    let len = match request_len(bytes) {
        Some(Length::Bytes(len)) => len,
        Some(Length::Unknown) if bytes.len() <= MAX_LEN => return Found::Unknown,
        Some(Length::Unknown) => return Found::Nothing,
        None => return Found::Unfinished,
    };
    match bytes.get(..len) {
        _ if len > MAX_LEN => Found::Nothing,
        None => Found::Unfinished,
        Some(frame) if is_sound(frame) => Found::Frame(len),
        Some(_) => Found::Nothing,
    }
}

enum Length {
    Bytes(usize),
    Unknown,
}

/// The length that a request's function gives it, checksum included, as far as its beginning tells
/// (*MODBUS Application Protocol V1.1b3*, section 6).
fn request_len(bytes: &[u8]) -> Option<Length> {
    let counted = |at: usize| Some(at + 3 + usize::from(*bytes.get(at)?));
    let len = match *bytes.get(1)? {
        0x01..=0x06 | 0x08 => 8,
        0x07 | 0x0B | 0x0C | 0x11 => MIN_LEN,
        0x0F | 0x10 => counted(6)?,
        0x14 | 0x15 => counted(2)?,
        0x16 => 10,
        0x17 => counted(10)?,
        0x18 => 6,
        0x2B if *bytes.get(2)? == 0x0E => 7,
        // No request has these: 0 is none, and from 128 on they are exceptions.
        0 | 0x80.. => 0,
        _ => return Some(Length::Unknown),
    };
    Some(Length::Bytes(len))
}

/// Whether a frame ends with its checksum, low byte first.
fn is_sound(frame: &[u8]) -> bool {
    frame.len() >= MIN_LEN
        && frame
            .split_last_chunk::<2>()
            .is_some_and(|(body, sum)| crc(body).to_le_bytes() == *sum)
}

/// Appends a frame.
pub(super) fn encode(unit: u8, pdu: &[u8], out: &mut Vec<u8>) {
    let start = out.len();
    out.push(unit);
    out.extend_from_slice(pdu);
    let sum = crc(&out[start..]);
    out.extend(sum.to_le_bytes());
}

/// CRC-16 with the reflected polynomial 0xA001 and all ones to begin with (section 6.2.2).
fn crc(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0xFFFF, |sum, byte| {
        (0..8).fold(sum ^ u16::from(*byte), |sum, _| {
            if sum & 1 == 0 {
                sum >> 1
            } else {
                (sum >> 1) ^ 0xA001
            }
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const FRAMING: Rtu = Rtu {
        silence: RtuServer::SILENCE,
    };

    fn frame(unit: u8, pdu: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        encode(unit, pdu, &mut out);
        out
    }

    /// The requests in what was heard before and after a silence, as (unit, PDU).
    fn requests(mut heard: &[u8], after_silence: bool) -> Vec<(u8, Vec<u8>)> {
        let mut found = Vec::new();
        loop {
            match FRAMING.next(heard, after_silence) {
                Heard::Request { unit, pdu, len, .. } => {
                    found.push((unit, heard[pdu].to_vec()));
                    heard = &heard[len..];
                }
                Heard::Garbage(len) => heard = &heard[len..],
                Heard::Unfinished | Heard::Broken => return found,
            }
        }
    }

    #[test]
    fn the_checksum_is_that_of_the_specification() {
        // The check value of CRC-16/MODBUS in the catalogue of parametrised CRC algorithms.
        assert_eq!(crc(b"123456789"), 0x4B37);
        assert_eq!(
            frame(0x02, &[0x07]),
            [0x02, 0x07, 0x41, 0x12],
            "the example of section 6.2.2"
        );
    }

    #[test]
    fn a_request_inside_the_data_of_an_unfinished_write_is_not_answered() {
        let read = frame(1, &[3, 0, 0, 0, 1]);
        let mut write = vec![1, 0x10, 0, 0, 0, 20, 40, 0];
        write.extend(&read);
        assert_eq!(requests(&write, false), []);
    }

    #[test]
    fn a_function_that_nobody_knows_is_a_frame_once_there_is_silence() {
        let custom = frame(9, &[0x41, 1, 2, 3]);
        assert_eq!(requests(&custom, false), []);
        assert_eq!(requests(&custom, true), [(9, vec![0x41, 1, 2, 3])]);
    }

    #[test]
    fn a_spoiled_request_is_passed_over_and_the_next_one_heard() {
        let mut bytes = frame(1, &[3, 0, 0, 0, 1]);
        bytes[7] ^= 1;
        bytes.extend(frame(1, &[3, 0, 9, 0, 1]));
        assert_eq!(requests(&bytes, true), [(1, vec![3, 0, 9, 0, 1])]);
    }

    #[test]
    fn what_would_be_longer_than_a_frame_can_be_is_not_waited_for() {
        let mut bytes = vec![1, 0x10, 0, 0, 0, 123, 250, 0];
        bytes.extend(frame(1, &[6, 0, 1, 0, 1]));
        assert!(matches!(FRAMING.next(&bytes, false), Heard::Garbage(_)));
        assert_eq!(requests(&bytes, true), [(1, vec![6, 0, 1, 0, 1])]);
    }

    proptest! {
        #[test]
        fn a_request_is_heard_after_any_garbage_and_silence(noise in prop::collection::vec(any::<u8>(), 0..40), unit in 1_u8..=247, address: u16, count in 1_u16..=125) {
            let mut pdu = vec![3];
            pdu.extend(address.to_be_bytes());
            pdu.extend(count.to_be_bytes());
            let request = frame(unit, &pdu);
            let heard = [noise.clone(), request].concat();
            let by_chance = (0..noise.len()).any(|start| (start..=heard.len()).any(|end| is_sound(&heard[start..end])));
            prop_assume!(!by_chance);
            let found = requests(&heard, true);
            prop_assert_eq!(found.last(), Some(&(unit, pdu)));
        }

        #[test]
        fn a_write_is_heard_with_its_last_byte_and_not_before(unit: u8, words in 1_u8..=123, fill: u8) {
            let mut pdu = vec![0x10, 0, 0, 0, words, 2 * words];
            pdu.extend(vec![fill; usize::from(2 * words)]);
            let bytes = frame(unit, &pdu);
            for end in 0..bytes.len() {
                prop_assert_eq!(FRAMING.next(&bytes[..end], false), Heard::Unfinished);
            }
            prop_assert_eq!(requests(&bytes, false), vec![(unit, pdu)]);
        }

        #[test]
        fn no_bytes_make_the_framing_panic_or_stand_still(bytes in prop::collection::vec(any::<u8>(), 0..600), after_silence: bool) {
            match FRAMING.next(&bytes, after_silence) {
                Heard::Request { pdu, len, .. } => prop_assert!(!pdu.is_empty() && pdu.end + 2 == len && len <= bytes.len()),
                Heard::Garbage(len) => prop_assert!(len > 0 && len <= bytes.len()),
                Heard::Unfinished => prop_assert!(bytes.is_empty() || !after_silence && bytes.len() <= MAX_LEN),
                Heard::Broken => prop_assert!(false),
            }
        }
    }
}
