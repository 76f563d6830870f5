//! Where to look.

use std::collections::BTreeSet;
use std::fmt;
use std::net::Ipv4Addr;
use std::str::FromStr;

use crate::device::endpoint::{Endpoint, Location, Parity, SerialLine};

/// The largest subnet that is looked through when it is named: 65,534 hosts.
const NAMED_PREFIX_MIN: u8 = 16;
/// The largest of the machine's own subnets that is looked through unasked: 1,022 hosts.
const OWN_PREFIX_MIN: u8 = 22;
/// The speeds and parities that a serial line is tried with, the likely ones first.
pub const SPEEDS: [u32; 4] = [9_600, 19_200, 115_200, 38_400];
/// Most devices have none; the standard asks for even.
pub const PARITIES: [Parity; 2] = [Parity::None, Parity::Even];

/// One place to look at, with one connection at a time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// A host with its ports.
    Host {
        /// Its name or address.
        host: String,
        /// The ports to try.
        ports: Vec<u16>,
        /// Whether a person named it, or it is one of many of a subnet.
        is_named: bool,
    },
    /// One connection, and the one unit where only that is meant.
    Endpoint(Endpoint, Option<u8>),
    /// A serial line with the settings to try, until one is answered.
    Line(Vec<SerialLine>),
}

/// What a person named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Named {
    /// A host, perhaps with its port.
    Host(String, Option<u16>),
    /// A subnet.
    Subnet(Subnet),
    /// A place as in the config.
    Location(Location),
    /// A serial line of unknown settings.
    Line(String),
}

/// A text that says nowhere to look.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{text:?} is no place to look at: {why}. Write a host, host:port, a subnet as 192.168.1.0/24, or \
     rtu:///dev/ttyUSB0"
)]
pub struct PlaceError {
    text: String,
    why: String,
}

/// Addresses with the same first bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Subnet {
    first: u32,
    prefix: u8,
}

impl Subnet {
    /// The subnet of an address; `None` of a prefix beyond 32.
    #[must_use]
    pub fn of(address: Ipv4Addr, prefix: u8) -> Option<Self> {
        let host_bits = 32_u32.checked_sub(u32::from(prefix))?;
        let mask = u32::MAX.checked_shl(host_bits).unwrap_or(0);
        Some(Self {
            first: address.to_bits() & mask,
            prefix,
        })
    }

    /// Its hosts; without the addresses of the net and of all, where it has them.
    pub fn hosts(self) -> impl Iterator<Item = Ipv4Addr> {
        let count = 1_u64 << (32 - u64::from(self.prefix.min(32)));
        let skipped = if self.prefix < 31 { 1 } else { 0 };
        let last = count.saturating_sub(skipped);
        (skipped..last).filter_map(move |offset| {
            let offset = u32::try_from(offset).ok()?;
            Some(Ipv4Addr::from_bits(self.first.checked_add(offset)?))
        })
    }
}

impl fmt::Display for Subnet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", Ipv4Addr::from_bits(self.first), self.prefix)
    }
}

impl FromStr for Named {
    type Err = PlaceError;

    fn from_str(text: &str) -> Result<Self, PlaceError> {
        named(text).map_err(|why| PlaceError {
            text: text.chars().take(120).collect(),
            why,
        })
    }
}

