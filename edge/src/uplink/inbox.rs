//! What comes from the broker, which is a stranger: believed only when the pinned engine signed it for
//! this gateway. What cannot be believed is passed over with a reason in the log, and acknowledged to the
//! broker, so that it does not come again.

use gridtally_protocol::beacon::Beacon;
use gridtally_protocol::identity::Identity;
use gridtally_protocol::instruction::{EventId, Instruction};
use gridtally_protocol::message::{Message as _, MessageError, Signed};
use gridtally_protocol::receipt::Receipt;
use gridtally_protocol::report::ClockState;
use gridtally_protocol::resend::ResendRequest;
use gridtally_protocol::statement::SiteStatement;
use gridtally_protocol::time::Timestamp;
use gridtally_protocol::topic::{BEACON_TOPIC, Topic, TopicKind};

use crate::config::OwnerConfig;
use crate::control::policy::{self, Decision, Home, Moment};
use crate::outbox::{Again, Kept, Outbox, OutboxError, Receipted};

/// A request to send again is answered when it was issued within this time of our clock, either way.
const FRESH_SECONDS: i64 = 3_600;

/// Why a message is passed over.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Ignored {
    /// It is no message of its topic's kind, or its signature is not good.
    #[error("it cannot be read: {0}")]
    Unreadable(#[from] MessageError),
    /// Somebody else signed it.
    #[error("{signer} signed it, which is not the engine of the config")]
    Stranger {
        /// Who signed.
        signer: Box<Identity>,
    },
    /// It is for another gateway.
    #[error("it is for {gateway}")]
    Misdirected {
        /// For whom it is.
        gateway: Box<Identity>,
    },
    /// A later instruction was taken already, or another one of the same number.
    #[error(
        "its number {sequence} is not above {taken}, the last that was taken: it is replayed or out of order"
    )]
    Replayed {
        /// Its number.
        sequence: u64,
        /// The last that was taken.
        taken: u64,
    },
    /// It was taken before.
    #[error("it was taken before")]
    Known,
    /// A request to send again that was issued too long ago, or lies ahead.
    #[error("it was issued at {issued_at}, and it is {now}; the clocks differ too much, or it was held back")]
    NotFresh {
        /// When it was issued.
        issued_at: Timestamp,
        /// The time here.
        now: Timestamp,
    },
    /// A request to send again that is no later than the last one that was answered.
    #[error("it was issued at {issued_at}, not after the last one that was answered, of {answered}")]
    AskedBefore {
        /// When it was issued.
        issued_at: Timestamp,
        /// When the last one was.
        answered: Timestamp,
    },
    /// Another statement of the same event and version was taken before.
    #[error("another statement of version {version} of event {event} is held already, and stays")]
    Contradicts {
        /// Which event.
        event: EventId,
        /// Which version.
        version: u32,
    },
    /// The topic is none that this gateway listens to.
    #[error("nothing is expected on topic {topic}")]
    Topic {
        /// The topic.
        topic: String,
    },
    /// It is longer than any message.
    #[error("it has {len} bytes, more than any message")]
    TooLong {
        /// Its length.
        len: usize,
    },
}

/// What a message brought about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Handled {
    /// A receipt, taken.
    Receipt(Receipted),
    /// An instruction, answered.
    Instruction,
    /// A request to send again: what is to be sent.
    Again(Again),
    /// What an event was settled with: kept, or kept before.
    Statement(Kept),
    /// A beacon: whether it is a new one.
    Beacon(bool),
    /// Nothing.
    Ignored(Ignored),
}

/// What a gateway needs to know to judge what it is sent.
#[derive(Debug, Clone)]
pub struct Judge {
    /// Whose word counts.
    pub engine: Identity,
    /// What the owner allows.
    pub owner: OwnerConfig,
    /// What the home has.
    pub home: Home,
    /// How far the clock is trusted.
    pub clock: ClockState,
}

impl Judge {
    /// Judges a message and makes its effect durable. Only then may it be acknowledged to the broker.
    ///
    /// # Errors
    /// [`OutboxError`]: the message is to be delivered again.
    pub fn handle(
        &self,
        outbox: &mut Outbox,
        topic: &str,
        payload: &[u8],
        now: Timestamp,
    ) -> Result<Handled, OutboxError> {
        if topic == BEACON_TOPIC {
            return Ok(match self.open_beacon(payload) {
                Ok(beacon) => Handled::Beacon(outbox.hold_beacon(&beacon)),
                Err(ignored) => Handled::Ignored(ignored),
            });
        }
        let gateway = outbox.identity();
        let kind = topic
            .parse::<Topic>()
            .ok()
            .filter(|t| t.gateway == gateway)
            .map(|t| t.kind);
        match kind {
            Some(TopicKind::Receipt) => match self.open_receipt(gateway, payload) {
                Ok(receipt) => Ok(Handled::Receipt(outbox.receipt(&receipt.entries, now)?)),
                Err(ignored) => Ok(Handled::Ignored(ignored)),
            },
            Some(TopicKind::Resend) => self.send_again(outbox, payload, now),
            Some(TopicKind::Instruction) => self.take_instruction(outbox, payload, now),
            Some(TopicKind::Statement) => self.take_statement(outbox, payload, now),
            _ => Ok(Handled::Ignored(Ignored::Topic {
                topic: topic.chars().take(120).collect(),
            })),
        }
    }

