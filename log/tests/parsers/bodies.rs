//! What must hold for whatever bytes a stranger serves: no parser panics, and what it accepts is written back byte
//! for byte. The property tests and the fuzz targets (`fuzz/`) run these same bodies.

use gridtally_log::files::Place;
use gridtally_log::leaf::{LEAF_LEN_MAX, Leaf};
use gridtally_log::note::{
    KeyName, NOTE_LEN_MAX, Note, SIGNATURES_MAX, SIZE_MAX, SignedCheckpoint, Signer, VerifierKey,
};
use gridtally_log::proof::InclusionProof;
use gridtally_log::tile::{Tile, WIDTH, decode_entries, decode_hashes, encode_hashes, push_entry};

/// A body: bytes in, panic where a law is broken.
pub type Body = fn(&[u8]);

/// Every body with the name of its fuzz target.
pub const ALL: [(&str, Body); 5] = [
    ("note", note),
    ("checkpoint", checkpoint),
    ("leaf", leaf),
    ("tile", tile),
    ("log_proof", log_proof),
];

/// Somebody whose name hostile notes may bear.
const NEUMANN: &str = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";

/// Signed notes, and the texts of keys.
pub fn note(bytes: &[u8]) {
    if let Ok(note) = Note::parse(bytes) {
        assert!(bytes.len() <= NOTE_LEN_MAX && note.signatures.len() <= SIGNATURES_MAX);
        assert_eq!(note.to_string().as_bytes(), bytes);
        let key: VerifierKey = NEUMANN.parse().expect("a sound key");
        for line in &note.signatures {
            assert!(key.claims(line) || key.verify(note.text(), line).is_none());
        }
    }
    let Ok(text) = core::str::from_utf8(bytes) else {
        return;
    };
    if let Ok(key) = text.parse::<VerifierKey>() {
        assert_eq!(key.to_string().parse(), Ok(key));
    }
    if let Ok(name) = text.parse::<KeyName>() {
        assert_eq!(name.as_str(), text);
    }
    let _ = text.parse::<Signer>();
    let _ = text.parse::<Place>();
}

/// Checkpoints.
pub fn checkpoint(bytes: &[u8]) {
    let Ok(signed) = SignedCheckpoint::parse(bytes) else {
        return;
    };
    assert_eq!(signed.to_string().as_bytes(), bytes);
    assert_eq!(signed.checkpoint.to_string(), signed.note().text());
    assert!(signed.checkpoint.head.size <= SIZE_MAX);
    let key: VerifierKey = NEUMANN.parse().expect("a sound key");
    if signed.checkpoint.origin != key.name().as_str() {
        assert!(signed.trusted(&key).is_err());
    }
    let mut merged = signed.only(&key);
    merged.merge(&signed, &[key]);
}

/// The entries of our log.
pub fn leaf(bytes: &[u8]) {
    if let Ok(leaf) = Leaf::decode(bytes) {
        assert!(bytes.len() <= LEAF_LEN_MAX);
        assert_eq!(leaf.encode(), bytes);
    }
}

/// Paths of tiles, tiles and entry bundles; the first byte is the width.
pub fn tile(bytes: &[u8]) {
    if let Some(tile) = core::str::from_utf8(bytes)
        .ok()
        .and_then(|path| path.parse::<Tile>().ok())
    {
        assert_eq!(tile.to_string().as_bytes(), bytes);
        assert!((1..=WIDTH).contains(&tile.width));
    }
    let Some((width, rest)) = bytes.split_first() else {
        return;
    };
    let width = u16::from(*width).saturating_add(1);
    if let Ok(hashes) = decode_hashes(width, rest) {
        assert_eq!(encode_hashes(&hashes), rest);
    }
    if let Ok(entries) = decode_entries(width, rest) {
        let mut again = Vec::new();
        for entry in &entries {
            push_entry(&mut again, entry).expect("as long as it was");
        }
        assert_eq!((entries.len(), again.as_slice()), (usize::from(width), rest));
    }
}

/// Proofs of inclusion.
pub fn log_proof(bytes: &[u8]) {
    let Ok(proof) = InclusionProof::parse(bytes) else {
        return;
    };
    assert_eq!(proof.to_string().as_bytes(), bytes);
    let key: VerifierKey = NEUMANN.parse().expect("a sound key");
    let leaf = Leaf {
        kind: gridtally_log::leaf::Kind::Event,
        name: "tuesday".parse().expect("a name"),
        digest: gridtally_protocol::identity::Digest::NONE,
    };
    assert!(proof.verify(&leaf, &key).is_err(), "{NEUMANN} has signed no log");
}
