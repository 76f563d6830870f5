use proptest::prelude::*;

use super::*;

fn bid(number: u8, price: i128, power: i64, least: i64, received: i64) -> Bid {
    Bid {
        site: format!("home-{number}").parse().unwrap(),
        price_per_kwh: TokenAmount::new(price).unwrap(),
        power: Milliwatts::new(power),
        least: Milliwatts::new(least),
        received_at: Timestamp::from_unix(received).unwrap(),
    }
}

fn call(target: i64, pricing: Pricing) -> Call {
    Call {
        target: Milliwatts::new(target),
        pricing,
        ceiling: None,
        event: Digest::of(b"tuesday"),
    }
}

fn won(cleared: &Cleared, site: &SiteId) -> Milliwatts {
    let award = cleared.awards.iter().find(|a| a.site == *site);
    award.map_or(Milliwatts::ZERO, |a| a.power)
}

/// Few prices and instants, so that ties are common.
fn bids() -> impl Strategy<Value = Vec<Bid>> {
    let one = (0_i128..5, 1_i64..50, 0_i64..50, 0_i64..3);
    prop::collection::vec(one, 0..12).prop_map(|bids| {
        let numbered = (0_u8..).zip(bids);
        numbered
            .map(|(n, (price, power, least, at))| bid(n, price, power, least.min(power), at))
            .collect()
    })
}

fn pricing() -> impl Strategy<Value = Pricing> {
    prop_oneof![Just(Pricing::Uniform), Just(Pricing::PayAsBid)]
}

proptest! {
    #[test]
    fn the_order_in_which_bids_are_handed_in_never_matters(
        (bids, shuffled) in bids().prop_flat_map(|b| (Just(b.clone()), Just(b).prop_shuffle())),
        target in 1_i64..200, pricing in pricing(),
    ) {
        prop_assert_eq!(clear(&bids, &call(target, pricing)), clear(&shuffled, &call(target, pricing)));
    }

    #[test]
    fn no_more_is_taken_than_the_target_and_the_least_part_of_the_last(
        bids in bids(), target in 1_i64..200, pricing in pricing(),
    ) {
        let cleared = clear(&bids, &call(target, pricing)).unwrap();
        let sum: i64 = cleared.awards.iter().map(|a| a.power.get()).sum();
        prop_assert_eq!(cleared.total.get(), sum);
        prop_assert_eq!(cleared.awards.len() + cleared.passed.len(), bids.len(), "each bid has its answer");
        let offered: i64 = bids.iter().map(|b| b.power.get()).sum();
        if let Some(last) = cleared.awards.last() {
            let of_last = bids.iter().find(|b| b.site == last.site).unwrap();
            prop_assert!(sum <= target || (sum < target + of_last.least.get() && last.power == of_last.least));
            // All but the last are taken whole.
            for award in cleared.awards.iter().rev().skip(1) {
                prop_assert!(bids.iter().any(|b| b.site == award.site && b.power == award.power));
            }
        }
        prop_assert!(sum >= target.min(offered), "what is offered and needed is taken");
    }

    #[test]
    fn nobody_wins_more_by_asking_for_more_or_by_coming_later(
        bids in bids(), index: prop::sample::Index, more in 0_i128..5, later in 0_i64..3,
        target in 1_i64..200, pricing in pricing(),
    ) {
        prop_assume!(!bids.is_empty());
        let index = index.index(bids.len());
        let mut dearer = bids.clone();
        let price = dearer[index].price_per_kwh.base_units() + more;
        dearer[index].price_per_kwh = TokenAmount::new(price).unwrap();
        dearer[index].received_at = dearer[index].received_at.checked_add(later).unwrap();
        let site = bids[index].site.clone();
        let before = won(&clear(&bids, &call(target, pricing)).unwrap(), &site);
        let after = won(&clear(&dearer, &call(target, pricing)).unwrap(), &site);
        prop_assert!(after <= before, "{} W became {} W", before, after);
    }

    #[test]
    fn nobody_is_paid_less_than_asked_and_uniformly_all_the_same(
        bids in bids(), target in 1_i64..200, pricing in pricing(),
    ) {
        let cleared = clear(&bids, &call(target, pricing)).unwrap();
        for award in &cleared.awards {
            let asked = bids.iter().find(|b| b.site == award.site).unwrap().price_per_kwh;
            prop_assert!(award.price_per_kwh >= asked);
            match pricing {
                Pricing::Uniform => prop_assert_eq!(Some(award.price_per_kwh), cleared.marginal),
                Pricing::PayAsBid => prop_assert_eq!(award.price_per_kwh, asked),
            }
        }
    }
}

