//! What the faults of [`Layer::Wire`](crate::fault::Layer::Wire) do to a request and to the bytes of
//! a reply. All of it is pure: [`Outbox`](super::outbox::Outbox) carries it out.

use super::{Link, Reply, pdu};
use crate::fault::Fault;
use std::time::Duration;

/// The longest wait, whatever a parameter says: an instant has to stay within bounds.
const MAX_WAIT_MS: u64 = 86_400_000;
/// As many bytes of noise as one frame gets.
const MAX_NOISE: usize = 65_536;

/// What becomes of a request before a device sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hearing {
    /// The unit hears it.
    Heard,
    /// Nobody hears it, and nothing comes back.
    Swallowed,
    /// The connection is closed.
    Closed,
    /// The gateway cannot reach the unit: exception 11.
    Unreachable,
}

/// Whether a request is heard on a connection of that age, under the faults of the connection and
/// those of the unit.
pub(super) fn hear(link: Link, connection: &[Fault], unit: &[Fault], age: Duration) -> Hearing {
    let tcp = matches!(link, Link::Tcp { .. });
    if tcp && connection.contains(&Fault::Offline) {
        return Hearing::Closed;
    }
    for fault in connection.iter().chain(unit) {
        match *fault {
            Fault::Silent => return Hearing::Swallowed,
            Fault::Offline if !tcp => return Hearing::Swallowed,
            Fault::DeafAfterConnect { millis } if tcp && age < wait(millis) => return Hearing::Swallowed,
            _ => {}
        }
    }
    if unit.contains(&Fault::Offline) {
        return Hearing::Unreachable;
    }
    Hearing::Heard
}

/// A step on the wire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Action {
    /// These bytes in one piece.
    Send(Vec<u8>),
    /// Nothing for so long.
    Wait(Duration),
    /// The end of the connection.
    Close,
}

/// What is done about a reply.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Plan {
    /// Steps, in order; the first wait counts from the request.
    pub(super) actions: Vec<Action>,
    /// Bytes that wait for the next reply, and for how long if none comes.
    pub(super) hold: Option<(Vec<u8>, Duration)>,
}

/// The steps that bring a reply to the client under these faults, behind the bytes that were held
/// back for it.
pub(super) fn inject(reply: &Reply<'_>, faults: &[Fault], held: Option<Vec<u8>>) -> Plan {
    let tcp = matches!(reply.link, Link::Tcp { .. });
    let damage = Damage::of(faults, tcp);
    let mut flight = damage.noise();
    flight.extend(damage.frame(reply));

    let mut flights = Vec::with_capacity(2);
    let whole = damage.keep.is_none() && !damage.drop;
    if damage.twice && whole {
        flights.push(flight.clone());
    }
    flights.push(flight);
    let mut hold = None;
    if let Some(bytes) = held {
        flights = vec![[bytes, flights.concat()].concat()];
    } else if let Some(patience) = damage.merge
        && !damage.drop
    {
        hold = Some((flights.concat(), patience));
        flights.clear();
    }

    let mut actions = Vec::new();
    if let Some(late) = damage.late
        && !flights.is_empty()
    {
        actions.push(Action::Wait(late));
    }
    for flight in flights {
        match damage.split {
            None => actions.push(Action::Send(flight)),
            Some((bytes, pause)) => {
                for (n, piece) in flight.chunks(bytes).enumerate() {
                    if n > 0 {
                        actions.push(Action::Wait(pause));
                    }
                    actions.push(Action::Send(piece.to_vec()));
                }
            }
        }
    }
    if damage.drop && tcp {
        actions.push(Action::Close);
    }
    Plan { actions, hold }
}

/// The faults that are in force together, those left out that the link does not know.
#[derive(Debug, Default)]
struct Damage {
    late: Option<Duration>,
    constant_id: Option<u16>,
    wrong_id: bool,
    foreign_unit: bool,
    foreign_function: bool,
    split: Option<(usize, Duration)>,
    merge: Option<Duration>,
    keep: Option<usize>,
    longer: u16,
    bad_crc: bool,
    noise: usize,
    twice: bool,
    drop: bool,
}

