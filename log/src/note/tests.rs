//! The published example of signed notes, what is refused, and what reads back.

use gridtally_protocol::identity::{Digest, SigningIdentity};
use proptest::prelude::*;

use super::*;

/// The example of the Go implementation of notes (golang.org/x/mod/sumdb/note), with its keys.
const NEUMANN: &str = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
const NEUMANN_SECRET: &str = "PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz";
const NEUMANN_NOTE: &str = "If you think cryptography is the answer to your problem,\n\
    then you don't know what your problem is.\n\
    \n\
    — PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n";

fn signer(name: &str, algorithm: Algorithm, secret: u8) -> Signer {
    let key = SigningIdentity::from_secret(&[secret; 32]).unwrap();
    Signer::new(name.parse().unwrap(), algorithm, key)
}

fn head(size: u64) -> TreeHead {
    TreeHead {
        size,
        root: Digest::of(&size.to_be_bytes()),
    }
}

#[test]
fn the_published_note_is_verified_and_made() {
    let key: VerifierKey = NEUMANN.parse().unwrap();
    let note = Note::parse(NEUMANN_NOTE.as_bytes()).unwrap();
    assert!(key.verify(note.text(), &note.signatures[0]).is_some());
    assert_eq!(note.to_string(), NEUMANN_NOTE);
    let signer: Signer = NEUMANN_SECRET.parse().unwrap();
    assert_eq!(signer.verifier(), &key);
    assert_eq!(signer.sign(note.text(), 0), note.signatures[0]);
    assert_eq!(key.to_string(), NEUMANN);
}

#[test]
fn the_published_cosigned_checkpoint_is_read() {
    let published = "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\n\
        — example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=\n\
        — witness.example.com/w1 jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/zXcrtPHeolMI5OWXEhZCB9dlrDJsX3b2oyin1nPZqhf5nNo0xUe+mbIUBkBIfZ+qnA==\n";
    let signed = SignedCheckpoint::parse(published.as_bytes()).unwrap();
    assert_eq!(signed.to_string(), published);
    assert_eq!(signed.checkpoint.head.size, 20_852_163);
    let [log, witness] = signed.note().signatures.as_slice() else {
        panic!("two signatures")
    };
    assert_eq!((log.signature.len(), witness.signature.len()), (64, 72));
    let time: [u8; 8] = witness.signature[..8].try_into().unwrap();
    assert_eq!(u64::from_be_bytes(time), 1_679_315_147);
}

#[test]
fn a_checkpoint_is_believed_when_its_log_has_signed_it() {
    let log = signer("log.example/a", Algorithm::Ed25519, 1);
    let signed = SignedCheckpoint::sign(head(7), &log).unwrap();
    signed.trusted(log.verifier()).unwrap();
    // The same name with another key has another hash: as if it had not signed.
    let imposter = signer("log.example/a", Algorithm::Ed25519, 2);
    let name = || "log.example/a".to_owned();
    assert_eq!(
        signed.trusted(imposter.verifier()),
        Err(TrustError::Unsigned(name()))
    );
    let other = signer("log.example/b", Algorithm::Ed25519, 1);
    let origin = TrustError::Origin {
        found: name(),
        expected: "log.example/b".to_owned(),
    };
    assert_eq!(signed.trusted(other.verifier()), Err(origin));
    // The signature of one checkpoint below another.
    let mut forged = SignedCheckpoint::sign(head(8), &log).unwrap();
    forged.add(signed.note().signatures[0].clone());
    assert_eq!(forged.trusted(log.verifier()), Err(TrustError::Forged(name())));
}

#[test]
fn a_cosignature_is_for_one_text_and_one_time() {
    let log = signer("log.example/a", Algorithm::Ed25519, 1);
    let witness = signer("witness.example/w", Algorithm::CosignatureV1, 3);
    let mut signed = SignedCheckpoint::sign(head(7), &log).unwrap();
    signed.add(signed.cosignature(&witness, 1_800_000_000));
    assert_eq!(signed.signed_by(witness.verifier()), Ok(1_800_000_000));
    signed.trusted(log.verifier()).unwrap();

    let line = signed.note().signatures[1].clone();
    let mut later = line.clone();
    later.signature[7] ^= 1;
    let mut other_root = SignedCheckpoint::sign(head(8), &log).unwrap();
    other_root.add(line.clone());
    let forged = Err(TrustError::Forged("witness.example/w".to_owned()));
    assert_eq!(other_root.signed_by(witness.verifier()), forged);
    let mut other_time = signed.clone();
    other_time.add(later);
    assert_eq!(other_time.signed_by(witness.verifier()), forged);
    // A key for plain signatures is another key, even with the same bytes and name.
    let plain = signer("witness.example/w", Algorithm::Ed25519, 3);
    assert!(matches!(
        signed.signed_by(plain.verifier()),
        Err(TrustError::Unsigned(_))
    ));
    // A time beyond 2^63 - 1 is none, whoever signed it.
    let mut never = SignedCheckpoint::sign(head(7), &log).unwrap();
    never.add(never.cosignature(&witness, 1 << 63));
    assert_eq!(never.signed_by(witness.verifier()), forged);
}

