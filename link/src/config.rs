//! What a link is told at its start.

use std::time::Duration;

use crate::address::BrokerAddress;
use crate::tls::{self, TlsError, TlsFiles};

/// How to reach the broker, as whom, and within which bounds.
///
/// Construct it with [`LinkConfig::new`] and change what differs:
///
/// ```
/// use gridtally_link::LinkConfig;
/// let config = LinkConfig {
///     clean_session: false,
///     subscriptions: vec!["gridtally/v1/+/report".to_owned()],
///     ..LinkConfig::new("127.0.0.1:1883", "engine")
/// };
/// config.check().unwrap();
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkConfig {
    /// `host:port`, `mqtt://user:password@host:port` (with `%XX` escapes), or the same with `mqtts://` for
    /// TLS. The port defaults to 1883, with TLS to 8883.
    pub broker: String,
    /// As whom to log in, before what the address says.
    pub login: Option<Login>,
    /// The files for TLS; only with an `mqtts://` address. Without them the system's authorities are believed.
    pub tls: TlsFiles,
    /// The MQTT client identifier, unique at the broker: a second client with the same one throws
    /// the first out.
    pub client_id: String,
    /// With `false` the broker keeps what it could not deliver while the link was away.
    pub clean_session: bool,
    /// Topic filters, subscribed at QoS 1 on every connection.
    pub subscriptions: Vec<String>,
    /// What the broker publishes, at QoS 1, when the link goes away without a goodbye.
    pub last_will: Option<LastWill>,
    /// How many publishes may wait for their PUBACK at a time; the rest wait in the link's queue.
    pub inflight_max: u16,
    /// The longest MQTT packet, in bytes, that is sent, or handed on in full: see
    /// [`Delivery::truncated_from`](crate::Delivery::truncated_from).
    pub packet_len_max: usize,
    /// The interval of pings, 1 s to 65 535 s. A broker that is silent for longer is given up.
    pub keep_alive: Duration,
    /// The longest wait between two attempts to connect.
    pub backoff_max: Duration,
}

/// A user name with its password, which no log shows.
#[derive(Clone, PartialEq, Eq)]
pub struct Login {
    /// The user's name at the broker.
    pub user: String,
    /// The password.
    pub password: String,
}

impl std::fmt::Debug for Login {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Login")
            .field("user", &self.user)
            .finish_non_exhaustive()
    }
}

/// A message that the broker publishes in the link's name when the link is gone without a goodbye.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastWill {
    /// The topic, without wildcards.
    pub topic: String,
    /// The payload.
    pub payload: Vec<u8>,
    /// Whether the broker keeps it for later subscribers.
    pub retain: bool,
}

/// Why a [`LinkConfig`] cannot work. It does not mend itself: change the configuration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// The broker's address cannot be understood.
    #[error("the broker's address `{broker}` is not usable: {why}")]
    Broker {
        /// The address, without its password.
        broker: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// TLS cannot be spoken with the given files.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// Files for TLS where none is spoken.
    #[error(
        "`{broker}` is reached without TLS, so that a CA, a certificate or a key has no use; write mqtts://, or leave them out"
    )]
    TlsUnused {
        /// The address, without its password.
        broker: String,
    },
    /// The client identifier is empty, too long, or holds a control character.
    #[error("the MQTT client identifier {client_id:?} must have 1 to 65535 bytes and no control characters")]
    ClientId {
        /// The identifier.
        client_id: String,
    },
    /// A topic filter is malformed.
    #[error("the subscription {filter:?} is not an MQTT topic filter (MQTT 3.1.1 §4.7)")]
    Subscription {
        /// The filter.
        filter: String,
    },
    /// The last will cannot be sent.
    #[error(
        "the last will's topic {topic:?} must be a topic without wildcards, and the will must fit a packet"
    )]
    LastWill {
        /// Its topic.
        topic: String,
    },
    /// The keep-alive is out of the protocol's range.
    #[error("the keep-alive of {0:?} must be 1 s to 65535 s")]
    KeepAlive(Duration),
    /// A window of zero would never send.
    #[error("inflight_max must be at least 1")]
    InflightMax,
    /// The bound on packets is too small for any message, or larger than MQTT's own.
    #[error("packet_len_max is {0}; it must be 128 to 268435455 bytes")]
    PacketLenMax(usize),
}

/// The longest remaining length that MQTT can express (MQTT 3.1.1 §2.2.3).
const PROTOCOL_PACKET_LEN_MAX: usize = 268_435_455;
const PACKET_LEN_MIN: usize = 128;