    fn open_beacon(&self, payload: &[u8]) -> Result<Signed<Beacon>, Ignored> {
        let signed = Beacon::open(payload)?;
        self.check_signer(signed.signer)?;
        Ok(signed)
    }

    fn open_receipt(&self, gateway: Identity, payload: &[u8]) -> Result<Receipt, Ignored> {
        let signed = Receipt::open(payload)?;
        self.check(signed.signer, signed.message.gateway, gateway)?;
        Ok(signed.message)
    }

    fn send_again(
        &self,
        outbox: &mut Outbox,
        payload: &[u8],
        now: Timestamp,
    ) -> Result<Handled, OutboxError> {
        let request = match self.open_resend(outbox.identity(), payload) {
            Ok(request) => request,
            Err(ignored) => return Ok(Handled::Ignored(ignored)),
        };
        let issued_at = request.issued_at;
        if now.seconds_since(issued_at).abs() > FRESH_SECONDS {
            return Ok(Handled::Ignored(Ignored::NotFresh { issued_at, now }));
        }
        match outbox.last_asked()? {
            Some(answered) if issued_at <= answered => {
                Ok(Handled::Ignored(Ignored::AskedBefore { issued_at, answered }))
            }
            _ => Ok(Handled::Again(outbox.ask_again(&request)?)),
        }
    }

    fn open_resend(&self, gateway: Identity, payload: &[u8]) -> Result<ResendRequest, Ignored> {
        let signed = ResendRequest::open(payload)?;
        self.check(signed.signer, signed.message.gateway, gateway)?;
        Ok(signed.message)
    }

    fn take_instruction(
        &self,
        outbox: &mut Outbox,
        payload: &[u8],
        now: Timestamp,
    ) -> Result<Handled, OutboxError> {
        let gateway = outbox.identity();
        let opened = Instruction::open(payload)
            .map_err(Ignored::from)
            .and_then(|signed| {
                self.check(signed.signer, signed.message.gateway, gateway)
                    .map(|()| signed)
            });
        let signed = match opened {
            Ok(signed) => signed,
            Err(ignored) => return Ok(Handled::Ignored(ignored)),
        };
        if outbox.knows_instruction(signed.digest)? {
            return Ok(Handled::Ignored(Ignored::Known));
        }
        let sequence = signed.message.sequence;
        if let Some((taken, _)) = outbox.last_instruction()?
            && sequence <= taken
        {
            return Ok(Handled::Ignored(Ignored::Replayed { sequence, taken }));
        }
        let decision = self.decide(&signed.message, outbox.opted_out_until()?, now);
        tracing::info!(event = %signed.message.event, ?decision, "an instruction of the engine");
        outbox.admit(&signed, decision, now)?;
        Ok(Handled::Instruction)
    }

    fn take_statement(
        &self,
        outbox: &mut Outbox,
        payload: &[u8],
        now: Timestamp,
    ) -> Result<Handled, OutboxError> {
        let gateway = outbox.identity();
        let opened = SiteStatement::open(payload)
            .map_err(Ignored::from)
            .and_then(|signed| {
                self.check(signed.signer, signed.message.gateway, gateway)
                    .map(|()| signed)
            });
        let signed = match opened {
            Ok(signed) => signed,
            Err(ignored) => return Ok(Handled::Ignored(ignored)),
        };
        match outbox.hold_statement(&signed, payload, now)? {
            Kept::Contradicts => Ok(Handled::Ignored(Ignored::Contradicts {
                event: signed.message.event,
                version: signed.message.version,
            })),
            kept => Ok(Handled::Statement(kept)),
        }
    }

    /// The owner's answer to an instruction whose signer, addressee and number are as they must be.
    #[must_use]
    pub fn decide(
        &self,
        instruction: &Instruction,
        opted_out_until: Option<Timestamp>,
        now: Timestamp,
    ) -> Decision {
        let moment = Moment {
            now,
            clock: self.clock,
            opted_out_until,
        };
        policy::decide(instruction, &self.owner, &self.home, moment)
    }

    fn check_signer(&self, signer: Identity) -> Result<(), Ignored> {
        if signer == self.engine {
            return Ok(());
        }
        Err(Ignored::Stranger {
            signer: Box::new(signer),
        })
    }

    fn check(&self, signer: Identity, addressee: Identity, gateway: Identity) -> Result<(), Ignored> {
        self.check_signer(signer)?;
        if addressee != gateway {
            return Err(Ignored::Misdirected {
                gateway: Box::new(addressee),
            });
        }
        Ok(())
    }
}
