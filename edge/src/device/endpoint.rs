//! Where a device is: a socket or a serial line, as a person writes it.
//!
//! ```text
//! 192.0.2.10:502                              Modbus TCP
//! tcp://192.0.2.10:502?unit=1&base=40000      the same, with the unit and where its map starts
//! tls://inverter.local:802                    Modbus/TCP Security
//! rtutcp://192.0.2.11:4196?unit=3             RTU frames through a transparent gateway
//! rtu:///dev/ttyUSB0?baud=9600&parity=even    a serial line
//! ```

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// The port of Modbus TCP.
const PORT: u16 = 502;
/// The port of Modbus/TCP Security (protocol specification, §8.1).
const TLS_PORT: u16 = 802;
const BAUD_RATES: [u32; 8] = [1_200, 2_400, 4_800, 9_600, 19_200, 38_400, 57_600, 115_200];
const TEXT_LEN_MAX: usize = 512;

/// The check bit of a character on a serial line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Parity {
    /// No check bit: most inverters.
    None,
    /// Even: the default of the standard (Modbus over Serial Line 1.02, §2.5.1).
    Even,
    /// Odd.
    Odd,
}

/// A serial line: eight data bits, as RTU frames need.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SerialLine {
    /// The device file.
    pub path: PathBuf,
    /// Bits a second.
    pub baud: u32,
    /// The check bit.
    pub parity: Parity,
    /// One or two.
    pub stop_bits: u8,
}

/// What a connection is made to. Devices of one endpoint share one connection.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Endpoint {
    /// Modbus TCP: `host:port`.
    Tcp(String),
    /// Modbus TCP within TLS: `host:port`.
    Tls(String),
    /// RTU frames on a TCP socket: `host:port`.
    RtuOverTcp(String),
    /// RTU frames on a serial line.
    Serial(SerialLine),
}

/// A device: its endpoint, its unit there, and where its SunSpec map starts if it is not at one of the
/// usual places.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Location {
    /// What the connection is made to.
    pub endpoint: Endpoint,
    /// The Modbus unit, where the text names one.
    pub unit: Option<u8>,
    /// The first register of the map, where the text names it.
    pub base: Option<u16>,
}

/// A text that says no place.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{text:?} is no place of a device: {why}. Write host:port, tcp://host:port?unit=1, tls://host:802, \
     rtutcp://host:port or rtu:///dev/ttyUSB0?baud=9600"
)]
pub struct LocationError {
    text: String,
    why: String,
}

impl Endpoint {
    /// Whether frames on it bear no transaction number, so that a late reply looks like the next one.
    #[must_use]
    pub const fn is_rtu(&self) -> bool {
        matches!(self, Self::RtuOverTcp(_) | Self::Serial(_))
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => write!(f, "tcp://{address}"),
            Self::Tls(address) => write!(f, "tls://{address}"),
            Self::RtuOverTcp(address) => write!(f, "rtutcp://{address}"),
            Self::Serial(line) => line.fmt(f),
        }
    }
}

impl fmt::Display for SerialLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parity = match self.parity {
            Parity::None => "none",
            Parity::Even => "even",
            Parity::Odd => "odd",
        };
        write!(
            f,
            "rtu://{}?baud={}&parity={parity}",
            self.path.display(),
            self.baud
        )?;
        if self.stop_bits == 1 {
            Ok(())
        } else {
            write!(f, "&stop={}", self.stop_bits)
        }
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.endpoint.fmt(f)?;
        let mut separator = if matches!(self.endpoint, Endpoint::Serial(_)) {
            '&'
        } else {
            '?'
        };
        let parts = [("unit", self.unit.map(u16::from)), ("base", self.base)];
        for (key, value) in parts {
            if let Some(value) = value {
                write!(f, "{separator}{key}={value}")?;
                separator = '&';
            }
        }
        Ok(())
    }
}

impl FromStr for Location {
    type Err = LocationError;

    fn from_str(text: &str) -> Result<Self, LocationError> {
        parse(text).map_err(|why| LocationError {
            text: text.chars().take(120).collect(),
            why,
        })
    }
}

fn parse(text: &str) -> Result<Location, String> {
    if text.len() > TEXT_LEN_MAX {
        return Err(format!("it is longer than {TEXT_LEN_MAX} characters"));
    }
    if text.contains(|c: char| c.is_whitespace() || c.is_control()) {
        return Err("it has spaces or control characters in it".to_owned());
    }
    let (scheme, rest) = text.split_once("://").unwrap_or(("tcp", text));
    let (place, query) = rest.split_once('?').unwrap_or((rest, ""));
    let mut settings = Settings::read(query)?;
    let endpoint = match scheme {
        "tcp" => Endpoint::Tcp(socket(place, PORT)?),
        "tls" => Endpoint::Tls(socket(place, TLS_PORT)?),
        "rtutcp" => Endpoint::RtuOverTcp(socket(place, PORT)?),
        "rtu" => Endpoint::Serial(settings.line(place)?),
        other => return Err(format!("{other:?} is none of tcp, tls, rtutcp and rtu")),
    };
    let location = Location {
        endpoint,
        unit: settings.whole("unit", |_: u8| true)?,
        base: settings.whole("base", |_: u16| true)?,
    };
    match settings.0.first() {
        None => Ok(location),
        Some((key, _)) => Err(format!("{key:?} is no setting of it")),
    }
}

