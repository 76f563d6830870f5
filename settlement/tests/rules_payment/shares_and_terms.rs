//! Pools, bonus and fee worked by hand; and what is refused, in inputs and in documents.

use gridtally_protocol::quantity::TokenAmount;
use gridtally_settlement::rules::exact::Ratio;
use gridtally_settlement::rules::payment::{Formula, PaymentError, Payments, Terms, Zero, pay};

use crate::work::{amounts, asset, event, kw, site, terms, tokens};

const KWH: i64 = 1_000_000;

#[test]
fn forty_nine_units_over_49_equal_shares_are_one_each() {
    let text = "[[payment]]\nkind = \"pool\"\namount = \"49\"\n";
    let event = event(1, 60);
    let homes: Vec<_> = (0..49)
        .map(|i| site(&format!("home-{i:02}"), &event, &[777]))
        .collect();
    let paid = pay(&terms(text, 0), &event, &homes).unwrap();
    assert_eq!(amounts(&paid), vec![1; 49]);
    assert_eq!(paid.pool.unwrap().left, TokenAmount::ZERO);
}

#[test]
fn what_a_pool_leaves_is_in_the_next_one() {
    let text = "[[payment]]\nkind = \"pool\"\namount = \"100\"\n";
    let mut event = event(1, 60);
    let homes: Vec<_> = ["a", "b", "c"].map(|n| site(n, &event, &[KWH])).into();
    let (mut left, mut paid) = (Vec::new(), 0);
    for _ in 0..3 {
        let payments = pay(&terms(text, 0), &event, &homes).unwrap();
        paid += amounts(&payments).iter().sum::<i128>();
        event.pool_carry = payments.pool.unwrap().left;
        left.push(event.pool_carry.base_units());
    }
    assert_eq!((left, paid), (vec![1, 2, 0], 300));
    let idle = pay(&terms(text, 0), &event, &[site("a", &event, &[0])]).unwrap();
    assert_eq!(
        idle.pool.unwrap().drawn,
        TokenAmount::ZERO,
        "nobody worked, nothing is drawn"
    );
    assert_eq!(idle.sites[0].components[0].reason, Some(Zero::NotReduced));
}

#[test]
fn largest_remainders_have_what_is_left_and_ties_go_by_id() {
    let text = "[[payment]]\nkind = \"pool\"\namount = \"10\"\nleft_over = \"largest_remainder\"\n";
    let event = event(1, 60);
    let paid = |works: &[(&str, i64)]| {
        let homes: Vec<_> = works.iter().map(|(n, w)| site(n, &event, &[*w])).collect();
        amounts(&pay(&terms(text, 0), &event, &homes).unwrap())
    };
    // Exactly 2.5, 3.75 and 3.75.
    assert_eq!(paid(&[("a", 2), ("b", 3), ("c", 3)]), [2, 4, 4]);
    // Exactly 10/3 each: the first name has the unit.
    assert_eq!(paid(&[("c", 5), ("a", 5), ("b", 5)]), [4, 3, 3]);
}

#[test]
fn a_data_bonus_is_weighted_by_quality_and_bounded_by_the_rest() {
    let text = "[[payment]]\nkind = \"energy\"\nprice = \"1\"\n\
                [[payment]]\nkind = \"data_bonus\"\namount = \"0.10\"\nmost_of_rest = \"0.05\"\n";
    let event = event(1, 60);
    let bonus = |mwh: i64, quality: Option<(i128, i128)>| {
        let mut home = site("home", &event, &[mwh]);
        home.quality = quality.map(|(n, d)| Ratio::new(n, d).unwrap());
        let paid = &pay(&terms(text, 2), &event, &[home]).unwrap().sites[0];
        (
            paid.components[1].amount.unwrap().base_units(),
            paid.components[1].reason,
        )
    };
    assert_eq!(bonus(10 * KWH, Some((1, 1))), (10, None));
    assert_eq!(
        bonus(10 * KWH, Some((2, 3))),
        (6, None),
        "6 2/3 cents, rounded down"
    );
    assert_eq!(bonus(KWH, Some((1, 1))), (5, None), "a twentieth of a dollar");
    assert_eq!(
        bonus(0, Some((1, 1))),
        (0, Some(Zero::NothingElsePaid)),
        "being online earns nothing"
    );
    assert_eq!(bonus(KWH, None), (0, Some(Zero::NoQuality)));
}

