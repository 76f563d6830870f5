use gridtally_protocol::identity::SigningIdentity;
use gridtally_protocol::time::Timestamp;
use proptest::prelude::*;

use super::*;

fn gateway(seed: u8) -> Identity {
    SigningIdentity::from_secret(&[seed; 32]).unwrap().identity()
}

fn event(name: &str) -> EventId {
    name.parse().unwrap()
}

fn bound(seconds: u16) -> StartBound {
    StartBound::from_seconds(seconds).unwrap()
}

#[test]
fn every_remainder_stands_for_equally_many_values() {
    // A range of 2^64 values cannot be walked; its two ends can.
    for n in [1_u64, 2, 3, 7, 601, 7_201] {
        let over = (u64::MAX % n + 1) % n;
        let last = u64::MAX - over;
        assert_eq!(uniform(0, n), Some(0));
        assert_eq!(
            uniform(last, n),
            Some(n - 1),
            "the last run of remainders is whole"
        );
        assert_eq!(uniform(u64::MAX, n).is_some(), over == 0);
        if over > 0 {
            assert_eq!(uniform(last + 1, n), None);
        }
    }
}

#[test]
fn a_span_can_be_computed_by_hand_from_what_is_written_down() {
    let secret = StartSecret::from_bytes([7; 32]);
    let mut bytes = b"gridtally/v1/event-start/span\0".to_vec();
    bytes.extend([7; 32]);
    bytes.extend(gateway(1).as_bytes());
    bytes.extend([0, 0, 0, 2]);
    bytes.extend([0, 0, 0, 0]);
    bytes.extend(b"tuesday");
    let block = Sha256::digest(&bytes);
    let x = block[..8]
        .iter()
        .fold(0_u128, |x, byte| x * 256 + u128::from(*byte));
    let span = i64::try_from(x % 601).unwrap() - 300;
    assert_eq!(secret.span(&event("tuesday"), 2, &gateway(1), bound(300)), span);

    let mut bytes = b"gridtally/v1/event-start/commitment\0".to_vec();
    bytes.extend([7; 32]);
    assert_eq!(secret.commitment(), Digest::of(&bytes));
}

#[test]
fn the_example_of_the_docs_holds() {
    let secret = StartSecret::from_bytes([7; 32]);
    let key = "8a88e3dd7409f195fd52db2d3cba5d72ca6709bf1d94121bf3748801b40f6f5c";
    assert_eq!(hex::encode(gateway(1).as_bytes()), key);
    assert_eq!(
        secret.draw(&event("tuesday"), 2, &gateway(1), 0),
        14_620_513_707_938_241_628
    );
    assert_eq!(secret.span(&event("tuesday"), 2, &gateway(1), bound(300)), 234);
    let commitment = "3e4ea13d3b5a7c46d4f705a4bde49c8bb7bf6f961df42c7e4e6273dff1c629b0";
    assert_eq!(secret.commitment().to_string(), commitment);
}

#[test]
fn spans_are_spread_over_the_whole_bound_and_change_with_every_input() {
    let secret = StartSecret::from_bytes([9; 32]);
    let mut seen = [0_u32; 11];
    for number in 0..2_200 {
        let span = secret.span(&event(&format!("e{number}")), 0, &gateway(1), bound(5));
        seen[usize::try_from(span + 5).unwrap()] += 1;
    }
    // 200 each on average; six standard deviations are 81. The inputs are fixed, and so is the outcome.
    assert!(seen.iter().all(|n| (119..=281).contains(n)), "{seen:?}");
    let spans = [
        secret.span(&event("a"), 0, &gateway(1), bound(3_600)),
        secret.span(&event("b"), 0, &gateway(1), bound(3_600)),
        secret.span(&event("a"), 1, &gateway(1), bound(3_600)),
        secret.span(&event("a"), 0, &gateway(2), bound(3_600)),
        StartSecret::from_bytes([8; 32]).span(&event("a"), 0, &gateway(1), bound(3_600)),
    ];
    let different: std::collections::BTreeSet<i64> = spans.into_iter().collect();
    assert_eq!(different.len(), spans.len(), "{spans:?}");
}

#[test]
fn a_secret_does_not_show_itself() {
    assert_eq!(format!("{:?}", StartSecret::from_bytes([1; 32])), "StartSecret");
}

proptest! {
    #[test]
    fn a_span_stays_within_its_bound_and_a_moved_window_is_as_long_as_before(
        secret in any::<[u8; 32]>(), seconds in 0_u16..=3_600, modification: u32, seed in 1_u8..,
    ) {
        let secret = StartSecret::from_bytes(secret);
        let span = secret.span(&event("tuesday"), modification, &gateway(seed), bound(seconds));
        prop_assert!(span.abs() <= i64::from(seconds));
        let window = Window {
            start: Timestamp::from_unix(1_000_000).unwrap(),
            end: Timestamp::from_unix(1_007_200).unwrap(),
        };
        let moved = moved(window, span).unwrap();
        prop_assert_eq!(moved.end.seconds_since(moved.start), 7_200);
        prop_assert_eq!(moved.start.seconds_since(window.start), span);
    }
}
