//! The box's part of an enrolment: a claim of its devices, signed by its own key.
//!
//! What stands on a device's plate is read from the device where it says so (SunSpec model 1, or the points of its
//! profile); what the owner writes in the config counts before that.

use gridtally_protocol::agreement::{Claim, ClaimedDevice, Label, NONCE_LEN};
use gridtally_protocol::identity::Digest;
use gridtally_protocol::time::Timestamp;

use crate::config::{AgentConfig, DeviceConfig};
use crate::show::{Identity, ShowError, Sight, Target, look_at, look_on, map_of};

/// Why there is no claim.
#[derive(Debug, thiserror::Error)]
pub enum EnrolError {
    /// Nobody knows what stands on a plate.
    #[error(
        "{device:?} does not say its {what}{}; write {what} = \"…\" as it stands on its plate into its [[device]] section",
        because(.why)
    )]
    Plate {
        /// The owner's name for the device.
        device: String,
        /// `make`, `model` or `serial`.
        what: &'static str,
        /// Why the device could not be asked.
        why: Option<String>,
    },
    /// The claim breaks a rule, or does not fit its envelope.
    #[error("{0}; look at the [[device]] sections")]
    Claim(#[from] gridtally_protocol::message::MessageError),
    /// The system gave no random numbers.
    #[error("the system gives no random numbers for a claim: {0}")]
    Random(getrandom::Error),
}

fn because(why: &Option<String>) -> String {
    why.as_ref().map(|why| format!(" ({why})")).unwrap_or_default()
}

/// What stands on a device's plate, as far as it is known.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Plate {
    /// Who made it.
    pub make: Option<Label>,
    /// Which model it is.
    pub model: Option<Label>,
    /// Which one of them.
    pub serial: Option<Label>,
}

impl Plate {
    /// Whether nothing is missing.
    #[must_use]
    pub const fn is_whole(&self) -> bool {
        self.make.is_some() && self.model.is_some() && self.serial.is_some()
    }

    /// What a device says, as far as it can stand on a plate.
    #[must_use]
    pub fn said(identity: &Identity) -> Self {
        let label = |text: &Option<String>| text.as_deref().and_then(|text| text.trim().parse().ok());
        Self {
            make: label(&identity.maker),
            model: label(&identity.model),
            serial: label(&identity.serial),
        }
    }

    /// This, and what is missing from another.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self {
            make: self.make.or(other.make),
            model: self.model.or(other.model),
            serial: self.serial.or(other.serial),
        }
    }
}

/// Asks a device what stands on its plate, and nothing more.
///
/// # Errors
/// [`ShowError`] where it does not answer.
pub async fn ask(device: &DeviceConfig) -> Result<Plate, ShowError> {
    let target = Target::of(device);
    let mut reader = target.reader()?;
    let sight: Sight = if target.profile.is_some() {
        look_on(&mut reader, &target).await?
    } else {
        let map = map_of(&mut reader, target.base)
            .await
            .map_err(|why| ShowError::Device {
                place: target.to_string(),
                why,
            })?;
        look_at(&mut reader, &map, |model| model == 1).await
    };
    Ok(Plate::said(&sight.identity()))
}

/// The claim of all devices of a config. `asked` are the plates in the order of the config, or why a device could not
/// be asked.
///
/// # Errors
/// [`EnrolError::Plate`] with the first thing that nobody knows.
pub fn claim(
    config: &AgentConfig,
    asked: &[Result<Plate, String>],
    nonce: [u8; NONCE_LEN],
    issued_at: Timestamp,
    replaces: Option<Digest>,
) -> Result<Claim, EnrolError> {
    let devices = config.devices.iter().zip(asked);
    let claimed = devices.map(|(device, asked)| {
        let said = asked.as_ref().cloned().unwrap_or_default();
        let plate = device.plate.clone().or(said);
        let known = |what: &'static str, label: Option<Label>| {
            label.ok_or_else(|| EnrolError::Plate {
                device: device.name.clone(),
                what,
                why: asked.as_ref().err().cloned(),
            })
        };
        let mut quantities = device.measures.clone();
        quantities.sort_by_key(|quantity| quantity.code());
        quantities.dedup();
        Ok(ClaimedDevice {
            number: device.number,
            make: known("make", plate.make)?,
            model: known("model", plate.model)?,
            serial: known("serial", plate.serial)?,
            nameplate_milliwatts: device.nameplate,
            capacity_milliwatt_hours: device.capacity,
            quantities,
        })
    });
    let mut devices = claimed.collect::<Result<Vec<_>, EnrolError>>()?;
    devices.sort_by_key(|device| device.number);
    Ok(Claim {
        nonce,
        issued_at,
        interval: config.gateway.interval,
        devices,
        replaces,
    })
}

/// A nonce.
///
/// # Errors
/// [`EnrolError::Random`].
pub fn nonce() -> Result<[u8; NONCE_LEN], EnrolError> {
    let mut nonce = [0; NONCE_LEN];
    getrandom::fill(&mut nonce).map_err(EnrolError::Random)?;
    Ok(nonce)
}
