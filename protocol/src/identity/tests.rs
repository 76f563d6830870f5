use ed25519_dalek::Verifier as _;
use num_bigint::BigUint;
use proptest::prelude::*;
use sha2::Sha512;

use super::*;

fn key(seed: [u8; 32]) -> SigningIdentity {
    SigningIdentity::from_secret(&seed).unwrap()
}

fn bytes32(hex_text: &str) -> [u8; 32] {
    hex::decode(hex_text).unwrap().try_into().unwrap()
}

/// The prime of the field, 2^255 − 19.
fn prime() -> BigUint {
    (BigUint::from(1_u8) << 255_u32) - 19_u8
}

/// The order of the base point (RFC 8032 §5.1).
fn order() -> BigUint {
    (BigUint::from(1_u8) << 252_u32)
        + "27742317777372353535851937790883648493"
            .parse::<BigUint>()
            .unwrap()
}

fn little_endian(value: &BigUint) -> [u8; 32] {
    let mut bytes = [0; 32];
    let digits = value.to_bytes_le();
    bytes[..digits.len()].copy_from_slice(&digits);
    bytes
}

/// The y coordinates of the eight points of small order, two of them shared by two points.
fn small_order_y() -> [BigUint; 5] {
    let order_8 = bytes32("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05");
    let order_8 = BigUint::from_bytes_le(&order_8);
    [
        BigUint::ZERO,
        BigUint::from(1_u8),
        prime() - 1_u8,
        prime() - &order_8,
        order_8,
    ]
}

fn with_either_sign(y: &BigUint) -> [[u8; 32]; 2] {
    let (plus, mut minus) = (little_endian(y), little_endian(y));
    minus[31] |= 0x80;
    [plus, minus]
}

/// RFC 8032 §7.1, test 1: secret key, public key, and the signature of nothing.
const RFC8032_SECRET: &str = "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60";
const RFC8032_PUBLIC: &str = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";
const RFC8032_SIGNATURE: &str = "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555\
                                 fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b";

#[test]
fn the_first_signature_of_rfc_8032_is_reproduced() {
    let signer = key(bytes32(RFC8032_SECRET));
    assert_eq!(hex::encode(signer.identity().as_bytes()), RFC8032_PUBLIC);
    assert_eq!(hex::encode(signer.sign(b"")), RFC8032_SIGNATURE);
    assert!(signer.identity().verify(b"", &signer.sign(b"")));
    assert!(!signer.identity().verify(b"\0", &signer.sign(b"")));
}

#[test]
fn the_examples_of_the_did_key_method_are_reproduced() {
    let numbered = |n: u8| core::array::from_fn(|i| if i == 31 { n } else { 0 });
    let examples = [
        (
            numbered(0),
            "did:key:z6MkiTBz1ymuepAQ4HEHYSF1H8quG5GLVVQR3djdX3mDooWp",
        ),
        (
            numbered(1),
            "did:key:z6MkjchhfUsD6mmvni8mCdXHw216Xrm9bQe2mBH1P5RDjVJG",
        ),
        (
            numbered(2),
            "did:key:z6MknGc3ocHs3zdPiJbnaaqDi58NGb4pk1Sp9WxWufuXSdxf",
        ),
        (
            bytes32(RFC8032_SECRET),
            "did:key:z6MktwupdmLXVVqTzCw4i46r4uGyosGXRnR3XjN4Zq7oMMsw",
        ),
    ];
    for (seed, text) in examples {
        assert_eq!(key(seed).identity().to_string(), text);
        assert_eq!(text.parse(), Ok(key(seed).identity()));
    }
}