#[test]
fn a_fee_is_taken_once_and_rounded_once_at_the_expense_of_whom_the_program_names() {
    let paid = |paid_by: &str, rounding: &str| {
        let text = format!(
            "[[payment]]\nkind = \"energy\"\nprice = \"1\"\n[[payment]]\nkind = \"energy\"\nprice = \"0.01\"\n\
             [[payment]]\nkind = \"fee\"\nshare = \"1/30\"\npaid_by = \"{paid_by}\"\nrounding_paid_by = \"{rounding}\"\n"
        );
        let event = event(1, 60);
        let paid = &pay(&terms(&text, 2), &event, &[site("home", &event, &[KWH])])
            .unwrap()
            .sites[0];
        [paid.gross, paid.fee.unwrap().amount, paid.net].map(TokenAmount::base_units)
    };
    // A thirtieth of $1.01 is 3.37 cents.
    assert_eq!(paid("site", "fee_account"), [101, 3, 98]);
    assert_eq!(paid("site", "payer"), [101, 4, 97]);
    assert_eq!(paid("escrow", "payer"), [101, 4, 101]);
}

#[test]
fn inputs_that_contradict_one_another_are_refused_with_the_site() {
    let terms = terms("[[payment]]\nkind = \"energy\"\nprice = \"1\"\n", 2);
    let event = event(2, 60);
    let home = site("home", &event, &[1, 2]);
    let refused = |homes: &[_]| pay(&terms, &event, homes).unwrap_err();
    assert!(matches!(
        refused(&[home.clone(), home.clone()]),
        PaymentError::SiteTwice { .. }
    ));
    let mut twice = home.clone();
    twice.intervals.push(twice.intervals[0]);
    assert!(matches!(refused(&[twice]), PaymentError::IntervalTwice { .. }));
    let mut foreign = home.clone();
    foreign.intervals[0].start = foreign.intervals[0]
        .start
        .checked_add(60)
        .unwrap_or(foreign.intervals[0].start);
    assert!(matches!(
        refused(&[foreign]),
        PaymentError::ForeignInterval { .. }
    ));
    let mut negative = home.clone();
    negative.bid = Some(tokens(-1));
    assert_eq!(
        refused(&[negative]).to_string(),
        "site home: the bid is below zero"
    );
    let mut better_than_good = home.clone();
    better_than_good.quality = Ratio::new(3, 2).ok();
    assert!(matches!(
        refused(&[better_than_good]),
        PaymentError::Quality { .. }
    ));
    let mut unordered = event.clone();
    unordered.starts.reverse();
    assert_eq!(
        pay(&terms, &unordered, &[home]).unwrap_err(),
        PaymentError::Starts
    );
}

#[test]
fn what_does_not_fit_is_an_error_and_never_a_wrap() {
    let most = "99999999999999999999";
    let terms = terms(
        &format!("[[payment]]\nkind = \"energy\"\nprice = \"{most}\"\n"),
        8,
    );
    let event = event(1, 60);
    let error = pay(&terms, &event, &[site("home", &event, &[i64::MAX])]).unwrap_err();
    assert!(
        matches!(error, PaymentError::Arithmetic { site: Some(_), .. }),
        "{error}"
    );
}

#[test]
fn payments_read_back_from_their_json() {
    let text = "[[payment]]\nkind = \"energy\"\nprice = { list = [\"0.85\"] }\n[[payment]]\nkind = \"pool\"\namount = \"5\"\n\
                [[payment]]\nkind = \"capacity\"\nrate_per_kw = \"1\"\n";
    let event = event(2, 30);
    let mut home = site("home", &event, &[KWH, KWH]);
    home.nominated = kw("7");
    let paid = pay(&terms(text, 6), &event, &[home]).unwrap();
    let json = serde_json::to_string(&paid).unwrap();
    assert_eq!(serde_json::from_str::<Payments>(&json).unwrap(), paid, "{json}");
}

