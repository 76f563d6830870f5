//! The controls of a device: which registers they stand in, read in one request and written in order.

use std::num::NonZeroU32;

use gridtally_protocol::quantity::Milliwatts;
use gridtally_protocol::time::Timestamp;

use super::{Driver, DriverError, Source};
use crate::config::DeviceKind;
use crate::device::bus::{BusError, Query, Table};
use crate::device::controls::{Command, Controls, Ratings, Write};
use crate::device::sunspec::{ModelPlace, SunSpecError};

/// What of a device is controlled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Hand {
    /// The power of its battery.
    Battery,
    /// The greatest production of its panels.
    Production,
}

impl Hand {
    /// Its stable name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Battery => "battery",
            Self::Production => "production",
        }
    }

    /// The models that have it, the newer one first. The set-point of model 704 is of the whole inverter: that of
    /// a hybrid holds panels and battery together, and not the battery.
    const fn models(self, kind: DeviceKind) -> &'static [u16] {
        match (self, kind) {
            (Self::Battery, DeviceKind::HybridInverter) => &[124],
            (Self::Battery, _) => &[704, 124],
            (Self::Production, _) => &[704, 123],
        }
    }

    /// A command that every device with this control can express.
    const fn harmless(self, nameplate: Milliwatts) -> Command {
        match self {
            Self::Battery => Command::Hold(Milliwatts::ZERO),
            Self::Production => Command::LimitProduction(nameplate),
        }
    }
}

impl Driver {
    /// The controls as they stand.
    ///
    /// # Errors
    /// [`DriverError`].
    pub async fn controls(&mut self, hand: Hand, now: Timestamp) -> Result<Controls, DriverError> {
        self.reader.begin(now, false);
        if self.config.profile.is_some() {
            return self.controls_of_profile().await;
        }
        let mut last = None;
        for model in hand.models(self.config.kind) {
            match self.controls_of_model(*model).await {
                Ok(controls) => match controls.plan(hand.harmless(self.config.nameplate), NonZeroU32::MIN) {
                    Ok(_) => return Ok(controls),
                    // What is missing here may be there in the older model.
                    Err(error) => last = Some(error.into()),
                },
                Err(error @ DriverError::SunSpec(SunSpecError::NoModel { .. })) => {
                    last.get_or_insert(error);
                }
                Err(error) => return Err(error),
            }
        }
        Err(last.unwrap_or_else(|| self.not_in_profile(hand)))
    }

    async fn controls_of_model(&mut self, model: u16) -> Result<Controls, DriverError> {
        let (place, layout) = self.find(&[model]).await?;
        let image = match self.reader.whole_model(&place, &layout).await {
            Err(error) => {
                if let (SunSpecError::Shifted { .. }, Source::SunSpec(driver)) = (&error, &mut self.source) {
                    driver.forget();
                }
                return Err(error.into());
            }
            Ok(image) => image,
        };
        let ratings = match model {
            704 => self.ratings(),
            123 => Ratings {
                production: Some(self.production_rating().await),
                ..Ratings::default()
            },
            // The percentages of 124 are of what the model itself says.
            _ => Ratings::default(),
        };
        let controls = Controls::of_model(&image.words(), ratings)?;
        Ok(controls.allowing_grid_charging(self.config.grid_charging))
    }

    /// What the percentages of model 123 are of: the greatest power as it was set (121, WMax), else as it was
    /// built (120, WRtg), else as the owner says it.
    async fn production_rating(&mut self) -> Milliwatts {
        for (model, point) in [(121, "WMax"), (120, "WRtg")] {
            if let Ok((place, layout)) = self.find(&[model]).await
                && let Ok(image) = self.reader.model(&place, &layout, [point]).await
                && let Ok(power) = image.milli(point)
                && power > 0
            {
                return Milliwatts::new(power);
            }
        }
        self.config.nameplate
    }

    async fn controls_of_profile(&mut self) -> Result<Controls, DriverError> {
        let Some(profile) = self.config.profile.clone() else {
            return Err(self.not_in_profile(Hand::Battery));
        };
        let mut spans = Vec::new();
        for (address, count) in Controls::registers_of(&profile) {
            match self.reader.read(Table::Holding, address, count).await {
                Ok(words) => spans.push((address, words)),
                // Registers that can only be written exist; what is not read is not saved and not judged.
                Err(error @ BusError::Exception(_)) if error.is_answer() => {}
                Err(error) => return Err(error.into()),
            }
        }
        let spans = spans.iter().map(|(address, words)| (*address, words.as_slice()));
        let controls = Controls::of_profile(&profile, spans, self.ratings());
        Ok(controls.allowing_grid_charging(self.config.grid_charging))
    }

    /// Writes, each in its own request, in their order; the first that fails is the last.
    ///
    /// # Errors
    /// [`DriverError`]; after a time-out it is unknown what the device took.
    pub async fn write(
        &mut self,
        controls: &Controls,
        writes: &[Write],
        now: Timestamp,
    ) -> Result<(), DriverError> {
        self.reader.begin(now, false);
        let base = match controls.model() {
            None => 0,
            Some(model) => {
                let (ModelPlace { address, .. }, _) = self.find(&[model]).await?;
                address
            }
        };
        for write in writes {
            let address = base.checked_add(write.offset).ok_or(BusError::Request {
                address: base,
                count: write.words.len(),
            })?;
            let words = write.words.clone();
            self.reader
                .unit()
                .write(Query::Write { address, words }, now)
                .await?;
        }
        Ok(())
    }

    fn ratings(&self) -> Ratings {
        let nameplate = Some(self.config.nameplate);
        Ratings {
            charge: nameplate,
            discharge: nameplate,
            production: nameplate,
        }
    }

    fn not_in_profile(&self, hand: Hand) -> DriverError {
        DriverError::NotInProfile {
            profile: self.config.name.clone(),
            what: format!("control of {hand:?}"),
        }
    }
}
