use curve25519_dalek::constants::EIGHT_TORSION;
use proptest::prelude::*;

use super::*;
use crate::identity::SigningIdentity;

/// The twelve vectors of "Taming the many EdDSAs" (Chalkias, Garillot, Nikolaenko, SSR 2020, table 6), each with
/// its message, public key and signature, and whether the strict rules take it.
const TAMING: [(&str, &str, &str, bool); 12] = [
    // 0: S is nothing, A and R are of small order.
    (
        "8c93255d71dcab10e8f379c26200f3c7bd5f09d9bc3068d3ef4edeb4853022b6",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a0000000000000000000000000000000000000000000000000000000000000000",
        false,
    ),
    // 1: A is of small order, R mixed.
    (
        "9bd9f44f4dcc75bd531b56b2cd280b0bb38fc1cd6d1230e14861d861de092e79",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
        "f7badec5b8abeaf699583992219b7b223f1df3fbbea919844e3f7c554a43dd43a5bb704786be79fc476f91d3f3f89b03984d8068dcf1bb7dfc6637b45450ac04",
        false,
    ),
    // 2: A is mixed, R of small order.
    (
        "aebf3f2601a0c8c5d39cc7d8911642f740b78168218da8471772b35f9d35b9ab",
        "f7badec5b8abeaf699583992219b7b223f1df3fbbea919844e3f7c554a43dd43",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa8c4bd45aecaca5b24fb97bc10ac27ac8751a7dfe1baff8b953ec9f5833ca260e",
        false,
    ),
    // 3: A and R are mixed, and the equation without the cofactor holds.
    (
        "9bd9f44f4dcc75bd531b56b2cd280b0bb38fc1cd6d1230e14861d861de092e79",
        "cdb267ce40c5cd45306fa5d2f29731459387dbf9eb933b7bd5aed9a765b88d4d",
        "9046a64750444938de19f227bb80485e92b83fdb4b6506c160484c016cc1852f87909e14428a7a1d62e9f22f3d3ad7802db02eb2e688b6c52fcd6648a98bd009",
        true,
    ),
    // 4: the equation holds with the cofactor only.
    (
        "e47d62c63f830dc7a6851a0b1f33ae4bb2f507fb6cffec4011eaccd55b53f56c",
        "cdb267ce40c5cd45306fa5d2f29731459387dbf9eb933b7bd5aed9a765b88d4d",
        "160a1cb0dc9c0258cd0a7d23e94d8fa878bcb1925f2c64246b2dee1796bed5125ec6bc982a269b723e0668e540911a9a6a58921d6925e434ab10aa7940551a09",
        false,
    ),
    // 5: with the cofactor only, and only where 8k is not reduced.
    (
        "e47d62c63f830dc7a6851a0b1f33ae4bb2f507fb6cffec4011eaccd55b53f56c",
        "cdb267ce40c5cd45306fa5d2f29731459387dbf9eb933b7bd5aed9a765b88d4d",
        "21122a84e0b5fca4052f5b1235c80a537878b38f3142356b2c2384ebad4668b7e40bc836dac0f71076f9abe3a53f9c03c1ceeeddb658d0030494ace586687405",
        false,
    ),
    // 6: S is above the group's order.
    (
        "85e241a07d148b41e47d62c63f830dc7a6851a0b1f33ae4bb2f507fb6cffec40",
        "442aad9f089ad9e14647b1ef9099a1ff4798d78589e66f28eca69c11f582a623",
        "e96f66be976d82e60150baecff9906684aebb1ef181f67a7189ac78ea23b6c0e547f7690a0e2ddcd04d87dbc3490dc19b3b3052f7ff0538cb68afb369ba3a514",
        false,
    ),
    // 7: S is far above it.
    (
        "85e241a07d148b41e47d62c63f830dc7a6851a0b1f33ae4bb2f507fb6cffec40",
        "442aad9f089ad9e14647b1ef9099a1ff4798d78589e66f28eca69c11f582a623",
        "8ce5b96c8f26d0ab6c47958c9e68b937104cd36e13c33566acd2fe8d38aa19427e71f98a473474f2f13f06f97c20d58cc3f54b8bd0d272f42b695dd7e89a8c22",
        false,
    ),
    // 8: R is of small order and not canonical; hashed as it stands.
    (
        "9bedc267423725d473888631ebf45988bad3db83851ee85c85e241a07d148b41",
        "f7badec5b8abeaf699583992219b7b223f1df3fbbea919844e3f7c554a43dd43",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff03be9678ac102edcd92b0210bb34d7428d12ffc5df5f37e359941266a4e35f0f",
        false,
    ),
    // 9: the same, reduced before it is hashed.
    (
        "9bedc267423725d473888631ebf45988bad3db83851ee85c85e241a07d148b41",
        "f7badec5b8abeaf699583992219b7b223f1df3fbbea919844e3f7c554a43dd43",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffca8c5b64cd208982aa38d4936621a4775aa233aa0505711d8fdcfdaa943d4908",
        false,
    ),
    // 10: A is of small order and not canonical; reduced before it is hashed.
    (
        "e96b7021eb39c1a163b6da4e3093dcd3f21387da4cc4572be588fafae23c155b",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
        "a9d55260f765261eb9b84e106f665e00b867287a761990d7135963ee0a7d59dca5bb704786be79fc476f91d3f3f89b03984d8068dcf1bb7dfc6637b45450ac04",
        false,
    ),
    // 11: the same, hashed as it stands.
    (
        "39a591f5321bbe07fd5a23dc2f39d025d74526615746727ceefd6e82ae65c06f",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
        "a9d55260f765261eb9b84e106f665e00b867287a761990d7135963ee0a7d59dca5bb704786be79fc476f91d3f3f89b03984d8068dcf1bb7dfc6637b45450ac04",
        false,
    ),
];