#[test]
fn all_mistakes_of_payment_sections_are_named_at_once() {
    let text = r#"rounding = "up"
[[payment]]
kind = "energy"
price = "-1"
round_per = "day"
[[payment]]
kind = "energy"
price = { list = ["0.1", "free"], bid_ceiling = "1" }
[[payment]]
kind = "energy"
price = { bands = [ { from = "17:00", to = "16:00", price = "1" }, { from = "25:00", to = "26:00", price = "1" } ] }
[[payment]]
kind = "capacity"
floor = "0.5"
cap = "1001"
claw_back = "1"
[[payment]]
kind = "points"
per_kwh = "0.5"
rounding = "ceil_to_multiple"
[[payment]]
kind = "pool"
amount = "1"
pirce = "1"
[[payment]]
kind = "fee"
share = "2"
paid_by = "bank"
[[payment]]
kind = "pool"
amount = "1"
[[payment]]
kind = "penalty"
[[payment]]
kind = "data_bonus"
amount = "1"
most_of_rest = "0.5"
"#;
    let error = Terms::from_toml("bad.toml", text, &asset(0)).unwrap_err();
    let mut found: Vec<_> = error.mistakes.iter().map(|m| (m.line, m.key.as_str())).collect();
    found.sort_unstable();
    let expected = [
        (1, "rounding"),
        (4, "payment[0].price"),
        (5, "payment[0].round_per"),
        (8, "payment[1].price"),
        (8, "payment[1].price.list[0]"),
        (8, "payment[1].price.list[1]"),
        (11, "payment[2].price.bands[0].to"),
        (11, "payment[2].price.bands[1].from"),
        (11, "payment[2].price.bands[1].to"),
        (12, "payment[3].rate_per_kw"),
        (15, "payment[3].cap"),
        (16, "payment[3].claw_back"),
        (19, "payment[4].per_kwh"),
        (20, "payment[4].rounding"),
        (24, "payment[5].pirce"),
        (25, "payment[6].rounding_paid_by"),
        (27, "payment[6].share"),
        (28, "payment[6].paid_by"),
        (30, "payment[7].kind"),
        (33, "payment[8].kind"),
        (35, "payment[9].kind"),
        (37, "payment[9].most_of_rest"),
    ];
    assert_eq!(found, expected, "{error}");
}

#[test]
fn terms_that_pay_for_no_delivery_or_for_doing_nothing_are_refused() {
    let refused = |text: &str| {
        Terms::from_toml("bad.toml", text, &asset(2))
            .unwrap_err()
            .to_string()
    };
    assert!(refused("payment = []\n").contains("pays nothing"));
    let only_bonus = "[[payment]]\nkind = \"data_bonus\"\namount = \"1\"\nmost_of_rest = \"0.1\"\n";
    assert!(refused(only_bonus).contains("pays for no delivery"));
    let floor = "[[payment]]\nkind = \"capacity\"\nrate_per_kw = \"1\"\nfloor = \"0.5\"\n";
    assert!(refused(floor).contains("would pay who delivers nothing"));
    let overlap = "[[payment]]\nkind = \"energy\"\nprice = { bands = [ { from = \"16:00\", to = \"18:00\", price = \"1\" }, \
                   { from = \"17:00\", to = \"19:00\", price = \"2\" } ] }\n";
    assert!(refused(overlap).contains("overlap"));
}

#[test]
fn the_sections_on_the_page_are_one_set_of_terms() {
    let page = include_str!("../../../docs/rules-payment.md");
    let sections: Vec<_> = page
        .split("```toml\n")
        .skip(1)
        .map(|rest| rest.split("```").next().unwrap())
        .collect();
    let terms = terms(&sections.concat(), 2);
    let kinds: Vec<_> = terms.formulas.iter().map(Formula::kind).collect();
    let expected = [
        "energy",
        "capacity",
        "season_average",
        "points",
        "pool",
        "data_bonus",
    ];
    assert_eq!(kinds, expected);
    assert!(terms.fee.is_some());
    for reason in [
        Zero::NoPrice,
        Zero::Excused,
        Zero::NothingElsePaid,
        Zero::BelowZero,
    ] {
        assert!(page.contains(&format!("`{reason}`")), "{reason}");
    }
}
