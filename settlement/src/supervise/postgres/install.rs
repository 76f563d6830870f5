//! Finding PostgreSQL's programs.

use std::fs;
use std::path::{Path, PathBuf};

use super::super::error::{At, SuperviseError};

/// The oldest release that the engine is made for.
const MAJOR_MIN: u32 = 15;
/// Where Debian and Ubuntu keep one directory for each release.
const DEBIAN_ROOT: &str = "/usr/lib/postgresql";

/// A directory with `initdb` and `postgres` in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Installation {
    bin: PathBuf,
}

impl Installation {
    /// The newest release that is installed; for a cluster that exists, the one that made it.
    pub(super) fn find(cluster: &Path) -> Result<Installation, SuperviseError> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let made_by = match fs::read_to_string(cluster.join("PG_VERSION")) {
            Ok(version) => Some(version.trim().to_owned()),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
            Err(error) => return Err(error).at("read", &cluster.join("PG_VERSION")),
        };
        let candidates = releases_below(Path::new(DEBIAN_ROOT))
            .into_iter()
            .map(|(major, bin)| (Some(major), bin))
            .chain(std::env::split_paths(&path).map(|bin| (None, bin)))
            .filter(|(_, bin)| bin.join("initdb").is_file() && bin.join("postgres").is_file());
        choose(candidates, made_by.as_deref(), major_of).ok_or_else(|| match made_by {
            Some(version) => SuperviseError::VersionMissing {
                dir: cluster.to_owned(),
                version,
            },
            None => SuperviseError::NotInstalled {
                program: "PostgreSQL 15 or newer (initdb, postgres)",
                package: "postgresql".to_owned(),
                option: "--database",
            },
        })
    }

    pub(super) fn program(&self, name: &str) -> PathBuf {
        self.bin.join(name)
    }
}

/// The first candidate that is new enough, or that is of the release a cluster was made by.
fn choose(
    candidates: impl Iterator<Item = (Option<u32>, PathBuf)>,
    made_by: Option<&str>,
    major_of: impl Fn(&Path) -> Option<u32>,
) -> Option<Installation> {
    candidates
        .filter_map(|(major, bin)| Some((major.or_else(|| major_of(&bin))?, bin)))
        .find(|(major, _)| match made_by {
            Some(version) => major.to_string() == version,
            None => *major >= MAJOR_MIN,
        })
        .map(|(_, bin)| Installation { bin })
}

/// Debian's releases, newest first.
fn releases_below(root: &Path) -> Vec<(u32, PathBuf)> {
    let mut releases: Vec<(u32, PathBuf)> = fs::read_dir(root)
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| {
            Some((
                entry.file_name().to_str()?.parse().ok()?,
                entry.path().join("bin"),
            ))
        })
        .collect();
    releases.sort_unstable_by(|one, other| other.cmp(one));
    releases
}

/// Asks a program for its version: `postgres (PostgreSQL) 15.18 (Debian …)`.
fn major_of(bin: &Path) -> Option<u32> {
    let output = std::process::Command::new(bin.join("postgres"))
        .arg("--version")
        .output()
        .ok()?;
    major_in(&String::from_utf8(output.stdout).ok()?)
}

fn major_in(version: &str) -> Option<u32> {
    let number = version
        .split_whitespace()
        .find(|word| word.starts_with(|c: char| c.is_ascii_digit()))?;
    number.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(made_by: Option<&str>, releases: &[u32]) -> Option<String> {
        let candidates = releases
            .iter()
            .map(|major| (Some(*major), PathBuf::from(format!("/{major}"))));
        choose(candidates, made_by, |_| None).map(|found| found.bin.display().to_string())
    }

    #[test]
    fn a_new_cluster_takes_the_newest_release_and_an_old_one_its_own() {
        assert_eq!(chosen(None, &[17, 16, 15, 13]).as_deref(), Some("/17"));
        assert_eq!(chosen(Some("15"), &[17, 16, 15, 13]).as_deref(), Some("/15"));
        assert_eq!(chosen(None, &[14, 13]), None);
        assert_eq!(chosen(Some("14"), &[17]), None);
    }

    #[test]
    fn releases_are_sorted_as_numbers() {
        let root = tempfile::tempdir().unwrap();
        for name in ["9", "15", "17", "lost+found"] {
            fs::create_dir(root.path().join(name)).unwrap();
        }
        let majors: Vec<u32> = releases_below(root.path())
            .into_iter()
            .map(|(major, _)| major)
            .collect();
        assert_eq!(majors, [17, 15, 9]);
    }

    #[test]
    fn versions_are_read_as_the_programs_print_them() {
        assert_eq!(
            major_in("postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)"),
            Some(15)
        );
        assert_eq!(major_in("postgres (PostgreSQL) 18beta1"), Some(18));
        assert_eq!(major_in("postgres (PostgreSQL)"), None);
    }
}
