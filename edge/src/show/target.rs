//! The device that is meant.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use gridtally_protocol::time::Timestamp;
use gridtally_registers::profile::Profile;

use crate::config::{AgentConfig, ConfigError, DeviceConfig, profiles};
use crate::device::bus::tls::{Tls, TlsError, TlsFiles};
use crate::device::bus::{Bus, BusSettings, READ_MAX};
use crate::device::endpoint::{Endpoint, Location, LocationError};
use crate::device::sunspec::Reader;

/// Who asks by hand can wait longer than a poll.
const DEADLINE: Duration = Duration::from_secs(2);

/// A device that is to be read, by everything that has to be known of it.
#[derive(Debug, Clone)]
pub struct Target {
    /// What the connection is made to.
    pub endpoint: Endpoint,
    /// The unit there.
    pub unit: u8,
    /// Where its map starts, where that is known.
    pub base: Option<u16>,
    /// Its register map, where it has no SunSpec.
    pub profile: Option<Arc<Profile>>,
    /// How long an answer may take.
    pub timeout: Duration,
    /// The rest that it wants between two requests.
    pub pause: Duration,
    /// How long it swallows requests after a connection was made.
    pub settle: Duration,
    /// Whether its gateway sends one transaction number with every reply.
    pub ignores_transaction_ids: bool,
    /// The most registers that it gives at a time.
    pub max_registers: u16,
    /// The certificates of a connection within TLS.
    pub tls: Option<TlsFiles>,
}

/// A device as a person names it.
#[derive(Debug, Clone, Default)]
pub struct Named {
    /// Its name in the config, or its place.
    pub device: String,
    /// The config, where one is named.
    pub config: Option<PathBuf>,
    /// Its profile, by name or file.
    pub profile: Option<String>,
    /// Whose certificates are believed.
    pub ca: Option<PathBuf>,
    /// The certificate and the key of a place within TLS.
    pub client: Option<(PathBuf, PathBuf)>,
}

/// Why a name means no device.
#[derive(Debug, thiserror::Error)]
pub enum TargetError {
    /// The config.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The place.
    #[error(transparent)]
    Location(#[from] LocationError),
    /// The profile.
    #[error("{0}")]
    Profile(String),
    /// Neither a device of the config nor a place.
    #[error("{name:?} is no device of {}; {}, or write a place, as 192.0.2.10:502 or tcp://192.0.2.10:502?unit=1", config.display(), Names(known))]
    Unknown {
        /// What was written.
        name: String,
        /// The config that was looked at.
        config: PathBuf,
        /// The devices that are in it.
        known: Vec<String>,
    },
    /// A name without a config to look it up in.
    #[error("{name:?} may be the name of a device, but there is no {}; give --config FILE, or write a place, as 192.0.2.10:502 or tcp://192.0.2.10:502?unit=1", config.display())]
    NoConfig {
        /// What was written.
        name: String,
        /// The config that is not there.
        config: PathBuf,
    },
    /// TLS without an authority.
    #[error("{0} needs --ca FILE, whose certificates are believed")]
    NoAuthority(String),
}

struct Names<'n>(&'n [String]);
impl fmt::Display for Names<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "its devices are {}", self.0.join(", "))
    }
}

impl Named {
    /// The device that is meant: one of the config by its name, else a place.
    ///
    /// # Errors
    /// [`TargetError`].
    pub fn find(&self, default_config: &Path) -> Result<Target, TargetError> {
        let is_place = self.device.contains("://") || self.device.contains(':');
        let config = self.config.as_deref().unwrap_or(default_config);
        let mut known = None;
        if self.config.is_some() || (!is_place && config.exists()) {
            let loaded = AgentConfig::load(config)?;
            if let Some(device) = loaded.devices.iter().find(|device| device.name == self.device) {
                let mut target = Target::of(device);
                target.profile = self.profile()?.or(target.profile);
                return Ok(target);
            }
            known = Some(loaded.devices.into_iter().map(|device| device.name).collect());
        }
        if !is_place && !self.device.contains('.') {
            let (name, config) = (self.device.clone(), config.to_owned());
            return Err(match known {
                Some(known) => TargetError::Unknown { name, config, known },
                None => TargetError::NoConfig { name, config },
            });
        }
        self.at(self.device.parse()?)
    }

    fn profile(&self) -> Result<Option<Arc<Profile>>, TargetError> {
        let load = |name: &String| profiles::load(name, Path::new("")).map_err(TargetError::Profile);
        self.profile.as_ref().map(load).transpose()
    }

    fn at(&self, location: Location) -> Result<Target, TargetError> {
        let mut target = Target::at(location, self.profile()?);
        if let Endpoint::Tls(_) = target.endpoint {
            let ca = self.ca.clone();
            let ca = ca.ok_or_else(|| TargetError::NoAuthority(target.endpoint.to_string()))?;
            let client = self.client.clone();
            target.tls = Some(TlsFiles { ca, client });
        }
        Ok(target)
    }
}