fn named(text: &str) -> Result<Named, String> {
    if text.contains("://") {
        let location: Location = text.parse().map_err(|error| format!("{error}"))?;
        let is_bare = !text.contains("baud=") && !text.contains("parity=");
        return Ok(match &location.endpoint {
            Endpoint::Serial(line) if is_bare && location.unit.is_none() => {
                Named::Line(line.path.to_string_lossy().into_owned())
            }
            _ => Named::Location(location),
        });
    }
    if text.starts_with('/') {
        return Ok(Named::Line(text.to_owned()));
    }
    if let Some((address, prefix)) = text.split_once('/') {
        let address: Ipv4Addr = address
            .parse()
            .map_err(|_| format!("{address:?} is no IPv4 address"))?;
        let prefix: u8 = prefix
            .parse()
            .ok()
            .filter(|prefix| (NAMED_PREFIX_MIN..=32).contains(prefix))
            .ok_or_else(|| format!("/{prefix} is not within /{NAMED_PREFIX_MIN} and /32"))?;
        let subnet = Subnet::of(address, prefix).ok_or("there is no such subnet")?;
        return Ok(Named::Subnet(subnet));
    }
    // The grammar of hosts and ports is that of the config.
    let location: Location = text.parse().map_err(|error| format!("{error}"))?;
    let Endpoint::Tcp(address) = &location.endpoint else {
        return Err("it is no host".to_owned());
    };
    let has_port = !text.ends_with(']') && text.contains(':');
    match address.rsplit_once(':') {
        Some((host, port)) => Ok(Named::Host(
            host.to_owned(),
            port.parse().ok().filter(|_| has_port),
        )),
        None => Err("there is no host in it".to_owned()),
    }
}

impl Named {
    /// The places that are meant, each host with these ports where none is named.
    #[must_use]
    pub fn places(&self, ports: &[u16]) -> Vec<Place> {
        match self {
            Self::Host(host, port) => vec![Place::Host {
                host: host.clone(),
                ports: port.map_or_else(|| ports.to_vec(), |port| vec![port]),
                is_named: true,
            }],
            Self::Subnet(subnet) => swept(*subnet, ports),
            Self::Location(location) => vec![Place::Endpoint(location.endpoint.clone(), location.unit)],
            Self::Line(path) => vec![line(path, &SPEEDS, &PARITIES)],
        }
    }
}

/// All hosts of a subnet.
#[must_use]
pub fn swept(subnet: Subnet, ports: &[u16]) -> Vec<Place> {
    let place = |host: Ipv4Addr| Place::Host {
        host: host.to_string(),
        ports: ports.to_vec(),
        is_named: false,
    };
    subnet.hosts().map(place).collect()
}

/// A serial line with each of these speeds and parities.
#[must_use]
pub fn line(path: &str, speeds: &[u32], parities: &[Parity]) -> Place {
    let settings = speeds.iter().flat_map(|&baud| {
        parities.iter().map(move |&parity| SerialLine {
            path: path.into(),
            baud,
            parity,
            stop_bits: 1,
        })
    });
    Place::Line(settings.collect())
}

/// The private subnets that the machine itself stands in, by its table of routes (the text of
/// `/proc/net/route`), and what is to be said of those that are too large to be looked through unasked.
#[must_use]
pub fn own_subnets(routes: &str) -> (Vec<Subnet>, Vec<String>) {
    let mut subnets = BTreeSet::new();
    let mut too_large = Vec::new();
    for line in routes.lines().skip(1) {
        let Some(subnet) = route(line) else { continue };
        let address = Ipv4Addr::from_bits(subnet.first);
        if !address.is_private() || subnets.contains(&subnet) {
            continue;
        }
        if subnet.prefix < OWN_PREFIX_MIN {
            too_large.push(format!(
                "{subnet} is too large to be looked through unasked; name the part that your devices are in, as \
                 {address}/24"
            ));
        } else {
            subnets.insert(subnet);
        }
    }
    (subnets.into_iter().collect(), too_large)
}

