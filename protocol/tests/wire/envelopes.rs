//! Envelopes under attack: no bit can be changed, and an honest signature saves no other form.

use gridtally_protocol::acknowledgement::{Acknowledgement, Stage};
use gridtally_protocol::envelope::{self, ENVELOPE_LEN_MAX, Envelope, EnvelopeError, Purpose};
use gridtally_protocol::identity::{Digest, SigningIdentity};
use gridtally_protocol::instruction::Instruction;
use gridtally_protocol::message::{Message, MessageError, open_all};
use gridtally_protocol::quantity::Milliwatts;
use gridtally_protocol::receipt::Receipt;
use gridtally_protocol::report::Report;
use proptest::prelude::*;

use crate::examples::{self, gateway, home_report, realistic};
use crate::forge::{self, Forgery, byte_string};

fn acknowledgement() -> Vec<u8> {
    examples::acknowledgement(Stage::OptedIn(Milliwatts::new(3_000_000)))
        .encode()
        .unwrap()
}

fn honest() -> Forgery {
    Forgery::honest(Purpose::Acknowledgement, &acknowledgement(), &gateway())
}

proptest! {
    #[test]
    fn any_payload_reads_back(payload in prop::collection::vec(any::<u8>(), 0..600), seed in any::<[u8; 32]>()) {
        let key = SigningIdentity::from_secret(&seed).unwrap();
        for purpose in Purpose::ALL {
            let bytes = envelope::seal(purpose, &payload, &key);
            prop_assert_eq!(&Forgery::honest(purpose, &payload, &key).sealed(&key), &bytes);
            let parsed = Envelope::parse(&bytes).unwrap();
            prop_assert_eq!((parsed.signer(), parsed.digest()), (key.identity(), Digest::of(&bytes)));
            prop_assert_eq!(parsed.verify(purpose), Ok(&payload[..]));
        }
    }
}

#[test]
fn an_envelope_with_any_single_bit_flipped_is_refused() {
    let sealed = home_report(1, realistic).seal(&gateway()).unwrap();
    for bit in 0..sealed.len() * 8 {
        let mut flipped = sealed.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        assert!(
            Report::open(&flipped).is_err(),
            "with bit {bit} flipped it was accepted"
        );
    }
    assert!(Report::open(&sealed).is_ok());
}

#[test]
fn an_envelope_that_is_cut_or_followed_by_anything_is_refused() {
    let sealed = honest().sealed(&gateway());
    for len in 0..sealed.len() {
        assert!(Envelope::parse(&sealed[..len]).is_err(), "cut to {len} bytes");
    }
    for trailing in [vec![0x00], vec![0xff], sealed.clone()] {
        let longer = Forgery { trailing, ..honest() }.sealed(&gateway());
        assert_eq!(Envelope::parse(&longer), Err(EnvelopeError::NotCanonical));
    }
}

#[test]
fn a_signature_for_one_purpose_is_void_for_every_other() {
    for (made_for, asked_for) in Purpose::ALL
        .into_iter()
        .flat_map(|a| Purpose::ALL.map(|b| (a, b)))
    {
        let sealed = envelope::seal(made_for, b"payload", &gateway());
        let verified = Envelope::parse(&sealed)
            .unwrap()
            .verify(asked_for)
            .map(<[u8]>::to_vec);
        if made_for == asked_for {
            assert_eq!(verified, Ok(b"payload".to_vec()));
        } else {
            let (expected, found) = (asked_for, made_for.content_type());
            assert_eq!(verified, Err(EnvelopeError::WrongPurpose { expected, found }));
        }
        // The same signature under the header of the other purpose.
        let mut swapped = Forgery::honest(asked_for, b"payload", &gateway());
        let signature = &sealed[sealed.len() - 64..];
        swapped.payload = b"payload".to_vec();
        let verified = Envelope::parse(&swapped.with_signature(signature))
            .unwrap()
            .verify(asked_for)
            .is_ok();
        assert_eq!(verified, made_for == asked_for);
    }
}

#[test]
fn content_types_are_distinct_experimental_and_never_change() {
    let types = Purpose::ALL.map(|p| (p.to_string(), p.content_type()));
    let expected = [
        ("report", 65_101),
        ("instruction", 65_102),
        ("acknowledgement", 65_103),
        ("receipt", 65_104),
        ("bundle", 65_105),
        ("resend", 65_106),
        ("commission", 65_107),
        ("statement", 65_108),
        ("claim", 65_109),
        ("acceptance", 65_110),
        ("admission", 65_111),
        ("revocation", 65_112),
        ("rotation", 65_113),
        ("transfer", 65_114),
        ("beacon", 65_115),
        ("original", 65_116),
    ];
    assert_eq!(
        types.each_ref().map(|(name, number)| (name.as_str(), *number)),
        expected
    );
}

