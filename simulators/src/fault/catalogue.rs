//! Every fault by name: one table, from which the type, the command line, the control API and the
//! README's table are made.

use super::FaultError;
use serde::de::{Error as _, MapAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::str::FromStr;

/// Where a fault acts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layer {
    /// Connections, and the bytes of frames below the Modbus codec.
    Wire,
    /// Well-framed replies that are wrong, and exceptions.
    Reply,
    /// The chain of models.
    Map,
    /// What points say.
    Value,
    /// What becomes of writes.
    Control,
}

impl Layer {
    /// All of them, from the cable to the control.
    pub const ALL: [Self; 5] = [Self::Wire, Self::Reply, Self::Map, Self::Value, Self::Control];

    /// Its name, in lower case.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Wire => "wire",
            Self::Reply => "reply",
            Self::Map => "map",
            Self::Value => "value",
            Self::Control => "control",
        }
    }
}

/// A parameter of a fault, an integer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parameter {
    /// Its name, as in a config file.
    pub name: &'static str,
    /// Its value when none is given.
    pub default: i64,
}

/// A line of the catalogue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Description {
    /// The fault with the default of each parameter.
    pub fault: Fault,
    /// Its name, as in a config file.
    pub name: &'static str,
    /// Where it acts.
    pub layer: Layer,
    /// What a client sees.
    pub summary: &'static str,
    /// What can be set.
    pub parameters: &'static [Parameter],
}

macro_rules! faults {
    ($($layer:ident: $(
        #[doc = $summary:literal]
        $variant:ident $name:literal $({ $($parameter:ident = $default:literal),+ })?
    ;)+ )+) => {
        /// A way in which a device fails. Switch one on with
        /// [`Device::inject`](crate::Device::inject), or for a span of simulated time with
        /// [`Device::schedule`](crate::Device::schedule). Several act together.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        #[non_exhaustive]
        pub enum Fault {
            $($(
                #[doc = $summary]
                $variant $({ $(
                    #[doc = concat!("By default ", stringify!($default), ".")]
                    $parameter: i64
                ),+ })?,
            )+)+
        }

        impl Fault {
            /// The catalogue, from the cable to the control.
            pub const ALL: &'static [Description] = &[$($(
                Description {
                    fault: Self::$variant $({ $($parameter: $default),+ })?,
                    name: $name,
                    layer: Layer::$layer,
                    summary: $summary,
                    parameters: &[$($(Parameter { name: stringify!($parameter), default: $default }),+)?],
                },
            )+)+];

            /// Its name, as in a config file.
            #[must_use]
            pub const fn name(&self) -> &'static str {
                match self {
                    $($(Self::$variant { .. } => $name,)+)+
                }
            }

            /// Its parameters and their values.
            #[must_use]
            pub fn parameters(&self) -> Vec<(&'static str, i64)> {
                match *self {
                    $($(Self::$variant $({ $($parameter),+ })? => vec![$($((stringify!($parameter), $parameter)),+)?],)+)+
                }
            }

            fn parameter_mut(&mut self, name: &str) -> Option<&mut i64> {
                match self {
                    $($(Self::$variant $({ $($parameter),+ })? => {
                        $($(if name == stringify!($parameter) { return Some($parameter); })+)?
                    })+)+
                }
                let _ = name;
                None
            }
        }
    };
}

