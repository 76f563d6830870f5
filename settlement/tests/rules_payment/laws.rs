//! Laws of the price formulas, over random work.

use std::collections::BTreeMap;

use gridtally_protocol::quantity::{MilliwattHours, Milliwatts, TOKEN_AMOUNT_MAX, TokenAmount};
use gridtally_settlement::rules::exact::Ratio;
use gridtally_settlement::rules::payment::{
    Before, Component, Due, Explanation, LeftOver, SeasonEvent, Shares, Terms, pay, share_out,
};
use num_bigint::BigInt;
use proptest::prelude::*;

use crate::work::{amounts, event, only, opted_out, site, terms, tokens};

/// Small numbers, and the extremes of `u64`.
fn weight() -> impl Strategy<Value = u64> {
    prop_oneof![4 => 0..1_000_u64, 1 => any::<u64>(), 1 => Just(u64::MAX), 1 => Just(0)]
}

fn pool_amount() -> impl Strategy<Value = i128> {
    prop_oneof![4 => 0..1_000_000_i128, 1 => (0..=u64::MAX).prop_map(i128::from), 1 => Just(TOKEN_AMOUNT_MAX)]
}

fn left_over() -> impl Strategy<Value = LeftOver> {
    prop_oneof![Just(LeftOver::Carried), Just(LeftOver::LargestRemainder)]
}

fn shared(pool: i128, weights: &[u64], left_over: LeftOver) -> Shares<usize> {
    let weights = weights.iter().copied().enumerate().collect();
    share_out(tokens(pool), TokenAmount::ZERO, &weights, left_over).unwrap()
}

fn total(shares: &Shares<usize>) -> i128 {
    shares.shares.values().map(|s| s.amount.base_units()).sum()
}

fn due(component: &Component) -> Option<Due> {
    match &component.explanation {
        Explanation::Energy { due, .. }
        | Explanation::Capacity { due, .. }
        | Explanation::SeasonAverage { due, .. }
        | Explanation::Points { due, .. }
        | Explanation::DataBonus { due, .. } => Some(*due),
        Explanation::Pool { .. } => None,
    }
}

/// Everything at once; prices with 6 decimals.
fn all_terms(rounding: &str) -> Terms {
    let text = format!(
        "rounding = \"{rounding}\"\n\
         [[payment]]\nkind = \"energy\"\nprice = {{ list = [\"0.850001\", \"none\", \"0\", \"1.999999\"] }}\n\
         [[payment]]\nkind = \"energy\"\nprice = \"0.000007\"\nround_per = \"event\"\n\
         [[payment]]\nkind = \"capacity\"\nrate_per_kw = \"3.141593\"\nthreshold = \"1/7\"\nfloor = \"0.2\"\n\
         cap = \"1.1\"\nshortfall = \"claw_back\"\nclaw_back = \"2/3\"\n\
         [[payment]]\nkind = \"season_average\"\nrate_per_kw = \"275\"\nopted_out = \"zero\"\n\
         [[payment]]\nkind = \"points\"\nper_kwh = \"0.0018\"\nrounding = \"ceil_to_multiple\"\nmultiple = \"0.000008\"\n\
         [[payment]]\nkind = \"pool\"\namount = \"0.012345\"\n\
         [[payment]]\nkind = \"data_bonus\"\namount = \"0.1\"\nmost_of_rest = \"1/13\"\n\
         [[payment]]\nkind = \"fee\"\nshare = \"1/17\"\npaid_by = \"site\"\nrounding_paid_by = \"fee_account\"\n"
    );
    terms(&text, 6)
}

