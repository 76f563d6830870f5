//! Sending instructions until they are answered or expire.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use gridtally_link::Link;
use gridtally_protocol::identity::Digest;
use gridtally_protocol::time::Timestamp;
use gridtally_protocol::topic::{Topic, TopicKind};

use crate::store::events::{self, StoredInstruction};
use crate::store::{Store, StoreError};

/// An instruction without an answer is sent again after this time.
const SEND_AGAIN_AFTER: Duration = Duration::from_secs(10);

/// Remembers when an instruction was last sent; everything that matters is in the store.
#[derive(Debug, Default)]
pub struct Sender {
    sent: BTreeMap<Digest, Instant>,
}

impl Sender {
    /// After the link was down, everything is to be sent again.
    pub fn forget(&mut self) {
        self.sent.clear();
    }

    /// Sends what is due, and says how many instructions are neither answered nor expired.
    ///
    /// # Errors
    /// [`StoreError`] of the database.
    pub fn send_due(&mut self, store: &mut Store, link: &Link, now: Timestamp) -> Result<usize, StoreError> {
        let open = store.transact(|transaction| events::unanswered(transaction, now))?;
        self.sent
            .retain(|digest, _| open.iter().any(|i| i.digest == *digest));
        for instruction in &open {
            self.send_if_due(instruction, link);
        }
        Ok(open.len())
    }

    fn send_if_due(&mut self, instruction: &StoredInstruction, link: &Link) {
        let due = self
            .sent
            .get(&instruction.digest)
            .is_none_or(|sent| sent.elapsed() >= SEND_AGAIN_AFTER);
        if !due {
            return;
        }
        let topic = Topic {
            gateway: instruction.gateway,
            kind: TopicKind::Instruction,
        };
        match link.publish(&topic.to_string(), instruction.envelope.clone(), false) {
            Ok(()) => {
                self.sent.insert(instruction.digest, Instant::now());
            }
            Err(error) => tracing::debug!(%error, event = %instruction.event, "an instruction waits"),
        }
    }
}