/// A route without a gateway: what is reached by it is next to the machine. Numbers are hexadecimal, in the
/// byte order of the machine, which is little-endian wherever this runs.
fn route(line: &str) -> Option<Subnet> {
    let fields: Vec<&str> = line.split_whitespace().collect();
    let number = |at: usize| u32::from_str_radix(fields.get(at)?, 16).ok().map(u32::swap_bytes);
    let (destination, gateway, mask) = (number(1)?, number(2)?, number(7)?);
    if gateway != 0 || destination == 0 || mask.leading_ones() + mask.trailing_zeros() != 32 {
        return None;
    }
    let prefix = u8::try_from(mask.leading_ones()).ok()?;
    Subnet::of(Ipv4Addr::from_bits(destination), prefix)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn places(text: &str) -> Vec<Place> {
        text.parse::<Named>().unwrap().places(&[502, 1502])
    }

    #[test]
    fn hosts_subnets_and_lines_are_read_as_people_write_them() {
        let host = |host: &str, ports: &[u16]| Place::Host {
            host: host.to_owned(),
            ports: ports.to_vec(),
            is_named: true,
        };
        assert_eq!(places("inverter.local"), [host("inverter.local", &[502, 1502])]);
        assert_eq!(places("192.0.2.7:5020"), [host("192.0.2.7", &[5020])]);
        assert_eq!(places("[fe80::1]"), [host("[fe80::1]", &[502, 1502])]);
        assert_eq!(places("192.168.1.77/30").len(), 2);
        assert_eq!(places("10.0.0.0/24").len(), 254);
        assert_eq!(places("10.0.0.9/32").len(), 1);
        assert_eq!(places("10.0.0.0/16").len(), 65_534);
        for line in ["rtu:///dev/ttyUSB0", "/dev/ttyUSB0"] {
            let [Place::Line(settings)] = &places(line)[..] else {
                panic!("a line")
            };
            assert_eq!(settings.len(), 8);
        }
        assert!(matches!(
            places("rtu:///dev/ttyUSB0?baud=19200")[..],
            [Place::Endpoint(Endpoint::Serial(_), None)]
        ));
        assert!(matches!(
            places("rtutcp://gate:4196?unit=3")[..],
            [Place::Endpoint(Endpoint::RtuOverTcp(_), Some(3))]
        ));
    }

    #[test]
    fn what_is_nowhere_says_why() {
        for (text, why) in [
            ("10.0.0.0/8", "/16"),
            ("10.0.0.0/33", "/32"),
            ("host/24", "no IPv4"),
            ("udp://x", "none of tcp"),
            ("", "no host"),
        ] {
            let error = text.parse::<Named>().unwrap_err().to_string();
            assert!(error.contains(why), "{text}: {error}");
        }
    }

    #[test]
    fn own_subnets_are_private_small_and_next_to_the_machine() {
        let routes = "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT\n\
            eth0\t00000000\t0101A8C0\t0003\t0\t0\t100\t00000000\t0\t0\t0\n\
            eth0\t0001A8C0\t00000000\t0001\t0\t0\t100\t00FFFFFF\t0\t0\t0\n\
            wlan0\t0001A8C0\t00000000\t0001\t0\t0\t600\t00FFFFFF\t0\t0\t0\n\
            docker0\t000011AC\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0\n\
            ppp0\t00000808\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n\
            tun0\t0000000A\t0100000A\t0003\t0\t0\t0\t00FFFFFF\t0\t0\t0\nnonsense\n";
        let (subnets, too_large) = own_subnets(routes);
        let shown: Vec<String> = subnets.iter().map(ToString::to_string).collect();
        assert_eq!(shown, ["192.168.1.0/24"]);
        assert!(
            too_large.len() == 1 && too_large[0].contains("172.17.0.0/16"),
            "{too_large:?}"
        );
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "\\PC{0,40}", routes in "(\\PC{0,60}\n){0,4}") {
            let _ = text.parse::<Named>();
            let _ = own_subnets(&routes);
        }

        #[test]
        fn every_host_of_a_subnet_is_in_it_once(address: u32, prefix in 20_u8..=32) {
            let subnet = Subnet::of(Ipv4Addr::from_bits(address), prefix).unwrap();
            let hosts: Vec<_> = subnet.hosts().collect();
            prop_assert!(hosts.is_sorted_by(|a, b| a < b));
            for host in hosts {
                prop_assert_eq!(Subnet::of(host, prefix), Some(subnet));
            }
        }
    }
}