impl Damage {
    fn of(faults: &[Fault], tcp: bool) -> Self {
        let mut damage = Self::default();
        for fault in faults {
            match *fault {
                Fault::LateReply { millis } => damage.late = Some(wait(millis)),
                Fault::WrongTransactionId => damage.wrong_id = true,
                Fault::ConstantTransactionId { id } => damage.constant_id = Some(low_word(id)),
                Fault::ForeignUnit => damage.foreign_unit = true,
                Fault::ForeignFunction => damage.foreign_function = true,
                Fault::SplitSegments { bytes, millis } => {
                    damage.split = Some((count(bytes).max(1), wait(millis)));
                }
                Fault::MergedSegments { millis } => damage.merge = Some(wait(millis)),
                Fault::TruncatedFrame { bytes } => damage.keep = Some(count(bytes)),
                Fault::WrongFrameLength { by } => damage.longer = low_word(by),
                Fault::BadCrc => damage.bad_crc = !tcp,
                Fault::Noise { bytes } => damage.noise = count(bytes).min(MAX_NOISE),
                Fault::DuplicateReply => damage.twice = true,
                Fault::DropMidReply => damage.drop = true,
                _ => {}
            }
        }
        damage
    }

    /// The same bytes each time, so that a test can be repeated.
    fn noise(&self) -> Vec<u8> {
        (0..self.noise)
            .scan(0xA5_u8, |byte, _| {
                *byte = byte.wrapping_mul(141).wrapping_add(77);
                Some(*byte)
            })
            .collect()
    }

    fn frame(&self, reply: &Reply<'_>) -> Vec<u8> {
        let mut pdu = reply.pdu.to_vec();
        if let Some(function) = pdu.first_mut()
            && self.foreign_function
        {
            *function = pdu::foreign_function(*function);
        }
        let unit = if self.foreign_unit {
            foreign_unit(reply.unit)
        } else {
            reply.unit
        };
        let link = match reply.link {
            Link::Tcp { transaction } => Link::Tcp {
                transaction: self.transaction(transaction),
            },
            Link::Rtu => Link::Rtu,
        };
        let mut frame = Vec::with_capacity(pdu.len() + 7);
        let damaged = Reply {
            link,
            unit,
            pdu: &pdu,
        };
        damaged.encode(&mut frame);
        match link {
            Link::Tcp { .. } => {
                if let Some(length) = frame.get_mut(4..6).and_then(|field| field.as_mut_array::<2>()) {
                    *length = u16::from_be_bytes(*length)
                        .wrapping_add(self.longer)
                        .to_be_bytes();
                }
            }
            Link::Rtu => {
                if let Some(last) = frame.last_mut()
                    && self.bad_crc
                {
                    *last ^= 0x55;
                }
            }
        }
        if let Some(keep) = self.keep {
            // A short frame loses its last byte all the same.
            frame.truncate(keep.min(frame.len() - 1));
        }
        if self.drop {
            frame.truncate(frame.len() / 2);
        }
        frame
    }

    fn transaction(&self, asked: u16) -> u16 {
        match self.constant_id {
            Some(id) => id,
            // Far from the ids of the requests before and after.
            None if self.wrong_id => asked ^ 0x8000,
            None => asked,
        }
    }
}

fn foreign_unit(unit: u8) -> u8 {
    if unit == 1 { 2 } else { 1 }
}

fn wait(millis: i64) -> Duration {
    Duration::from_millis(u64::try_from(millis).unwrap_or_default().min(MAX_WAIT_MS))
}

fn count(bytes: i64) -> usize {
    usize::try_from(bytes).unwrap_or_default()
}

/// The low 16 bits, so that −4 is 4 less.
fn low_word(value: i64) -> u16 {
    let [.., high, low] = value.to_be_bytes();
    u16::from_be_bytes([high, low])
}