#[test]
fn the_last_bid_is_taken_in_part_or_by_its_least() {
    let bids = [
        bid(1, 10, 3_000, 0, 1),
        bid(2, 20, 3_000, 500, 1),
        bid(3, 30, 3_000, 0, 1),
    ];
    let powers = |target| {
        let cleared = clear(&bids, &call(target, Pricing::Uniform)).unwrap();
        let powers = cleared.awards.iter().map(|a| a.power.get()).collect::<Vec<_>>();
        (powers, cleared.marginal.unwrap().base_units())
    };
    assert_eq!(powers(2_000), (vec![2_000], 10));
    assert_eq!(powers(4_000), (vec![3_000, 1_000], 20));
    assert_eq!(powers(3_100), (vec![3_000, 500], 20), "it gives 500 or nothing");
    assert_eq!(powers(9_999), (vec![3_000, 3_000, 3_000], 30));
}

#[test]
fn above_the_ceiling_nothing_is_taken_and_the_bid_is_told_so() {
    let bids = [bid(1, 10, 1_000, 0, 1), bid(2, 20, 1_000, 0, 1)];
    let ceiling = Some(TokenAmount::new(15).unwrap());
    let capped = Call {
        ceiling,
        ..call(5_000, Pricing::Uniform)
    };
    let cleared = clear(&bids, &capped).unwrap();
    assert_eq!(cleared.passed, [(bids[1].site.clone(), Passed::AboveCeiling)]);
    assert_eq!(
        (cleared.total, cleared.marginal),
        (Milliwatts::new(1_000), Some(bids[0].price_per_kwh))
    );
}

#[test]
fn an_exact_tie_falls_otherwise_in_another_event() {
    let bids: Vec<Bid> = (0..8).map(|n| bid(n, 10, 1_000, 0, 1)).collect();
    let first = |event: u32| {
        let call = Call {
            event: Digest::of(&event.to_be_bytes()),
            ..call(1_000, Pricing::PayAsBid)
        };
        clear(&bids, &call).unwrap().awards[0].site.clone()
    };
    let winners: BTreeSet<SiteId> = (0..64).map(first).collect();
    assert!(winners.len() > 4, "{winners:?}");
}

#[test]
fn bids_that_make_no_sense_are_named() {
    let of = |bids: &[Bid]| clear(bids, &call(1, Pricing::Uniform)).unwrap_err().to_string();
    assert!(of(&[bid(1, 1, 1, 0, 1), bid(1, 2, 1, 0, 1)]).contains("home-1 bids twice"));
    for wrong in [
        bid(2, 1, 0, 0, 1),
        bid(2, 1, 5, 6, 1),
        bid(2, 1, 5, -1, 1),
        bid(2, -1, 5, 0, 1),
    ] {
        assert!(of(&[wrong]).contains("home-2"));
    }
    assert!(clear(&[], &call(0, Pricing::Uniform)).is_err());
    let most = |n| bid(n, 1, i64::MAX, i64::MAX, 1);
    assert!(clear(&[most(1), most(2)], &call(1, Pricing::Uniform)).is_ok());
    let far = clear(
        &[bid(1, 1, i64::MAX - 1, 0, 1), most(2)],
        &call(i64::MAX, Pricing::Uniform),
    );
    assert!(matches!(far, Err(ClearingError::Overflow(_))));
}