#[test]
fn merging_takes_what_holds_and_nothing_else() {
    let log = signer("log.example/a", Algorithm::Ed25519, 1);
    let witness = signer("witness.example/w", Algorithm::CosignatureV1, 3);
    let stranger = signer("stranger.example", Algorithm::CosignatureV1, 4);
    let bare = SignedCheckpoint::sign(head(7), &log).unwrap();
    let mut signed = bare.clone();
    signed.add(bare.cosignature(&witness, 5));
    signed.add(bare.cosignature(&stranger, 6));
    let mut merged = bare.clone();
    let known = [witness.verifier().clone(), log.verifier().clone()];
    assert_eq!(merged.merge(&signed, &known), 1);
    assert_eq!(merged.merge(&signed, &known), 1);
    assert_eq!(merged.note().signatures.len(), 2);
    let mut other = SignedCheckpoint::sign(head(8), &log).unwrap();
    assert_eq!(other.merge(&signed, &known), 0);
}

#[test]
fn what_is_no_checkpoint_is_refused_with_a_reason() {
    let good = "log.example/a\n7\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n";
    assert!(Checkpoint::parse(good).is_ok());
    for wrong in [
        good.replace("log.example/a", ""),
        good.replace("log", &"l".repeat(300)),
        good.replace("\n7\n", "\n07\n"),
        good.replace("\n7\n", "\n+7\n"),
        good.replace("\n7\n", "\n-7\n"),
        good.replace("\n7\n", "\n4611686018427387905\n"),
        good.replace("\n7\n", "\n99999999999999999999\n"),
        good.replace("q2I=", "q2J="),
        good.replace("q2I=", "q2I"),
        good.replace("CsUY", ""),
        format!("{good}\n"),
        format!("{good}{}", "extension\n".repeat(17)),
        format!("{good}{}\n", "x".repeat(1025)),
        good.trim_end().to_owned(),
    ] {
        assert!(Checkpoint::parse(&wrong).is_err(), "{wrong}");
    }
    let extended = format!("{good}extension\n");
    assert_eq!(Checkpoint::parse(&extended).unwrap().to_string(), extended);
}

#[test]
fn what_is_no_note_is_refused_with_a_reason() {
    let log = signer("log.example/a", Algorithm::Ed25519, 1);
    let good = SignedCheckpoint::sign(head(7), &log).unwrap().to_string();
    let many = good.lines().last().unwrap().to_owned() + "\n";
    for wrong in [
        String::new(),
        good.replace("\n\n", "\n"),
        good.trim_end().to_owned(),
        good.replace("— ", "- "),
        good.replace("\n7\n", "\n7\r\n"),
        good.replace("— log.example/a", "— log+example"),
        good.replace("— log.example/a ", "— log.example/a  "),
        format!("{good}{}", many.repeat(SIGNATURES_MAX)),
        format!("{good}\n"),
        "x".repeat(NOTE_LEN_MAX + 1),
    ] {
        assert!(Note::parse(wrong.as_bytes()).is_err(), "{wrong:.200}");
    }
    assert_eq!(Note::parse(b"\xff\n\n"), Err(NoteError::NotText));
    assert!(Note::parse(format!("{good}{}", many.repeat(SIGNATURES_MAX - 1)).as_bytes()).is_ok());
}

#[test]
fn keys_that_were_changed_are_refused() {
    assert_eq!(
        NEUMANN.replace("c74f", "c74e").parse::<VerifierKey>(),
        Err(KeyError::Hash)
    );
    assert_eq!(
        NEUMANN.replace("Peter", "Petra").parse::<VerifierKey>(),
        Err(KeyError::Hash)
    );
    assert_eq!(
        NEUMANN.replace("+ARpc", "+AhpC").parse::<VerifierKey>(),
        Err(KeyError::Algorithm(2))
    );
    assert!(NEUMANN.replace("10TW", "10T").parse::<VerifierKey>().is_err());
    assert!("PeterNeumann".parse::<VerifierKey>().is_err());
    assert!(NEUMANN.parse::<Signer>().is_err());
    let weak = format!("w+00000000+AQ{}", "A".repeat(42));
    assert!(weak.parse::<VerifierKey>().is_err());
    assert!("a b".parse::<KeyName>().is_err() && "a\u{a0}b".parse::<KeyName>().is_err());
}

proptest! {
    #[test]
    fn no_bytes_make_a_parser_panic_and_what_is_read_is_written_back(
        bytes in prop::collection::vec(any::<u8>(), 0..400), at in any::<prop::sample::Index>(), value in any::<u8>(),
    ) {
        let _ = SignedCheckpoint::parse(&bytes);
        let mut near = NEUMANN_NOTE.as_bytes().to_vec();
        let place = at.index(near.len());
        near[place] = value;
        if let Ok(note) = Note::parse(&near) {
            prop_assert_eq!(note.to_string().into_bytes(), near);
        }
    }

    #[test]
    fn a_flipped_bit_anywhere_is_not_believed(at in any::<prop::sample::Index>(), bit in 0..8_u8, size in 0..SIZE_MAX) {
        let log = signer("log.example/a", Algorithm::Ed25519, 1);
        let signed = SignedCheckpoint::sign(head(size), &log).unwrap();
        let mut bytes = signed.to_string().into_bytes();
        prop_assert_eq!(&SignedCheckpoint::parse(&bytes).unwrap(), &signed);
        let place = at.index(bytes.len());
        bytes[place] ^= 1 << bit;
        let believed = SignedCheckpoint::parse(&bytes).is_ok_and(|other| other.trusted(log.verifier()).is_ok());
        prop_assert!(!believed);
    }
}