#[test]
fn a_text_that_is_no_ed25519_did_key_is_refused() {
    let with_prefix = |prefix: &[u8], key: &[u8]| {
        let bytes = [prefix, key].concat();
        format!("did:key:z{}", bs58::encode(bytes).into_string())
    };
    let public = bytes32(RFC8032_PUBLIC);
    let texts = [
        String::new(),
        "did:key:".to_owned(),
        "did:key:z".to_owned(),
        "z6MktwupdmLXVVqTzCw4i46r4uGyosGXRnR3XjN4Zq7oMMsw".to_owned(),
        "did:key:6MktwupdmLXVVqTzCw4i46r4uGyosGXRnR3XjN4Zq7oMMsw".to_owned(),
        "DID:KEY:z6MktwupdmLXVVqTzCw4i46r4uGyosGXRnR3XjN4Zq7oMMsw".to_owned(),
        "did:web:z6MktwupdmLXVVqTzCw4i46r4uGyosGXRnR3XjN4Zq7oMMsw".to_owned(),
        "did:key:z6MktwupdmLXVVqTzCw4i46r4uGyosGXRnR3XjN4Zq7oMMsw#z6Mk".to_owned(),
        "did:key:z6MktwupdmLXVVqTzCw4i46r4uGyosGXRnR3XjN4Zq7oMMsw ".to_owned(),
        "did:key:z16MktwupdmLXVVqTzCw4i46r4uGyosGXRnR3XjN4Zq7oMMsw".to_owned(),
        "did:key:z0MktwupdmLXVVqTzCw4i46r4uGyosGXRnR3XjN4Zq7oMMsw".to_owned(),
        format!("did:key:z{}", "1".repeat(100_000)),
        with_prefix(&[0xec, 0x01], &public), // x25519
        with_prefix(&[0xed], &public),
        with_prefix(&[0xed, 0x01], &public[..31]),
        with_prefix(&[0xed, 0x01], &[&public[..], &[0]].concat()),
    ];
    for text in texts {
        assert_eq!(
            text.parse::<Identity>(),
            Err(IdentityError::NotDidKey),
            "{text:.80}"
        );
    }
}

#[test]
fn a_key_of_small_order_is_refused_in_every_encoding() {
    for y in small_order_y() {
        // Where y + p still fits 255 bits it is a second, non-canonical encoding of the same point.
        for bytes in [y.clone(), y + prime()]
            .iter()
            .filter(|y| y.bits() <= 255)
            .flat_map(with_either_sign)
        {
            assert!(
                VerifyingKey::from_bytes(&bytes).is_ok(),
                "the library alone takes {}",
                hex::encode(bytes)
            );
            assert!(
                Identity::from_bytes(&bytes).is_err(),
                "{} was accepted",
                hex::encode(bytes)
            );
        }
    }
}

#[test]
fn a_point_in_non_canonical_form_is_refused() {
    let mut on_the_curve = 0;
    for y in (2_u8..19).map(BigUint::from) {
        for (plain, shifted) in with_either_sign(&y)
            .into_iter()
            .zip(with_either_sign(&(&y + prime())))
        {
            assert_eq!(Identity::from_bytes(&shifted), Err(IdentityError::NotAPoint));
            on_the_curve += u8::from(VerifyingKey::from_bytes(&shifted).is_ok());
            assert_eq!(
                Identity::from_bytes(&plain).is_ok(),
                VerifyingKey::from_bytes(&plain).is_ok()
            );
        }
    }
    assert!(
        on_the_curve > 0,
        "the library alone takes some of them, so the check is ours"
    );
}

#[test]
fn bytes_that_are_no_point_are_refused() {
    let off_the_curve = (0_u8..=255)
        .find(|b| VerifyingKey::from_bytes(&[*b; 32]).is_err())
        .unwrap();
    assert_eq!(
        Identity::from_bytes(&[off_the_curve; 32]),
        Err(IdentityError::NotAPoint)
    );
}

#[test]
fn a_signature_with_a_second_form_of_its_scalar_is_refused() {
    let signer = key([7; 32]);
    let signature = signer.sign(b"energy");
    let scalar = BigUint::from_bytes_le(&signature[32..]);
    for multiple in 1_u8..=15 {
        let mut malleated = signature;
        let larger = &scalar + order() * multiple;
        if larger.bits() > 256 {
            break;
        }
        malleated[32..].copy_from_slice(&little_endian(&larger));
        assert!(
            !signer.identity().verify(b"energy", &malleated),
            "S + {multiple} L was accepted"
        );
    }
    assert!(signer.identity().verify(b"energy", &signature));
}