/// `host:port`; a host alone gets the default port.
fn socket(place: &str, port: u16) -> Result<String, String> {
    let address = match place.rsplit_once(':') {
        _ if place.ends_with(']') => (place, port),
        // The colons of an IPv6 address without a port stand within brackets.
        Some((host, _)) if host.contains(':') && !host.ends_with(']') => {
            return Err("an IPv6 address stands in brackets, as [fe80::1]:502".to_owned());
        }
        Some((host, number)) => {
            let number: u16 = number
                .parse()
                .ok()
                .filter(|number| *number > 0)
                .ok_or_else(|| format!("{number:?} is no port"))?;
            (host, number)
        }
        None => (place, port),
    };
    match address {
        ("", _) => Err("there is no host in it".to_owned()),
        (host, _) if host.contains('/') => Err("there is a path in it".to_owned()),
        (host, number) => Ok(format!("{host}:{number}")),
    }
}

/// What stands behind the question mark.
struct Settings<'t>(Vec<(&'t str, &'t str)>);

impl<'t> Settings<'t> {
    fn read(query: &'t str) -> Result<Self, String> {
        let mut settings: Vec<(&str, &str)> = Vec::new();
        for part in query.split('&').filter(|part| !part.is_empty()) {
            let (key, value) = part
                .split_once('=')
                .ok_or_else(|| format!("{part:?} has no value"))?;
            if settings.iter().any(|(known, _)| *known == key) {
                return Err(format!("{key:?} stands in it twice"));
            }
            settings.push((key, value));
        }
        Ok(Self(settings))
    }

    fn take(&mut self, key: &str) -> Option<&'t str> {
        let at = self.0.iter().position(|(known, _)| *known == key)?;
        Some(self.0.swap_remove(at).1)
    }

    fn whole<N: FromStr + Copy>(&mut self, key: &str, fits: fn(N) -> bool) -> Result<Option<N>, String> {
        self.take(key)
            .map(|text| {
                let number = text.parse().ok().filter(|number| fits(*number));
                number.ok_or_else(|| format!("{key} cannot be {text:?}"))
            })
            .transpose()
    }

    fn line(&mut self, path: &str) -> Result<SerialLine, String> {
        if !path.starts_with('/') {
            return Err("the path of a serial line begins with /, as rtu:///dev/ttyUSB0".to_owned());
        }
        let baud = self.whole("baud", |baud| BAUD_RATES.contains(&baud))?;
        let parity = match self.take("parity") {
            None | Some("none") => Parity::None,
            Some("even") => Parity::Even,
            Some("odd") => Parity::Odd,
            Some(other) => return Err(format!("parity is none, even or odd, not {other:?}")),
        };
        Ok(SerialLine {
            path: PathBuf::from(path),
            baud: baud.unwrap_or(9_600),
            parity,
            stop_bits: self.whole("stop", |bits| (1..=2).contains(&bits))?.unwrap_or(1),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn location(text: &str) -> Location {
        text.parse().unwrap()
    }

    #[test]
    fn places_are_read_as_people_write_them() {
        for (text, shown) in [
            ("192.0.2.10:1502", "tcp://192.0.2.10:1502"),
            ("tcp://inverter.local", "tcp://inverter.local:502"),
            ("tcp://a:502?unit=126&base=0", "tcp://a:502?unit=126&base=0"),
            ("[fe80::1]:502", "tcp://[fe80::1]:502"),
            ("[fe80::1]", "tcp://[fe80::1]:502"),
            ("tls://a", "tls://a:802"),
            ("rtutcp://a:4196?unit=3", "rtutcp://a:4196?unit=3"),
            ("rtu:///dev/ttyUSB0", "rtu:///dev/ttyUSB0?baud=9600&parity=none"),
            (
                "rtu:///dev/ttyS1?unit=2&baud=19200&parity=even&stop=2",
                "rtu:///dev/ttyS1?baud=19200&parity=even&stop=2&unit=2",
            ),
        ] {
            assert_eq!(location(text).to_string(), shown, "{text}");
            assert_eq!(location(shown), location(text), "{text}");
        }
    }

    #[test]
    fn what_cannot_be_a_place_says_why() {
        for (text, why) in [
            ("", "no host"),
            ("a:0", "no port"),
            ("a:70000", "no port"),
            ("a b:502", "spaces"),
            ("fe80::1:502", "brackets"),
            ("udp://a:1", "none of tcp"),
            ("tcp://a:502/x", "no port"),
            ("tcp://a/x:502", "path"),
            ("tcp://a:502?unit=256", "unit cannot be"),
            ("tcp://a:502?unit", "no value"),
            ("tcp://a:502?unit=1&unit=2", "twice"),
            ("tcp://a:502?speed=1", "no setting"),
            ("rtu://ttyUSB0", "begins with /"),
            ("rtu:///dev/x?baud=9601", "baud cannot be"),
            ("rtu:///dev/x?parity=mark", "parity"),
            ("rtu:///dev/x?stop=3", "stop cannot be"),
        ] {
            let error = text.parse::<Location>().unwrap_err().to_string();
            assert!(error.contains(why), "{text}: {error}");
        }
    }

    proptest! {
        #[test]
        fn no_text_panics_and_what_is_read_reads_back(text in "((tcp|rtu|tls|rtutcp)://)?[a-z0-9/:.\\[\\]]{0,20}(\\?[a-z0-9=&]{0,30})?") {
            if let Ok(location) = text.parse::<Location>() {
                prop_assert_eq!(location.to_string().parse::<Location>().unwrap(), location);
            }
        }
    }
}