/// A claim that owns what it is about.
#[derive(Debug, Clone)]
struct Owned {
    signer: Identity,
    message: Vec<u8>,
    signature: [u8; 64],
}

impl Owned {
    fn claim(&self) -> Claim<'_> {
        Claim {
            signer: self.signer,
            message: &self.message,
            signature: &self.signature,
        }
    }

    fn honest(key: u8, message: &[u8]) -> Self {
        let key = SigningIdentity::from_secret(&[key; 32]).unwrap();
        Self {
            signer: key.identity(),
            message: message.to_vec(),
            signature: key.sign(message),
        }
    }

    /// By somebody who adds points of small order to his key and to R.
    fn crooked(secret: u64, nonce: u64, (at_a, at_r): (usize, usize), message: &[u8]) -> Self {
        let (a, r) = (Scalar::from(secret | 1), Scalar::from(nonce | 1));
        let key = ED25519_BASEPOINT_POINT * a + EIGHT_TORSION[at_a];
        let point = (ED25519_BASEPOINT_POINT * r + EIGHT_TORSION[at_r]).compress();
        let signer = Identity::from_bytes(key.compress().as_bytes()).unwrap();
        let hash = Sha512::new()
            .chain_update(point.as_bytes())
            .chain_update(signer.as_bytes())
            .chain_update(message);
        let s = r + Scalar::from_bytes_mod_order_wide(&hash.finalize().into()) * a;
        let mut signature = [0; 64];
        signature[..32].copy_from_slice(point.as_bytes());
        signature[32..].copy_from_slice(s.as_bytes());
        Self {
            signer,
            message: message.to_vec(),
            signature,
        }
    }

    fn published((message, key, signature, _): &(&str, &str, &str, bool)) -> Option<Self> {
        let key: [u8; 32] = hex::decode(key).unwrap().try_into().unwrap();
        Some(Self {
            signer: Identity::from_bytes(&key).ok()?,
            message: hex::decode(message).unwrap(),
            signature: hex::decode(signature).unwrap().try_into().unwrap(),
        })
    }
}

fn single(owned: &[Owned]) -> Vec<bool> {
    owned.iter().map(|one| one.claim().holds()).collect()
}

/// As a batch, however few they are.
fn batched(owned: &[Owned]) -> Vec<bool> {
    let claims: Vec<Claim<'_>> = owned.iter().map(Owned::claim).collect();
    verdicts(&claims, 0)
}

/// Whether the batch is taken as a whole, without a look at each.
fn whole(owned: &[Owned]) -> bool {
    let parts: Vec<Parts> = owned.iter().filter_map(|one| Parts::of(&one.claim())).collect();
    let sound: Vec<&Parts> = parts.iter().collect();
    parts.len() == owned.len() && Batch::of(&sound).holds()
}

fn honest(count: u8) -> Vec<Owned> {
    (0..count).map(|n| Owned::honest(1 + n % 5, &[n; 40])).collect()
}

#[test]
fn honest_signatures_are_taken_as_a_whole() {
    for count in [0, 1, 5, 6, 7, 100] {
        assert!(whole(&honest(count)), "{count}");
        assert_eq!(batched(&honest(count)), vec![true; count.into()]);
    }
}

#[test]
fn the_published_vectors_get_their_verdicts_one_by_one_and_among_many() {
    for (number, vector) in TAMING.iter().enumerate() {
        let Some(owned) = Owned::published(vector) else {
            // A key of small order, or not canonical, is no identity to begin with.
            assert!([0, 1, 10, 11].contains(&number), "{number}");
            continue;
        };
        assert_eq!(owned.claim().holds(), vector.3, "{number} alone");
        assert_eq!(
            batched(std::slice::from_ref(&owned)),
            [vector.3],
            "{number} as a batch"
        );
        let mut many = honest(20);
        many.insert(7, owned);
        let mut expected = vec![true; 21];
        expected[7] = vector.3;
        assert_eq!(batched(&many), expected, "{number} among many");
    }
}

#[test]
fn one_bad_signature_among_many_is_the_one_that_is_told() {
    for bad in [0, 1, 299, 300, 599] {
        let mut many: Vec<Owned> = (0..600_u32).map(|n| Owned::honest(1, &n.to_be_bytes())).collect();
        many[bad].message.push(0);
        let claims: Vec<Claim<'_>> = many.iter().map(Owned::claim).collect();
        let found = verify_all(&claims);
        assert_eq!(found.len(), 600);
        let wrong: Vec<usize> = (0..600).filter(|n| !found[*n]).collect();
        assert_eq!(wrong, [bad]);
    }
}