#[test]
fn a_signature_whose_nonce_point_is_of_small_order_is_refused() {
    // With the neutral element for R, the holder of the secret scalar a can solve S B = k A by S = k a: a
    // signature that the plain equation accepts, and that carries no nonce.
    let seed = [7; 32];
    let signer = key(seed);
    let mut scalar = Sha512::digest(seed);
    scalar[0] &= 0xf8;
    scalar[31] = (scalar[31] & 0x7f) | 0x40;
    let neutral = little_endian(&BigUint::from(1_u8));
    let hash = Sha512::digest([&neutral[..], signer.identity().as_bytes(), b"energy"].concat());
    let product = BigUint::from_bytes_le(&hash) * BigUint::from_bytes_le(&scalar[..32]);
    let signature = [neutral, little_endian(&(product % order()))]
        .concat()
        .try_into()
        .unwrap();
    let plain = signer
        .identity()
        .key
        .verify(b"energy", &Signature::from_bytes(&signature));
    assert!(plain.is_ok(), "the plain equation holds");
    assert!(!signer.identity().verify(b"energy", &signature));
}

#[test]
fn a_secret_is_never_shown() {
    let shown = format!("{:?}", key([7; 32]));
    assert_eq!(shown, format!("SigningIdentity({})", key([7; 32]).identity()));
    assert!(!shown.contains("0707") && !shown.contains("7, 7"));
}

#[test]
fn a_digest_is_written_as_64_lower_case_digits_and_no_other_way() {
    let digest = Digest::of(b"abc");
    let text = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    assert_eq!(digest.to_string(), text);
    assert_eq!(text.parse(), Ok(digest));
    for wrong in [
        "",
        &text[1..],
        &format!("{text}00"),
        &text.to_uppercase(),
        &text.replace('b', "g"),
    ] {
        assert_eq!(wrong.parse::<Digest>(), Err(DigestError));
    }
}

proptest! {
    #[test]
    fn an_identity_reads_back_from_every_form(seed in any::<[u8; 32]>()) {
        let identity = key(seed).identity();
        prop_assert_eq!(identity.to_string().parse(), Ok(identity));
        prop_assert_eq!(Identity::from_multibase(&identity.multibase()), Ok(identity));
        prop_assert_eq!(Identity::from_bytes(identity.as_bytes()), Ok(identity));
        prop_assert!(identity.multibase().starts_with("z6Mk") && identity.multibase().len() == 48);
        let json = serde_json::to_string(&identity).unwrap();
        prop_assert_eq!(serde_json::from_str::<Identity>(&json).unwrap(), identity);
    }

    #[test]
    fn what_one_key_signed_no_other_key_and_no_other_message_bears(
        seed in any::<[u8; 32]>(), message in any::<Vec<u8>>(), bit in 0_usize..512,
    ) {
        let signer = key(seed);
        let mut signature = signer.sign(&message);
        prop_assert!(signer.identity().verify(&message, &signature));
        prop_assert!(!key([9; 32]).identity().verify(&message, &signature));
        signature[bit / 8] ^= 1 << (bit % 8);
        prop_assert!(!signer.identity().verify(&message, &signature));
    }
}

proptest! {
    #[test]
    fn keys_in_any_order_and_any_number_of_times_have_the_verdict_that_they_have_alone(
        order in prop::collection::vec((0_usize..4, any::<bool>()), 1..40),
    ) {
        let sound = key([7; 32]).identity();
        let mut crooked = *sound.as_bytes();
        crooked[0] ^= 1;
        let candidates = [*sound.as_bytes(), *key([8; 32]).identity().as_bytes(), [0; 32], crooked];
        // Each on a thread of its own, which has looked at nothing before.
        let alone = candidates.map(|bytes| {
            std::thread::spawn(move || Identity::from_bytes(&bytes).map(|key| key.multibase())).join().unwrap()
        });
        for (which, by_text) in order {
            let found = match &alone[which] {
                Ok(text) if by_text => Identity::from_multibase(text),
                _ => Identity::from_bytes(&candidates[which]),
            };
            prop_assert_eq!(found.map(|key| key.multibase()), alone[which].clone());
        }
    }
}