faults! {
    Wire:
        #[doc = "off, or its cable is out: a new connection is closed at once, an open one at its next request; on a serial line silence; behind a gateway socket with several units, exception 11"]
        Offline "offline";
        #[doc = "each reply comes so many milliseconds late; give more than the client's time-out"]
        LateReply "late-reply" { millis = 3_000 };
        #[doc = "requests are heard and never answered; a write is not applied"]
        Silent "silent";
        #[doc = "each reply carries another transaction id than its request (TCP)"]
        WrongTransactionId "wrong-transaction-id";
        #[doc = "each reply carries the same transaction id, whatever was asked (TCP)"]
        ConstantTransactionId "constant-transaction-id" { id = 2 };
        #[doc = "each reply comes from another unit than was asked"]
        ForeignUnit "foreign-unit";
        #[doc = "each reply answers another function than was asked"]
        ForeignFunction "foreign-function";
        #[doc = "a reply arrives in pieces of so many bytes, so many milliseconds apart"]
        SplitSegments "split-segments" { bytes = 3, millis = 20 };
        #[doc = "a reply waits for the next one and both arrive in one segment; alone it waits so many milliseconds"]
        MergedSegments "merged-segments" { millis = 200 };
        #[doc = "a frame ends after so many bytes, and nothing follows"]
        TruncatedFrame "truncated-frame" { bytes = 8 };
        #[doc = "the length in a frame's header is so much greater than what follows (TCP)"]
        WrongFrameLength "wrong-frame-length" { by = 4 };
        #[doc = "the checksum of a frame is wrong (RTU)"]
        BadCrc "bad-crc";
        #[doc = "noise of so many bytes before each frame"]
        Noise "noise" { bytes = 5 };
        #[doc = "each reply is sent twice"]
        DuplicateReply "duplicate-reply";
        #[doc = "for so many milliseconds after a connection is made, requests are swallowed (TCP)"]
        DeafAfterConnect "deaf-after-connect" { millis = 2_000 };
        #[doc = "one connection at a time: a second one is closed at once (TCP)"]
        OneConnection "one-connection";
        #[doc = "the connection is closed in the middle of each reply (TCP); on a serial line the rest is missing"]
        DropMidReply "drop-mid-reply";
    Reply:
        #[doc = "every reply is well framed and wrong, in one of ten ways that follow from seed, instant and registers"]
        Nonsense "nonsense";
        #[doc = "a read is answered with so many registers too few"]
        ShortReply "short-reply" { by = 1 };
        #[doc = "a read is answered with so many registers too many"]
        LongReply "long-reply" { by = 1 };
        #[doc = "every request meets exception 2, illegal data address"]
        IllegalAddress "illegal-address";
        #[doc = "every request meets exception 4, server device failure"]
        DeviceFailure "device-failure";
        #[doc = "every request meets exception 6, server device busy"]
        Busy "busy";
        #[doc = "every request meets exception 11, gateway target device failed to respond"]
        GatewayTargetSilent "gateway-target-silent";
        #[doc = "a read of more than so many registers meets exception 3"]
        SmallReads "small-reads" { registers = 50 };
        #[doc = "a read across the end of a model meets exception 2"]
        NoReadAcrossModels "no-read-across-models";
    Map:
        #[doc = "where the end model should stand is exception 2"]
        ExceptionAtChainEnd "exception-at-chain-end";
        #[doc = "where the end model should stand are zeros, and exception 2 after them"]
        NoEndModel "no-end-model";
        #[doc = "the L register of a model is off by so much, while its points stay where they are"]
        WrongModelLength "wrong-model-length" { model = 1, by = -1 };
        #[doc = "after SunS there is nothing but zeros, up to register 65535"]
        ZeroFilledMap "zero-filled-map";
        #[doc = "the models behind model 1 stand in the chain twice"]
        DuplicateModels "duplicate-models";
        #[doc = "the models behind model 1 have moved up by so many registers"]
        ShiftedMap "shifted-map" { by = 1 };
    Value:
        #[doc = "each scale factor is off by so much, and the values fit it"]
        ScaleFactorChanges "scale-factor-changes" { by = 1 };
        #[doc = "each scale factor is off by so much, and the values do not fit it"]
        ScaleFactorLies "scale-factor-lies" { by = 1 };
        #[doc = "each scale factor is this number, beyond -10 to 10"]
        ScaleFactorOutOfRange "scale-factor-out-of-range" { value = 40 };
        #[doc = "mandatory points say that they are not implemented"]
        Sentinels "sentinels";
        #[doc = "energy counters are 0, as at wake-up; the true value comes back when the fault ends"]
        CountersAtZero "counters-at-zero";
        #[doc = "energy counters are lower by so many counts, as after a restart that lost its last ones"]
        CounterBackstep "counter-backstep" { counts = 1 };
        #[doc = "energy counters wrap at so many counts"]
        CounterWrapsEarly "counter-wraps-early" { counts = 1_000_000 };
        #[doc = "energy counters begin at 0 at each midnight of the device's clock"]
        CounterResetsDaily "counter-resets-daily";
        #[doc = "energy counters begin anew at 0 with the fault"]
        CounterReset "counter-reset";
        #[doc = "energy counters count downwards from 0, in two's complement"]
        NegativeCounter "negative-counter";
        #[doc = "powers have the other sign"]
        SwappedSign "swapped-sign";
        #[doc = "no register changes any more"]
        Frozen "frozen";
        #[doc = "every measuring point is 0 and the state says FAULT, as in a restart"]
        ZeroFrame "zero-frame";
        #[doc = "the device's clock gains so many seconds a day (model 122 Tms, midnights)"]
        ClockDrifts "clock-drifts" { seconds = 60 };
        #[doc = "the device's clock is off by so many seconds (model 122 Tms, midnights)"]
        ClockSteps "clock-steps" { seconds = 3_600 };
    Control:
        #[doc = "a write meets exception 4 and does nothing, as where control is switched off in the vendor's menu"]
        WritesRefused "writes-refused";
        #[doc = "a write is accepted and no register changes"]
        WritesIgnored "writes-ignored";
        #[doc = "a write is accepted and reads back, and the device goes on as before"]
        WritesNotObeyed "writes-not-obeyed";
        #[doc = "a write is applied and never answered"]
        WriteAppliedUnanswered "write-applied-unanswered";
        #[doc = "reversion timers are stored and never count"]
        NeverReverts "never-reverts";
        #[doc = "reversion timers count in units of so many seconds"]
        ReversionUnit "reversion-unit" { seconds = 60 };
        #[doc = "the controller's heartbeat is never missed"]
        HeartbeatIgnored "heartbeat-ignored";
}