#[test]
fn more_than_one_batch_is_told_in_order() {
    let one = Owned::honest(1, b"one");
    let mut other = Owned::honest(2, b"other");
    other.signature[40] ^= 1;
    let claims: Vec<Claim<'_>> = (0..BATCH_LEN_MAX + 3)
        .map(|n| {
            if n == BATCH_LEN_MAX + 1 {
                other.claim()
            } else {
                one.claim()
            }
        })
        .collect();
    let expected: Vec<bool> = (0..BATCH_LEN_MAX + 3).map(|n| n != BATCH_LEN_MAX + 1).collect();
    assert_eq!(verify_all(&claims), expected);
}

#[test]
fn parts_of_small_order_that_cancel_out_in_a_sum_are_found() {
    // R of one and of the other: T and −T, or half of a sum each; sums of them have no part of small order.
    for pairs in [[(0, 1), (0, 7)], [(0, 2), (0, 6)], [(0, 4), (0, 4)]] {
        for seed in 0..40 {
            let owned: Vec<Owned> = (seed..)
                .zip(pairs)
                .map(|(seed, torsion)| Owned::crooked(77, seed, torsion, &seed.to_be_bytes()))
                .collect();
            assert!(!whole(&owned), "{pairs:?} {seed}");
            assert_eq!(batched(&owned), [false, false], "{pairs:?} {seed}");
        }
    }
}

#[test]
fn a_mixed_key_is_taken_where_the_strict_rules_take_it_but_never_as_a_whole() {
    let owned: Vec<Owned> = (0_u64..64)
        .map(|n| Owned::crooked(5, 9, (1, 3), &n.to_be_bytes()))
        .collect();
    let verdicts = single(&owned);
    assert!(verdicts.contains(&true) && verdicts.contains(&false));
    assert_eq!(batched(&owned), verdicts);
    let taken: Vec<Owned> = owned
        .into_iter()
        .zip(verdicts)
        .filter(|(_, v)| *v)
        .map(|(o, _)| o)
        .collect();
    assert!(!whole(&taken));
}

#[test]
fn the_same_batch_draws_the_same_numbers_and_another_one_others() {
    let draw = |owned: &[Owned]| {
        let parts: Vec<Parts> = owned.iter().filter_map(|one| Parts::of(&one.claim())).collect();
        Draw::from(&parts.iter().collect::<Vec<_>>()).four()
    };
    let many = honest(9);
    assert_eq!(draw(&many), draw(&many));
    let mut other = many.clone();
    other[8] = Owned::honest(4, b"other");
    assert_ne!(draw(&many), draw(&other));
}

#[test]
fn every_encoding_of_y_from_the_prime_on_is_not_reduced() {
    let mut bytes = [0xff; 32];
    for (lowest, highest, reduced) in [
        (0xec, 0x7f, true),
        (0xed, 0x7f, false),
        (0xff, 0xff, false),
        (0xff, 0x7e, true),
    ] {
        (bytes[0], bytes[31]) = (lowest, highest);
        assert_eq!(is_reduced(&bytes), reduced, "{lowest:x} {highest:x}");
    }
}

fn signature() -> impl Strategy<Value = Owned> {
    let message = proptest::collection::vec(any::<u8>(), 0..40);
    let honest = (1_u8..6, message.clone()).prop_map(|(key, message)| Owned::honest(key, &message));
    let torsion = (0_usize..8, 0_usize..8);
    let crooked = (1_u64..4, any::<u64>(), torsion, message)
        .prop_map(|(secret, nonce, torsion, message)| Owned::crooked(secret, nonce, torsion, &message));
    let published = (0..TAMING.len()).prop_filter_map("a sound key", |n| Owned::published(&TAMING[n]));
    let spoilt = (1_u8..6, 0_usize..512).prop_map(|(key, bit)| {
        let mut owned = Owned::honest(key, b"spoilt");
        owned.signature[bit / 8] ^= 1 << (bit % 8);
        owned
    });
    let small = (1_u8..6, 0_usize..8).prop_map(|(key, at)| {
        let mut owned = Owned::honest(key, b"small");
        owned.signature[..32].copy_from_slice(EIGHT_TORSION[at].compress().as_bytes());
        owned
    });
    let any_bytes = (1_u8..6, any::<[u8; 32]>(), any::<[u8; 32]>()).prop_map(|(key, r, s)| {
        let mut owned = Owned::honest(key, b"any");
        owned.signature[..32].copy_from_slice(&r);
        owned.signature[32..].copy_from_slice(&s);
        owned
    });
    prop_oneof![6 => honest, 4 => crooked, 1 => published, 1 => spoilt, 1 => small, 1 => any_bytes]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn a_batch_says_of_each_signature_what_is_said_of_it_alone(
        owned in proptest::collection::vec(signature(), 0..20),
    ) {
        prop_assert_eq!(batched(&owned), single(&owned));
    }
}