#[test]
fn another_form_of_the_outer_layer_is_refused_in_spite_of_an_honest_signature() {
    let sealed = honest().sealed(&gateway());
    let others = forge::other_forms(&sealed);
    assert!(others.len() > 20);
    for other in others {
        let refused = Envelope::parse(&other);
        let by_form = matches!(
            refused,
            Err(EnvelopeError::NotCanonical | EnvelopeError::NotCose { .. })
        );
        assert!(by_form, "{}: {refused:?}", hex::encode(other));
    }
}

#[test]
fn another_form_of_the_protected_header_is_refused_in_spite_of_an_honest_signature() {
    let others = forge::other_forms(&honest().protected);
    assert!(others.len() > 15);
    for protected in others {
        let refused = Envelope::parse(
            &Forgery {
                protected,
                ..honest()
            }
            .sealed(&gateway()),
        );
        let by_form = matches!(
            refused,
            Err(EnvelopeError::NotCanonical | EnvelopeError::NotCose { .. })
        );
        assert!(by_form, "{refused:?}");
    }
}

#[test]
fn other_headers_are_refused_in_spite_of_an_honest_signature() {
    let key_id = [&[0x04][..], &byte_string(gateway().identity().as_bytes())].concat();
    let (alg, content_type) = (&[0x01, 0x27][..], &[0x03, 0x19, 0xfe, 0x4f][..]);
    let map = |n: u8, entries: &[&[u8]]| [&[0xa0 | n], entries.concat().as_slice()].concat();
    assert_eq!(map(3, &[alg, content_type, &key_id]), honest().protected);
    let protected = [
        ("none", vec![]),
        ("an empty map", vec![0xa0]),
        ("reordered", map(3, &[content_type, alg, &key_id])),
        ("reordered otherwise", map(3, &[alg, &key_id, content_type])),
        ("a fourth", map(4, &[alg, content_type, &key_id, &[0x05, 0x40]])),
        (
            "a fourth before",
            map(4, &[alg, &[0x02, 0x81, 0x01], content_type, &key_id]),
        ),
        ("a twin", map(4, &[alg, alg, content_type, &key_id])),
        (
            "more than the map says",
            map(3, &[alg, content_type, &key_id, &[0x05, 0x40]]),
        ),
        ("no key id", map(2, &[alg, content_type])),
        ("no content type", map(2, &[alg, &key_id])),
        ("no algorithm", map(2, &[content_type, &key_id])),
        (
            "ES256 for an algorithm",
            map(3, &[&[0x01, 0x26], content_type, &key_id]),
        ),
        (
            "the algorithm as text",
            map(
                3,
                &[&[0x01, 0x65, b'E', b'd', b'D', b'S', b'A'], content_type, &key_id],
            ),
        ),
        (
            "a text for a content type",
            map(3, &[alg, &[0x03, 0x61, b'r'], &key_id]),
        ),
        (
            "a content type beyond 16 bits",
            map(3, &[alg, &[0x03, 0x1a, 0x00, 0x01, 0x00, 0x00], &key_id]),
        ),
        (
            "a text for a key id",
            map(3, &[alg, content_type, &[0x04, 0x61, b'k']]),
        ),
        ("an array instead of a map", vec![0x80]),
    ];
    for (what, protected) in protected {
        assert!(
            Envelope::parse(
                &Forgery {
                    protected,
                    ..honest()
                }
                .sealed(&gateway())
            )
            .is_err(),
            "{what}"
        );
    }
    let unprotected = [
        ("a content type", vec![0xa1, 0x03, 0x19, 0xfe, 0x4d]),
        ("a counter signature", vec![0xa1, 0x0b, 0x40]),
        ("a key id", [vec![0xa1], key_id.clone()].concat()),
        ("an array", vec![0x80]),
        ("nothing", vec![0xf6]),
    ];
    for (what, unprotected) in unprotected {
        assert!(
            Envelope::parse(
                &Forgery {
                    unprotected,
                    ..honest()
                }
                .sealed(&gateway())
            )
            .is_err(),
            "{what}"
        );
    }
}

#[test]
fn other_structures_of_cose_are_refused() {
    let without_tag = Forgery {
        tag: vec![],
        ..honest()
    };
    let sign = Forgery {
        tag: vec![0xd8, 98],
        ..honest()
    };
    let tagged_as_cbor = Forgery {
        tag: vec![0xd9, 0xd9, 0xf7, 0xd2],
        ..honest()
    };
    let twice_tagged = Forgery {
        tag: vec![0xd2, 0xd2],
        ..honest()
    };
    let of_five = Forgery {
        array: vec![0x85],
        trailing: vec![0x40],
        ..honest()
    };
    for forgery in [without_tag, sign, tagged_as_cbor, twice_tagged, of_five] {
        assert!(matches!(
            Envelope::parse(&forgery.sealed(&gateway())),
            Err(EnvelopeError::NotCose { .. })
        ));
    }
    // A detached payload, and signatures of other lengths.
    let sealed = honest().sealed(&gateway());
    let payload_at = sealed.len() - 66 - byte_string(&acknowledgement()).len();
    let detached = [&sealed[..payload_at], &[0xf6], &sealed[sealed.len() - 66..]].concat();
    assert!(matches!(
        Envelope::parse(&detached),
        Err(EnvelopeError::NotCose { .. })
    ));
    for len in [0, 32, 63, 65, 128] {
        assert!(matches!(
            Envelope::parse(&honest().with_signature(&vec![0; len])),
            Err(EnvelopeError::NotCose { .. })
        ));
    }
}