impl Fault {
    /// The fault of that name, with the default of each parameter.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Some(Self::describe(name)?.fault)
    }

    /// The catalogue's line of that name.
    #[must_use]
    pub fn describe(name: &str) -> Option<&'static Description> {
        Self::ALL.iter().find(|description| description.name == name)
    }

    /// Where it acts.
    #[must_use]
    pub fn layer(&self) -> Layer {
        Self::describe(self.name()).map_or(Layer::Wire, |description| description.layer)
    }

    /// Sets a parameter.
    ///
    /// # Errors
    /// If the fault has no parameter of that name; the error names those that it has.
    pub fn set(&mut self, parameter: &str, value: i64) -> Result<(), FaultError> {
        let name = self.name();
        match self.parameter_mut(parameter) {
            Some(slot) => {
                *slot = value;
                Ok(())
            }
            None => Err(FaultError::NoParameter {
                fault: name,
                parameter: parameter.to_owned(),
                known: self
                    .parameters()
                    .iter()
                    .map(|(name, _)| *name)
                    .collect::<Vec<_>>()
                    .join(", "),
            }),
        }
    }

    fn by_name(name: &str) -> Result<Self, FaultError> {
        Self::named(name).ok_or_else(|| FaultError::NoFault {
            name: name.to_owned(),
            nearest: nearest(name),
        })
    }
}

/// The known name that shares the longest beginning or the most words with a mistyped one.
fn nearest(name: &str) -> &'static str {
    let words = |text: &str| text.split('-').map(str::to_owned).collect::<Vec<_>>();
    let asked = words(name);
    Fault::ALL
        .iter()
        .max_by_key(|known| {
            let shared = words(known.name)
                .iter()
                .filter(|word| asked.contains(word))
                .count();
            let prefix = known
                .name
                .bytes()
                .zip(name.bytes())
                .take_while(|(a, b)| a == b)
                .count();
            (shared, prefix)
        })
        .map_or("offline", |known| known.name)
}