proptest! {
    #[test]
    fn pools_are_paid_to_the_last_unit(pool in pool_amount(), weights in prop::collection::vec(weight(), 1..60)) {
        prop_assume!(weights.iter().any(|w| *w > 0));
        let floors = shared(pool, &weights, LeftOver::Carried);
        prop_assert_eq!(total(&floors) + floors.left.base_units(), pool);
        let working = i128::try_from(weights.iter().filter(|w| **w > 0).count()).unwrap();
        prop_assert!(floors.left.base_units() < working);
        let all = shared(pool, &weights, LeftOver::LargestRemainder);
        prop_assert_eq!((total(&all), all.left.base_units()), (pool, 0));
    }

    #[test]
    fn shares_are_those_of_big_integers(pool in pool_amount(), weights in prop::collection::vec(weight(), 1..60)) {
        let sum: BigInt = weights.iter().map(|w| BigInt::from(*w)).sum();
        prop_assume!(sum > BigInt::from(0));
        for (i, share) in shared(pool, &weights, LeftOver::LargestRemainder).shares {
            prop_assert_eq!(BigInt::from(share.floor.base_units()), BigInt::from(weights[i]) * pool / &sum);
            prop_assert_eq!(share.amount.base_units(), share.floor.base_units() + i128::from(share.extra));
        }
    }

    #[test]
    fn equal_work_is_paid_equally(pool in pool_amount(), mut weights in prop::collection::vec(weight(), 1..40), w in weight()) {
        weights.insert(0, w);
        weights.push(w);
        let last = weights.len() - 1;
        let floors = shared(pool, &weights, LeftOver::Carried);
        prop_assert_eq!(floors.shares[&0], floors.shares[&last]);
        let all = shared(pool, &weights, LeftOver::LargestRemainder);
        let difference = all.shares[&0].amount.base_units() - all.shares[&last].amount.base_units();
        prop_assert!((0..=1).contains(&difference), "only the unit of the earlier id differs: {}", difference);
    }

    #[test]
    fn who_worked_more_is_paid_no_less(pool in pool_amount(), weights in prop::collection::vec(weight(), 2..40), how in left_over()) {
        let shares = shared(pool, &weights, how);
        let mut by_work: Vec<_> = shares.shares.values().collect();
        // Of equal work the later id may have a unit less.
        by_work.sort_by_key(|s| (s.weight, s.amount));
        prop_assert!(by_work.is_sorted_by_key(|s| s.amount));
    }

    #[test]
    fn more_work_never_lowers_ones_own_share(pool in pool_amount(), mut weights in prop::collection::vec(weight(), 1..40), more in weight()) {
        let before = shared(pool, &weights, LeftOver::Carried).shares[&0].amount;
        weights[0] = weights[0].saturating_add(more);
        prop_assert!(shared(pool, &weights, LeftOver::Carried).shares[&0].amount >= before);
    }

    #[test]
    fn a_sole_recipient_gets_all(pool in pool_amount(), work in 1..=u64::MAX, others in 0..20_usize, how in left_over()) {
        let mut weights = vec![0; others];
        weights.push(work);
        let shares = shared(pool, &weights, how);
        prop_assert_eq!((shares.shares[&others].amount, shares.left), (tokens(pool), TokenAmount::ZERO));
    }

    #[test]
    fn a_season_of_pools_pays_all_but_what_the_next_one_has(
        pool in 0..1_000_000_i128,
        events in prop::collection::vec(prop::collection::vec(0..1_000_u64, 3), 1..20),
    ) {
        let (mut carry, mut drawn, mut paid) = (TokenAmount::ZERO, 0, 0);
        for weights in events {
            let weights: BTreeMap<_, _> = weights.into_iter().enumerate().collect();
            let shares = share_out(tokens(pool), carry, &weights, LeftOver::Carried).unwrap();
            drawn += shares.drawn.base_units();
            paid += total(&shares);
            carry = shares.left;
            prop_assert!(carry.base_units() < 3);
        }
        prop_assert_eq!(drawn, paid + carry.base_units());
    }

    #[test]
    fn the_order_of_sites_and_intervals_never_matters(
        works in prop::collection::vec(prop::collection::vec(0..3_000_000_i64, 4), 1..12),
        seed: u64,
    ) {
        let event = event(4, 30);
        let mut homes: Vec<_> = works.iter().enumerate().map(|(i, w)| site(&format!("home-{i}"), &event, w)).collect();
        let terms = all_terms("half_even");
        let first = pay(&terms, &event, &homes).unwrap();
        let len = homes.len();
        homes.rotate_left(usize::try_from(seed % 12).unwrap() % len);
        homes.reverse();
        for home in &mut homes {
            home.intervals.rotate_left(usize::try_from(seed % 4).unwrap());
        }
        prop_assert_eq!(pay(&terms, &event, &homes).unwrap(), first);
    }

    #[test]
    fn what_is_due_is_what_is_paid_and_the_remainder(
        work in prop::collection::vec(-3_000_000..3_000_000_i64, 4),
        nominated in 0..9_000_000_i64,
        upfront in 0..20_000_000_i128,
        quality in 0..=97_i128,
        rounding in prop::sample::select(&["half_even", "half_up", "down"][..]),
    ) {
        let event = event(4, 30);
        let mut home = site("home", &event, &work);
        home.nominated = Some(Milliwatts::new(nominated));
        home.upfront.paid = tokens(upfront);
        home.quality = Ratio::new(quality, 97).ok();
        let payments = pay(&all_terms(rounding), &event, &[home]).unwrap();
        let paid = &payments.sites[0];
        let million = BigInt::from(1_000_000);
        for component in &paid.components {
            let amount = component.amount.unwrap_or(TokenAmount::ZERO);
            prop_assert_eq!(component.reason.is_some(), amount == TokenAmount::ZERO, "{:?}", component);
            let Some(due) = due(component) else { continue };
            prop_assert_eq!(due.rounded.base_units(), due.before.paid.base_units() + amount.base_units());
            if matches!(component.explanation, Explanation::Points { .. }) {
                prop_assert_eq!(component.remainder, 0);
                continue;
            }
            // |exact − rounded − remainder| is at most half a millionth; nothing at all for energy.
            let (n, d) = (BigInt::from(due.exact.numerator()), BigInt::from(due.exact.denominator()));
            let rest = n * &million - (BigInt::from(due.rounded.base_units()) * &million + component.remainder) * &d;
            prop_assert!(rest.magnitude() * 2_u32 <= *d.magnitude());
            if matches!(component.explanation, Explanation::Energy { .. }) {
                prop_assert_eq!(rest, BigInt::from(0));
            }
        }
        let remainders: i64 = paid.components.iter().map(|c| c.remainder).sum();
        prop_assert_eq!((paid.remainder, payments.remainder), (remainders, remainders));
        let gross: i128 = paid.components.iter().filter_map(|c| c.amount).map(TokenAmount::base_units).sum();
        let fee = paid.fee.unwrap();
        prop_assert_eq!(paid.gross.base_units(), gross);
        prop_assert_eq!(paid.net.base_units() + fee.amount.base_units(), gross);
        prop_assert_eq!(fee.amount.base_units(), gross.max(0) / 17);
    }

    #[test]
    fn a_seasons_amounts_add_up_to_its_average_and_its_remainders_to_its_rounding(
        powers in prop::collection::vec((any::<bool>(), 0..9_000_000_i64), 1..20),
    ) {
        let terms = terms("[[payment]]\nkind = \"season_average\"\nrate_per_kw = \"0.000275\"\nopted_out = \"zero\"\n", 6);
        let event = event(3, 20);
        let (mut season, mut last) = (Default::default(), None);
        for (takes_part, energy) in powers {
            let mut home = site("home", &event, &[energy, 0, 0]);
            home.season = season;
            if !takes_part {
                home = opted_out(home);
            }
            let component = only(&terms, &event, &home);
            season = home.season;
            season.average = Before {
                paid: season.average.paid.checked_add(component.amount.unwrap()).unwrap(),
                remainder: season.average.remainder + component.remainder,
            };
            season.events.push(if takes_part {
                SeasonEvent::Delivered { energy: MilliwattHours::new(energy), seconds: 3600 }
            } else {
                SeasonEvent::OptedOut
            });
            let due = due(&component).unwrap();
            prop_assert_eq!(season.average.paid, due.rounded);
            let left = due.exact.checked_sub(Ratio::whole(due.rounded.base_units())).unwrap();
            last = left.checked_mul(Ratio::whole(1_000_000)).unwrap().round_half_even().ok();
        }
        prop_assert_eq!(Some(i128::from(season.average.remainder)), last);
    }

    #[test]
    fn a_capacity_factor_never_falls_with_what_is_delivered(
        less in -2_000_000..9_000_000_i64,
        more in 0..9_000_000_i64,
        nominated in 1..9_000_000_i64,
        upfront in 0..20_000_000_i128,
    ) {
        let terms = terms(
            "[[payment]]\nkind = \"capacity\"\nrate_per_kw = \"3.141593\"\nthreshold = \"1/7\"\nfloor = \"0.2\"\n\
             cap = \"1.1\"\nshortfall = \"claw_back\"\nclaw_back = \"2/3\"\n",
            6,
        );
        let event = event(1, 30);
        let paid = |energy| {
            let mut home = site("home", &event, &[energy]);
            home.nominated = Some(Milliwatts::new(nominated));
            home.upfront.paid = tokens(upfront);
            only(&terms, &event, &home)
        };
        let (low, high) = (paid(less), paid(less.saturating_add(more)));
        prop_assert!(low.amount <= high.amount, "{:?} {:?}", low, high);
        let factor = |c: &Component| match c.explanation {
            Explanation::Capacity { factor, .. } => factor,
            _ => None,
        };
        prop_assert!(factor(&low) <= factor(&high));
        let bounds = Ratio::new(1, 5).unwrap()..=Ratio::new(11, 10).unwrap();
        prop_assert!(factor(&high).is_none_or(|f| bounds.contains(&f)));
    }

    #[test]
    fn no_more_is_ever_clawed_back_than_was_paid(
        paid in prop_oneof![0..50_i128, 0..i128::from(u64::MAX)],
        share in (0..=1_000_i128),
        rounding in prop::sample::select(&["half_even", "half_up", "down"][..]),
    ) {
        let share = Ratio::new(share, 1_000).unwrap();
        let decimal = format!("{}.{:03}", share.numerator() / share.denominator(), share.numerator() * 1_000 / share.denominator() % 1_000);
        let text = format!(
            "rounding = \"{rounding}\"\n[[payment]]\nkind = \"capacity\"\nrate_per_kw = \"1\"\nthreshold = \"0.5\"\n\
             shortfall = \"claw_back\"\nclaw_back = \"{decimal}\"\n"
        );
        let event = event(1, 30);
        let mut home = site("home", &event, &[1]);
        home.nominated = Some(Milliwatts::new(1_000_000));
        home.upfront.paid = tokens(paid);
        let back = -only(&terms(&text, 6), &event, &home).amount.unwrap().base_units();
        prop_assert!((0..=paid).contains(&back), "{} of {}", back, paid);
        if share == Ratio::ONE {
            prop_assert_eq!(back, paid);
        }
    }

    #[test]
    fn no_price_is_never_a_price_of_nothing(work in prop::collection::vec(1..3_000_000_i64, 1..6)) {
        let event = event(work.len(), 30);
        let home = site("home", &event, &work);
        let paid = |price: &str| {
            only(&terms(&format!("[[payment]]\nkind = \"energy\"\nprice = {price}\n"), 6), &event, &home)
        };
        let (none, zero) = (paid("{ list = [] }"), paid("\"0\""));
        prop_assert_eq!((none.amount, zero.amount), (None, Some(TokenAmount::ZERO)));
        prop_assert_ne!(none.reason, zero.reason);
        let credited = |c: &Component| match c.explanation {
            Explanation::Energy { credited, .. } => credited.get(),
            _ => 0,
        };
        prop_assert_eq!((credited(&none), credited(&zero)), (work.iter().sum(), work.iter().sum()));
    }

    #[test]
    fn points_are_the_least_multiple_that_is_not_below_the_exact_ones(energy in 0..9_000_000_i64, multiple in 1..50_i128, ceiling in 0..20_000_i128) {
        let text = format!(
            "[[payment]]\nkind = \"points\"\nper_kwh = \"1800\"\nrounding = \"ceil_to_multiple\"\nmultiple = \"{multiple}\"\n"
        );
        let event = event(1, 30);
        let home = site("home", &event, &[energy]);
        let points = only(&terms(&text, 0), &event, &home).amount.unwrap().base_units();
        let exact = i128::from(energy) * 1_800;
        prop_assert_eq!(points % multiple, 0);
        prop_assert!(points * 1_000_000 >= exact && (points - multiple) * 1_000_000 < exact);
        let cut = only(&terms(&format!("{text}event_ceiling = \"{ceiling}\"\n"), 0), &event, &home);
        prop_assert_eq!(cut.amount.unwrap().base_units(), points.min(ceiling));
    }

    #[test]
    fn a_data_bonus_is_never_above_its_share_of_the_rest(energy in 0..9_000_000_i64, quality in 0..=100_i128) {
        let text = "[[payment]]\nkind = \"energy\"\nprice = \"0.000007\"\n\
                    [[payment]]\nkind = \"data_bonus\"\namount = \"0.000009\"\nmost_of_rest = \"0.07\"\n";
        let event = event(1, 30);
        let mut home = site("home", &event, &[energy]);
        home.quality = Ratio::new(quality, 100).ok();
        let payments = pay(&terms(text, 6), &event, &[home]).unwrap();
        let [rest, bonus] = [0, 1].map(|i| payments.sites[0].components[i].amount.unwrap().base_units());
        prop_assert!(bonus * 100 <= rest * 7 && bonus * 100 <= quality * 9);
        prop_assert!(bonus >= 0);
    }

    #[test]
    fn more_energy_never_earns_less(work in prop::collection::vec(0..3_000_000_i64, 4), more in 0..3_000_000_i64, i in 0..4_usize) {
        let event = event(4, 30);
        let text = "[[payment]]\nkind = \"energy\"\nprice = { list = [\"0.85\", \"0.01\", \"0\", \"1.999999\"] }\n";
        let paid = |work: &[i64]| amounts(&pay(&terms(text, 6), &event, &[site("home", &event, work)]).unwrap())[0];
        let before = paid(&work);
        let mut increased = work;
        increased[i] += more;
        prop_assert!(paid(&increased) >= before);
    }
}

#[test]
fn the_largest_pool_and_weights_are_shared_without_a_wrap() {
    let shares = shared(TOKEN_AMOUNT_MAX, &[u64::MAX; 7], LeftOver::LargestRemainder);
    assert_eq!(total(&shares), TOKEN_AMOUNT_MAX);
    let sole = shared(i128::from(u64::MAX), &[u64::MAX], LeftOver::Carried);
    assert_eq!(total(&sole), i128::from(u64::MAX));
    let above = share_out(
        tokens(TOKEN_AMOUNT_MAX),
        tokens(1),
        &BTreeMap::from([("a", 1)]),
        LeftOver::Carried,
    );
    assert!(above.is_err());
}
