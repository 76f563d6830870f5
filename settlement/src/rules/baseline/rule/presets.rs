//! The rules that are built in.

use core::fmt;

use super::BaselineRule;
use crate::rules::document::DocumentError;

macro_rules! presets {
    ($($name:literal),+ $(,)?) => {
        /// The presets that are built in: name and document.
        pub const PRESETS: &[(&str, &str)] = &[$((
            $name,
            include_str!(concat!("../../../../../config/programs/baselines/", $name, ".toml")),
        )),+];
    };
}

presets![
    "caiso_style_10_10",
    "caiso_style_5_10_res",
    "pjm_style_h4o5_saa",
    "nyiso_style_5_10",
    "ercot_style_mid8_10",
    "miso_style_10_10",
    "dfs_style_bl01",
    "unadj_10_10",
    "caiso_style_10_10_filled",
    "caiso_style_weather_match",
    "caiso_style_control_group",
    "caiso_style_generator_output",
    "pge_style_psr",
    "pjm_style_h4o5_saa_by_day",
    "pjm_style_same_day_3_2",
    "nyiso_style_5_10_notified",
    "isone_style_10",
    "meti_style_h4o5",
    "octopus_style_session",
    "aemo_style_all_days",
    "aemo_style_business",
    "aemo_style_non_business",
    "aemo_style_composite",
    "naesb_style_maximum_base_load",
    "naesb_style_meter_before_after",
    "naesb_style_type_2_sampled",
    "pjm_style_match_day",
    "isone_style_90_10",
    "centerpoint_style_4_days",
];

/// A name that is not of a preset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownPreset(String);

impl fmt::Display for UnknownPreset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let known: Vec<_> = PRESETS.iter().map(|(name, _)| *name).collect();
        write!(f, "{:?} is no preset; known are {}", self.0, known.join(", "))
    }
}

impl std::error::Error for UnknownPreset {}

/// Why a preset cannot be had.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PresetError {
    /// There is none of this name.
    #[error(transparent)]
    Unknown(#[from] UnknownPreset),
    /// Its document is wrong.
    #[error(transparent)]
    Document(#[from] DocumentError),
}

impl BaselineRule {
    /// A preset by its name.
    ///
    /// # Errors
    /// [`PresetError::Unknown`] that lists the known names.
    pub fn preset(name: &str) -> Result<Self, PresetError> {
        let preset = PRESETS.iter().find(|(known, _)| *known == name);
        let (_, text) = preset.ok_or_else(|| UnknownPreset(name.chars().take(64).collect()))?;
        Ok(Self::from_toml(name, text)?)
    }
}