impl Target {
    /// A device as its owner configured it.
    #[must_use]
    pub fn of(config: &DeviceConfig) -> Self {
        Self {
            endpoint: config.endpoint.clone(),
            unit: config.unit,
            base: config.base,
            profile: config.profile.clone(),
            timeout: config.timeout,
            pause: config.pause,
            settle: config.settle,
            ignores_transaction_ids: config.ignores_transaction_ids,
            max_registers: config.max_registers,
            tls: config.tls.clone(),
        }
    }

    /// A device of which no more is known than its place, and perhaps its profile.
    #[must_use]
    pub fn at(location: Location, profile: Option<Arc<Profile>>) -> Self {
        let pause = profile.as_ref().map_or(0, |profile| profile.pause_ms);
        Self {
            endpoint: location.endpoint,
            unit: location
                .unit
                .or(profile.as_ref().map(|profile| profile.unit))
                .unwrap_or(1),
            base: location.base,
            timeout: DEADLINE,
            pause: Duration::from_millis(u64::from(pause)),
            settle: Duration::ZERO,
            ignores_transaction_ids: false,
            max_registers: READ_MAX,
            tls: None,
            profile,
        }
    }

    /// A connection of its own to the device, made at the first request, and a reader on it.
    ///
    /// # Errors
    /// [`TlsError`] where the certificates cannot be used.
    pub fn reader(&self) -> Result<Reader, TlsError> {
        Ok(self.reader_on(&self.connect()?))
    }

    /// A connection to the endpoint, made at the first request.
    ///
    /// # Errors
    /// [`TlsError`] where the certificates cannot be used.
    pub fn connect(&self) -> Result<Bus, TlsError> {
        let settings = BusSettings {
            tls: self.tls.as_ref().map(Tls::load).transpose()?,
            pause: self.pause,
            settle: self.settle,
            ignores_transaction_ids: self.ignores_transaction_ids,
        };
        Ok(Bus::start(self.endpoint.clone(), settings))
    }

    /// A reader of the device on a connection to its endpoint.
    #[must_use]
    pub fn reader_on(&self, bus: &Bus) -> Reader {
        let of_profile = self
            .profile
            .as_ref()
            .map_or(READ_MAX, |profile| profile.max_registers);
        let mut reader = Reader::new(
            bus.unit(self.unit, self.timeout),
            self.max_registers.min(of_profile),
        );
        reader.begin(now(), true);
        reader
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let location = Location {
            endpoint: self.endpoint.clone(),
            unit: Some(self.unit),
            base: self.base,
        };
        location.fmt(f)
    }
}

/// The time by the system's clock; the epoch where that stands outside of what the protocol can say.
#[must_use]
pub fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let seconds = i64::try_from(since.as_secs()).unwrap_or(0);
    Timestamp::from_unix(seconds).unwrap_or(Timestamp::EPOCH)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::EXAMPLE;

    fn found(device: &str, config: Option<&Path>, default: &Path) -> Result<Target, TargetError> {
        let named = Named {
            device: device.to_owned(),
            config: config.map(Path::to_owned),
            ..Named::default()
        };
        named.find(default)
    }

    #[test]
    fn a_name_is_looked_up_and_a_place_needs_no_config() {
        let directory = tempfile::tempdir().unwrap();
        let config = directory.path().join("agent.toml");
        std::fs::write(&config, EXAMPLE).unwrap();
        let nowhere = directory.path().join("nowhere.toml");
        assert_eq!(
            found("roof", None, &config).unwrap().to_string(),
            "tcp://192.0.2.11:502?unit=1"
        );
        assert_eq!(
            found("battery", Some(&config), &nowhere).unwrap().base,
            Some(40_000)
        );
        for place in [
            "192.0.2.1",
            "192.0.2.1:1502",
            "tcp://a:502?unit=3&base=0",
            "rtu:///dev/ttyUSB0",
        ] {
            assert!(found(place, None, &nowhere).is_ok(), "{place}");
            assert!(found(place, Some(&config), &nowhere).is_ok(), "{place}");
        }
    }

    #[test]
    fn what_is_neither_says_which_names_there_are() {
        let directory = tempfile::tempdir().unwrap();
        let config = directory.path().join("agent.toml");
        let sentence =
            |device: &str, named: Option<&Path>| found(device, named, &config).unwrap_err().to_string();
        assert!(sentence("roof", None).contains("there is no"));
        assert!(sentence("roof", Some(&config)).contains("cannot be read"));
        std::fs::write(&config, EXAMPLE).unwrap();
        let unknown = sentence("rof", None);
        assert!(unknown.contains("grid meter, roof, battery"), "{unknown}");
        assert!(sentence("tls://a:802", None).contains("--ca"));
        assert!(sentence("udp://a", None).contains("none of tcp"));
    }

    #[test]
    fn a_profile_brings_its_unit_its_pause_and_its_limit() {
        let named = Named {
            device: "rtu:///dev/ttyUSB0".to_owned(),
            profile: Some("eastron-sdm630".to_owned()),
            ..Named::default()
        };
        let target = named.find(Path::new("/nowhere")).unwrap();
        assert_eq!((target.unit, target.pause.as_millis()), (1, 50));
        let unknown = Named {
            profile: Some("acme".to_owned()),
            ..named
        };
        let error = unknown.find(Path::new("/nowhere")).unwrap_err().to_string();
        assert!(error.contains("eastron-sdm630"), "{error}");
    }
}
