//! Recordings: what a real device answered, in a file, to be played again without it.
//!
//! A bug report holds one; a test serves it. The format is described in `docs/recordings.md`.

mod format;
mod recorder;
mod redact;
mod source;

pub use format::{Block, Recording, RecordingError, Snapshot};
pub use recorder::{NoSpan, RecordError, RecordOptions, Recorded, Span, record};
pub use redact::{Redaction, redact};
pub use source::{SourceError, Target};

use crate::device::{Device, DeviceState};
use crate::registers::RegisterMap;
use crate::replay::{Frame, Replay};

impl Device {
    /// A device that answers as the recorded one did; snapshots are played in a circle. A chain of
    /// SunSpec models is recognised, so that faults of values and chain work on it. Writes meet
    /// exception 2: a recording obeys nobody.
    ///
    /// Time stands still until [`advance_to`](Self::advance_to).
    #[must_use]
    pub fn replay(recording: &Recording, name: impl Into<String>) -> Self {
        let plain = |blocks: &[Block]| blocks.iter().map(Block::part).collect::<Vec<_>>();
        let map = RegisterMap::plain(plain(&recording.blocks));
        let map = match recording.base {
            Some(base) => map.recognised(base),
            None => map,
        };
        let first = Frame {
            second: 0,
            blocks: plain(&recording.blocks),
        };
        let later = recording.snapshots.iter().map(|snapshot| Frame {
            second: i64::from(snapshot.seconds),
            blocks: plain(&snapshot.blocks),
        });
        let frames = std::iter::once(first).chain(later).collect();
        let replay = Replay::new(frames, i64::from(recording.seconds()));
        Self::new(DeviceState::replayed(name.into(), recording.unit, map, replay, 0))
    }

    /// Moves a replayed device to this instant, in Unix seconds; the first one is where the recording
    /// begins. A simulated device is moved by its home, and stays as it is.
    pub fn advance_to(&self, unix_seconds: i64) {
        let mut state = self.lock();
        if state.role().is_none() {
            state.tick(unix_seconds);
        }
    }
}
