//! What is kept of a log that did not continue what it had shown: both signed checkpoints, and a sentence.

use std::path::Path;

use gridtally_protocol::identity::Digest;

use crate::files::{DiskError, ExtendError, make_directory, replace_file};
use crate::note::SignedCheckpoint;

/// Keeps the evidence; where, as a part of a sentence. That it could not be kept must not hide what was seen.
pub fn keep(
    directory: &Path,
    known: Option<&SignedCheckpoint>,
    shown: &SignedCheckpoint,
    why: &ExtendError,
) -> String {
    match write(directory, known, shown, why) {
        Ok(place) => format!("both checkpoints are kept in {place}"),
        Err(error) => format!("and the evidence could not be kept: {error}"),
    }
}

fn write(
    directory: &Path,
    known: Option<&SignedCheckpoint>,
    shown: &SignedCheckpoint,
    why: &ExtendError,
) -> Result<String, DiskError> {
    let short = |digest: Digest| digest.to_string().chars().take(16).collect::<String>();
    let origin = short(Digest::of(shown.checkpoint.origin.as_bytes()));
    let (old, new) = (
        known.map_or(0, |known| known.checkpoint.head.size),
        shown.checkpoint.head,
    );
    let name = format!("{origin}-{old}-{}-{}", new.size, short(new.root));
    let all = directory.join("evidence");
    let folder = all.join(name);
    make_directory(&all)?;
    make_directory(&folder)?;
    let incoming = directory.join(".incoming");
    let put = |file: &str, text: String| replace_file(&folder.join(file), &incoming, text.as_bytes());
    if let Some(known) = known {
        put("known", known.to_string())?;
    }
    put("shown", shown.to_string())?;
    put("why", sentence(why))?;
    Ok(folder.display().to_string())
}

fn sentence(why: &ExtendError) -> String {
    let meaning = match why {
        ExtendError::Shrinks { .. } => {
            "Either an old copy was served, as by a cache or a backup, or the log has taken back what it had signed."
        }
        ExtendError::Fork { .. } => {
            "The log has signed both, and no log that only grows can: this proves that it shows different people \
             different things, or has changed what it had shown."
        }
        ExtendError::Tiles { .. } | ExtendError::Node(_) => {
            "Nothing shows that the newer checkpoint continues the older one. If it stays so, the log cannot show it."
        }
    };
    format!(
        "{why}.\n{meaning}\n`known` is what this witness had cosigned, `shown` is what it was shown then.\n"
    )
}
