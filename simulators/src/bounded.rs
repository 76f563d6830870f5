//! Files of people, read up to a bound: what a path names may be a device that never ends.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

/// The text of a file that is no longer than this.
pub(crate) fn read(path: &Path, longest_bytes: usize) -> io::Result<String> {
    let mut text = String::new();
    let one_more = u64::try_from(longest_bytes).map_or(u64::MAX, |longest| longest.saturating_add(1));
    File::open(path)?.take(one_more).read_to_string(&mut text)?;
    if text.len() > longest_bytes {
        return Err(io::Error::other(format!(
            "it is longer than {longest_bytes} bytes"
        )));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_never_ends_is_refused_and_what_is_short_enough_is_read() {
        assert!(read(Path::new("/dev/zero"), 1_000).is_err());
        let manifest = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"));
        let text = read(manifest, 1 << 20).unwrap();
        assert!(text.contains("gridtally-simulators"));
        assert_eq!(read(manifest, text.len()).unwrap(), text);
        assert!(read(manifest, text.len() - 1).is_err());
    }
}