/// `late-reply`, `late-reply:millis=500`, `split-segments:bytes=1,millis=5`.
impl FromStr for Fault {
    type Err = FaultError;

    fn from_str(text: &str) -> Result<Self, FaultError> {
        let (name, parameters) = text.split_once(':').unwrap_or((text, ""));
        let mut fault = Self::by_name(name)?;
        for setting in parameters.split(',').filter(|setting| !setting.is_empty()) {
            let (parameter, value) = setting
                .split_once('=')
                .ok_or_else(|| FaultError::NoValue(setting.to_owned()))?;
            let value = value
                .parse()
                .map_err(|_| FaultError::NoValue(setting.to_owned()))?;
            fault.set(parameter, value)?;
        }
        Ok(fault)
    }
}

/// As [`FromStr`] reads it.
impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())?;
        for (n, (parameter, value)) in self.parameters().into_iter().enumerate() {
            write!(f, "{}{parameter}={value}", if n == 0 { ':' } else { ',' })?;
        }
        Ok(())
    }
}

/// `{"fault": "late-reply", "millis": 500}`.
impl Serialize for Fault {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let parameters = self.parameters();
        let mut map = serializer.serialize_map(Some(parameters.len() + 1))?;
        map.serialize_entry("fault", self.name())?;
        for (parameter, value) in parameters {
            map.serialize_entry(parameter, &value)?;
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for Fault {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Table;
        impl<'de> Visitor<'de> for Table {
            type Value = Fault;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(
                    "a fault, as {\"fault\": \"late-reply\", \"millis\": 500} or \"late-reply:millis=500\"",
                )
            }
            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Fault, E> {
                text.parse().map_err(E::custom)
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fault, A::Error> {
                let mut fault = None;
                let mut settings: Vec<(String, i64)> = Vec::new();
                while let Some(key) = map.next_key::<String>()? {
                    if key == "fault" {
                        fault = Some(Fault::by_name(&map.next_value::<String>()?).map_err(A::Error::custom)?);
                    } else {
                        settings.push((key, map.next_value()?));
                    }
                }
                let mut fault = fault.ok_or_else(|| A::Error::missing_field("fault"))?;
                for (parameter, value) in settings {
                    fault.set(&parameter, value).map_err(A::Error::custom)?;
                }
                Ok(fault)
            }
        }
        deserializer.deserialize_any(Table)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_is_known_by_its_name_and_reads_itself_back() {
        for line in Fault::ALL {
            assert_eq!(Fault::named(line.name), Some(line.fault));
            assert_eq!(line.fault.name(), line.name);
            assert_eq!(line.fault.to_string().parse(), Ok(line.fault));
            let json = serde_json::to_string(&line.fault).unwrap();
            assert_eq!(serde_json::from_str::<Fault>(&json).unwrap(), line.fault);
            let named: Vec<_> = line.fault.parameters();
            let described: Vec<_> = line.parameters.iter().map(|p| (p.name, p.default)).collect();
            assert_eq!(named, described);
        }
        let names: std::collections::BTreeSet<_> = Fault::ALL.iter().map(|line| line.name).collect();
        assert_eq!(names.len(), Fault::ALL.len(), "two faults of one name");
    }

    #[test]
    fn mistakes_are_named_with_what_there_is() {
        let error = "reply-late".parse::<Fault>().unwrap_err().to_string();
        assert!(error.contains("late-reply"), "{error}");
        let error = "late-reply:seconds=3".parse::<Fault>().unwrap_err().to_string();
        assert!(error.contains("millis"), "{error}");
        assert!("late-reply:millis=soon".parse::<Fault>().is_err());
        assert!(serde_json::from_str::<Fault>("{\"millis\": 3}").is_err());
    }
}