impl LinkConfig {
    /// A link to `broker` as `client_id`: clean session, no subscriptions, 100 publishes in
    /// flight, packets to 64 KiB, keep-alive 15 s, at most 30 s between attempts.
    pub fn new(broker: impl Into<String>, client_id: impl Into<String>) -> LinkConfig {
        LinkConfig {
            broker: broker.into(),
            login: None,
            tls: TlsFiles::default(),
            client_id: client_id.into(),
            clean_session: true,
            subscriptions: Vec::new(),
            last_will: None,
            inflight_max: 100,
            packet_len_max: 64 * 1024,
            keep_alive: Duration::from_secs(15),
            backoff_max: Duration::from_secs(30),
        }
    }

    /// Says what in this configuration can never work.
    ///
    /// # Errors
    /// The first thing found; see [`ConfigError`].
    pub fn check(&self) -> Result<(), ConfigError> {
        self.checked_address().map(drop)
    }

    /// [`check`](Self::check), with the broker's address taken apart.
    pub(crate) fn checked_address(&self) -> Result<BrokerAddress, ConfigError> {
        let mut address = BrokerAddress::parse(&self.broker)?;
        if let Some(login) = &self.login {
            address.credentials = Some((login.user.clone(), login.password.clone()));
        }
        if address.tls {
            tls::client(&self.tls)?;
        } else if !self.tls.is_empty() {
            return Err(ConfigError::TlsUnused {
                broker: crate::address::without_credentials(&self.broker),
            });
        }
        if !text_is_sendable(&self.client_id) {
            return Err(ConfigError::ClientId {
                client_id: self.client_id.clone(),
            });
        }
        if let Some(filter) = self.subscriptions.iter().find(|filter| !filter_is_valid(filter)) {
            return Err(ConfigError::Subscription {
                filter: filter.clone(),
            });
        }
        if let Some(will) = &self.last_will {
            let fits = will.payload.len() <= usize::from(u16::MAX);
            if !topic_is_valid(&will.topic) || !fits {
                return Err(ConfigError::LastWill {
                    topic: will.topic.clone(),
                });
            }
        }
        if !(Duration::from_secs(1)..=Duration::from_secs(65_535)).contains(&self.keep_alive) {
            return Err(ConfigError::KeepAlive(self.keep_alive));
        }
        if self.inflight_max == 0 {
            return Err(ConfigError::InflightMax);
        }
        if !(PACKET_LEN_MIN..=PROTOCOL_PACKET_LEN_MAX).contains(&self.packet_len_max) {
            return Err(ConfigError::PacketLenMax(self.packet_len_max));
        }
        Ok(address)
    }
}

/// Whether a broker has to accept this as the topic of a message (MQTT 3.1.1 §4.7).
pub(crate) fn topic_is_valid(topic: &str) -> bool {
    text_is_sendable(topic) && !topic.contains(['+', '#'])
}

fn filter_is_valid(filter: &str) -> bool {
    text_is_sendable(filter) && rumqttc::valid_filter(filter)
}

fn text_is_sendable(text: &str) -> bool {
    !text.is_empty() && u16::try_from(text.len()).is_ok() && !text.contains(char::is_control)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_never_work_is_said_at_once() {
        let good = LinkConfig::new("localhost:1883", "home-1");
        assert_eq!(good.check(), Ok(()));
        let bad: [(LinkConfig, &str); 8] = [
            (
                LinkConfig {
                    broker: "localhost:".into(),
                    ..good.clone()
                },
                "port",
            ),
            (
                LinkConfig {
                    client_id: String::new(),
                    ..good.clone()
                },
                "client identifier",
            ),
            (
                LinkConfig {
                    client_id: "a\0b".into(),
                    ..good.clone()
                },
                "client identifier",
            ),
            (
                LinkConfig {
                    subscriptions: vec!["a/#/b".into()],
                    ..good.clone()
                },
                "topic filter",
            ),
            (
                LinkConfig {
                    keep_alive: Duration::from_millis(300),
                    ..good.clone()
                },
                "keep-alive",
            ),
            (
                LinkConfig {
                    inflight_max: 0,
                    ..good.clone()
                },
                "inflight_max",
            ),
            (
                LinkConfig {
                    packet_len_max: 3,
                    ..good.clone()
                },
                "packet_len_max",
            ),
            (
                LinkConfig {
                    last_will: Some(LastWill {
                        topic: "a/+".into(),
                        payload: vec![],
                        retain: false,
                    }),
                    ..good
                },
                "last will",
            ),
        ];
        for (config, word) in bad {
            let error = config.check().unwrap_err().to_string();
            assert!(error.contains(word), "{error:?} does not speak of {word:?}");
        }
    }
}