#[test]
fn a_key_of_small_order_signs_nothing() {
    // Under the neutral element any S = 0, R = neutral element satisfies the plain equation.
    let mut neutral = [0; 32];
    neutral[0] = 1;
    let mut forgery = honest();
    let at = forgery.protected.len() - 32;
    forgery.protected[at..].copy_from_slice(&neutral);
    let signature = [neutral, [0; 32]].concat();
    assert!(matches!(
        Envelope::parse(&forgery.with_signature(&signature)),
        Err(EnvelopeError::Signer(_))
    ));
}

#[test]
fn a_second_form_of_a_signature_is_refused() {
    const ORDER: &str = "7237005577332262213973186563042994240857116359379907606001950938285454250989";
    let sealed = honest().sealed(&gateway());
    let scalar = num_bigint::BigUint::from_bytes_le(&sealed[sealed.len() - 32..]);
    let larger = (scalar + ORDER.parse::<num_bigint::BigUint>().unwrap()).to_bytes_le();
    let mut second = sealed[..sealed.len() - 32].to_vec();
    second.extend(larger);
    assert_eq!(second.len(), sealed.len());
    let refused = Acknowledgement::open(&second);
    assert_eq!(refused, Err(MessageError::Envelope(EnvelopeError::BadSignature)));
}

#[test]
fn an_envelope_beyond_the_bound_is_refused_and_not_made() {
    let longest = ENVELOPE_LEN_MAX - envelope::seal(Purpose::Bundle, &[0; 300], &gateway()).len() + 300;
    let sealed = envelope::seal(Purpose::Bundle, &vec![0; longest], &gateway());
    assert_eq!(sealed.len(), ENVELOPE_LEN_MAX);
    assert!(Envelope::parse(&sealed).is_ok());
    let sealed = envelope::seal(Purpose::Bundle, &vec![0; longest + 1], &gateway());
    assert_eq!(
        Envelope::parse(&sealed),
        Err(EnvelopeError::TooLong {
            len: ENVELOPE_LEN_MAX + 1
        })
    );
    let large = home_report(288, |_, index| {
        Ok(if index % 2 == 0 {
            i64::MAX / 100
        } else {
            i64::MIN / 100
        })
    });
    let mut wide = large.clone();
    wide.series = (10..42)
        .map(|device| {
            let mut series = large.series[0].clone();
            series.channel.device.0 = device;
            series
        })
        .collect();
    assert!(matches!(
        wide.seal(&gateway()),
        Err(MessageError::Envelope(EnvelopeError::TooLong { .. }))
    ));
}

#[test]
fn a_payload_of_another_message_under_the_right_purpose_is_refused() {
    let report = home_report(1, realistic).encode().unwrap();
    let sealed = envelope::seal(Purpose::Instruction, &report, &gateway());
    assert!(matches!(
        Instruction::open(&sealed),
        Err(MessageError::Malformed { .. })
    ));
    let sealed = envelope::seal(Purpose::Receipt, &report, &gateway());
    assert!(matches!(
        Receipt::open(&sealed),
        Err(MessageError::Malformed { .. })
    ));
}

#[test]
fn many_messages_opened_together_say_what_each_says_alone() {
    // More than enough for the signatures to be verified together, and everything that can be wrong among them.
    let honest = honest().sealed(&gateway());
    let other = envelope::seal(Purpose::Receipt, &acknowledgement(), &gateway());
    let not_a_message = envelope::seal(Purpose::Acknowledgement, b"no", &gateway());
    let envelopes: Vec<Vec<u8>> = (0..600)
        .map(|n| match n {
            100 => Vec::new(),
            200 => other.clone(),
            300 => not_a_message.clone(),
            400.. => honest.clone(),
            _ => {
                let mut spoilt = honest.clone();
                let len = spoilt.len();
                spoilt[n % len] ^= 1;
                if n % 3 == 0 { spoilt } else { honest.clone() }
            }
        })
        .collect();
    let slices: Vec<&[u8]> = envelopes.iter().map(Vec::as_slice).collect();
    let together = open_all::<Acknowledgement>(&slices);
    let alone: Vec<_> = slices.iter().map(|bytes| Acknowledgement::open(bytes)).collect();
    assert_eq!(together, alone);
    assert!(
        open_all::<Acknowledgement>(&slices[400..])
            .iter()
            .all(Result::is_ok)
    );
}
