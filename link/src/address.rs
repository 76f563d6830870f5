//! Where the broker is: `host:port`, or an `mqtt://` or `mqtts://` URL.

use crate::config::ConfigError;

/// The port that IANA assigns to MQTT.
const DEFAULT_PORT: u16 = 1883;
/// The one for MQTT over TLS.
const DEFAULT_TLS_PORT: u16 = 8883;

/// A broker's address, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BrokerAddress {
    /// A name or address as the resolver takes it; an IPv6 address keeps its brackets.
    pub host: String,
    pub port: u16,
    /// Whether TLS is spoken: `mqtts://`.
    pub tls: bool,
    /// User name and password, if the URL has them.
    pub credentials: Option<(String, String)>,
}

impl BrokerAddress {
    /// Parses `host`, `host:port`, `[v6]:port` or `mqtt[s]://[user[:password]@]host[:port][/]`.
    pub(crate) fn parse(text: &str) -> Result<BrokerAddress, ConfigError> {
        let invalid = |why| ConfigError::Broker {
            broker: without_credentials(text),
            why,
        };
        let (tls, rest) = match text.split_once("://") {
            None => (false, text),
            Some(("mqtt" | "tcp", rest)) => (false, rest.strip_suffix('/').unwrap_or(rest)),
            Some(("mqtts" | "ssl", rest)) => (true, rest.strip_suffix('/').unwrap_or(rest)),
            Some(("ws" | "wss", _)) => {
                return Err(invalid("WebSocket is not built in; use mqtts:// or mqtt://"));
            }
            Some(_) => return Err(invalid("the scheme must be mqtts:// or mqtt://")),
        };
        let (credentials, host_port) = match rest.rsplit_once('@') {
            None => (None, rest),
            Some((user, host_port)) => {
                let (name, password) = user.split_once(':').unwrap_or((user, ""));
                let decode = |part| percent_decoded(part).ok_or(invalid("a %XX escape is malformed"));
                (Some((decode(name)?, decode(password)?)), host_port)
            }
        };
        let (host, port) = match host_port.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => (
                host,
                port.parse()
                    .map_err(|_| invalid("the port must be a number from 1 to 65535"))?,
            ),
            _ if tls => (host_port, DEFAULT_TLS_PORT),
            _ => (host_port, DEFAULT_PORT),
        };
        let bracketed = host.starts_with('[') && host.ends_with(']');
        if host.is_empty() || port == 0 || host.contains(char::is_whitespace) {
            return Err(invalid("it must read host:port, with a port from 1 to 65535"));
        }
        if host.contains(':') && !bracketed {
            return Err(invalid("an IPv6 address needs brackets, as in [::1]:1883"));
        }
        Ok(BrokerAddress {
            host: host.to_owned(),
            port,
            tls,
            credentials,
        })
    }
}

impl BrokerAddress {
    /// The name that the broker's certificate has to bear: the host, an IPv6 address without brackets.
    pub(crate) fn server_name(&self) -> &str {
        self.host
            .strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'))
            .unwrap_or(&self.host)
    }
}

/// An address as it may be shown in a log.
pub(crate) fn without_credentials(text: &str) -> String {
    match (text.split_once("://"), text.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, host))) => format!("{scheme}://…@{host}"),
        (None, Some((_, host))) => format!("…@{host}"),
        _ => text.to_owned(),
    }
}

/// RFC 3986 §2.1; `None` where an escape is not two hexadecimal digits or the result is not UTF-8.
fn percent_decoded(text: &str) -> Option<String> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        decoded.push(match byte {
            b'%' => {
                let digit = |byte: Option<u8>| char::from(byte?).to_digit(16);
                let (high, low) = (digit(bytes.next())?, digit(bytes.next())?);
                u8::try_from(high * 16 + low).ok()?
            }
            other => other,
        });
    }
    String::from_utf8(decoded).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> (String, u16, Option<(String, String)>) {
        let address = BrokerAddress::parse(text).unwrap();
        (address.host, address.port, address.credentials)
    }

    #[test]
    fn host_and_port_are_taken_apart() {
        assert_eq!(parsed("127.0.0.1:1884"), ("127.0.0.1".into(), 1884, None));
        assert_eq!(parsed("broker.example"), ("broker.example".into(), 1883, None));
        assert_eq!(parsed("[::1]:1884"), ("[::1]".into(), 1884, None));
        assert_eq!(parsed("mqtt://[::1]/"), ("[::1]".into(), 1883, None));
    }

    #[test]
    fn tls_has_its_scheme_and_its_port() {
        let address = BrokerAddress::parse("mqtts://broker.example/").unwrap();
        assert_eq!((address.tls, address.port), (true, 8883));
        let address = BrokerAddress::parse("mqtts://[::1]:8884").unwrap();
        assert_eq!(
            (address.tls, address.port, address.server_name()),
            (true, 8884, "::1")
        );
        assert!(!BrokerAddress::parse("mqtt://broker.example").unwrap().tls);
    }

    #[test]
    fn user_and_password_are_decoded() {
        let credentials = Some(("en gine".to_owned(), "p@ss:w".to_owned()));
        assert_eq!(
            parsed("mqtt://en%20gine:p%40ss%3Aw@b:1"),
            ("b".into(), 1, credentials)
        );
    }

    #[test]
    fn what_cannot_be_a_broker_is_refused_without_showing_the_password() {
        for text in [
            "",
            ":1883",
            "b:0",
            "b:x",
            "b:70000",
            "::1",
            "http://b",
            "wss://b",
            "mqtts://",
            "a b:1",
            "mqtt://%zz@b",
        ] {
            assert!(
                BrokerAddress::parse(text).is_err(),
                "{text} was taken for a broker"
            );
        }
        let error = BrokerAddress::parse("mqtt://me:secret@b:x")
            .unwrap_err()
            .to_string();
        assert!(!error.contains("secret"), "{error}");
    }
}
