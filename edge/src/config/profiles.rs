//! The register-map profiles that come with the agent, and those of the owner.

use std::path::Path;
use std::sync::Arc;

use gridtally_registers::profile::Profile;

macro_rules! shipped {
    ($($name:literal),+ $(,)?) => {
        /// Name and text of each profile that comes with the agent.
        pub const SHIPPED: &[(&str, &str)] = &[
            $(($name, include_str!(concat!("../../../config/device-profiles/", $name, ".toml")))),+
        ];
    };
}

shipped!(
    "abb-b23",
    "carlo-gavazzi-em340",
    "deye-sg04lp3",
    "eastron-sdm630",
    "goodwe-et",
    "growatt-min-tl-xh",
    "huawei-sun2000",
    "janitza-umg96",
    "sma-smart-energy",
    "sofar-hyd-g3",
    "solax-hybrid-g4",
    "sungrow-shxrt",
);

/// A profile that comes with the agent, by its name, or one in a file, by its path.
///
/// # Errors
/// What is wrong, in a sentence.
pub fn load(named: &str, directory: &Path) -> Result<Arc<Profile>, String> {
    if let Some((name, text)) = SHIPPED.iter().find(|(name, _)| *name == named) {
        return parse(text, name);
    }
    if !named.ends_with(".toml") {
        let names: Vec<&str> = SHIPPED.iter().map(|(name, _)| *name).collect();
        return Err(format!(
            "{named:?} is no profile that comes with the agent; those are {}; a file of your own ends in .toml",
            names.join(", ")
        ));
    }
    let path = directory.join(named);
    let text = std::fs::read_to_string(&path)
        .map_err(|error| format!("the profile {} cannot be read: {error}", path.display()))?;
    parse(&text, named)
}

fn parse(text: &str, file: &str) -> Result<Arc<Profile>, String> {
    Profile::parse(text, file)
        .map(Arc::new)
        .map_err(|errors| errors.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_profile_that_ships_can_be_used_and_all_that_stand_in_the_folder_ship() {
        for (name, _) in SHIPPED {
            load(name, Path::new("")).unwrap();
        }
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../config/device-profiles");
        let mut files: Vec<String> = std::fs::read_dir(folder)
            .unwrap()
            .filter_map(|entry| Some(entry.unwrap().path().file_stem()?.to_str()?.to_owned()))
            .collect();
        files.sort();
        let shipped: Vec<&str> = SHIPPED.iter().map(|(name, _)| *name).collect();
        assert_eq!(files, shipped);
    }

    #[test]
    fn a_profile_that_is_not_there_is_named_with_those_that_are() {
        let error = load("acme", Path::new("")).unwrap_err();
        assert!(
            error.contains("eastron-sdm630") && error.contains("acme"),
            "{error}"
        );
        let error = load("acme.toml", Path::new("/nowhere")).unwrap_err();
        assert!(error.contains("/nowhere/acme.toml"), "{error}");
    }
}
