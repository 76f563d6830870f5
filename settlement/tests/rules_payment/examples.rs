//! Price formulas: examples worked by hand, in the style of programs that exist.

use gridtally_protocol::quantity::{MilliwattHours, TokenAmount};
use gridtally_settlement::rules::exact::Ratio;
use gridtally_settlement::rules::payment::{Before, Ceiling, Explanation, SeasonEvent, Zero, pay};

use crate::work::{event, kw, only, opted_out, site, terms, tokens};

const KWH: i64 = 1_000_000;

#[test]
fn a_four_hour_event_at_a_dollar_per_kwh_and_18_dollars_per_kw_in_the_style_of_coned_dlm() {
    let terms = terms(
        "[[payment]]\nkind = \"energy\"\nprice = \"1.00\"\n\
         [[payment]]\nkind = \"capacity\"\nrate_per_kw = \"18.00\"\n",
        2,
    );
    let event = event(4, 60);
    // An average of 2 kWh an hour over 4 hours: $8.00. And 2 of 5 nominated kW: 5 × $18 × 0.4 = $36.00.
    let mut home = site("home", &event, &[2 * KWH, 3 * KWH / 2, 5 * KWH / 2, 2 * KWH]);
    home.nominated = kw("5");
    let paid = &pay(&terms, &event, &[home]).unwrap().sites[0];
    assert_eq!(paid.components[0].amount, Some(tokens(800)));
    assert_eq!(paid.components[1].amount, Some(tokens(3600)));
    assert_eq!(paid.net, tokens(4400));
    let Explanation::Capacity {
        performance,
        factor,
        delivered_kw,
        ..
    } = paid.components[1].explanation
    else {
        panic!("{:?}", paid.components[1]);
    };
    assert_eq!(delivered_kw, Ratio::whole(2));
    assert_eq!(
        (performance, factor),
        (Ratio::new(2, 5).ok(), Ratio::new(2, 5).ok())
    );
}

#[test]
fn a_season_at_275_dollars_per_kw_pays_the_difference_to_what_was_paid_in_the_style_of_connected_solutions() {
    let terms = terms(
        "[[payment]]\nkind = \"season_average\"\nrate_per_kw = \"275\"\nopted_out = \"zero\"\n",
        2,
    );
    let event = event(3, 60);
    // Three hours at 5, 4 and 3 kW; then an event opted out of. Means 5, 9/2, 4, 3.
    let powers = [5, 4, 3, 0];
    let due = [137_500, 123_750, 110_000, 82_500];
    let mut home = site("home", &event, &[]);
    let mut paid = 0;
    for (power, due) in powers.into_iter().zip(due) {
        let mut now = site("home", &event, &[power * KWH; 3]);
        now.season = home.season.clone();
        if power == 0 {
            now = opted_out(now);
        }
        let component = only(&terms, &event, &now);
        let amount = component.amount.unwrap().base_units();
        assert_eq!(paid + amount, due, "{component:?}");
        paid += amount;
        home.season.average = Before {
            paid: tokens(paid),
            remainder: 0,
        };
        home.season.events.push(SeasonEvent::Delivered {
            energy: MilliwattHours::new(3 * power * KWH),
            seconds: 3 * 3600,
        });
    }
}

#[test]
fn an_event_opted_out_of_may_be_left_out_of_the_seasons_mean() {
    let text = "[[payment]]\nkind = \"season_average\"\nrate_per_kw = \"275\"\nopted_out = \"left_out\"\n";
    let event = event(3, 60);
    let mut home = opted_out(site("home", &event, &[0; 3]));
    let first = only(&terms(text, 2), &event, &home);
    assert_eq!(
        (first.amount, first.reason),
        (Some(TokenAmount::ZERO), Some(Zero::NoEventCounts))
    );
    home.season.events = vec![
        SeasonEvent::Delivered {
            energy: MilliwattHours::new(12 * KWH),
            seconds: 10_800,
        },
        SeasonEvent::OptedOut,
        SeasonEvent::Excused,
    ];
    home.season.average.paid = tokens(110_000);
    let later = only(&terms(text, 2), &event, &home);
    assert_eq!(
        (later.amount, later.reason),
        (Some(TokenAmount::ZERO), Some(Zero::AlreadyPaid))
    );
    home.season.events.push(SeasonEvent::NoAnswer);
    let halved = only(&terms(text, 2), &event, &home);
    assert_eq!(
        halved.amount,
        Some(tokens(-55_000)),
        "who never answers counts as 0 kW"
    );
}

#[test]
fn points_are_rounded_up_to_a_multiple_of_8_in_the_style_of_octopus() {
    let text = "[[payment]]\nkind = \"points\"\nper_kwh = \"1800\"\nrounding = \"ceil_to_multiple\"\nmultiple = \"8\"\n";
    let event = event(2, 30);
    // 0.631 kWh × 1,800 = 1,135.8 points: 142 × 8 = 1,136. And 1 mWh is worth 8 points already.
    let home = site("home", &event, &[600_000, 31_000]);
    let paid = only(&terms(text, 0), &event, &home);
    assert_eq!(paid.amount, Some(tokens(1_136)));
    assert_eq!(paid.remainder, 0, "the operator bears the rounding of points");
    assert_eq!(
        only(&terms(text, 0), &event, &site("home", &event, &[1, 0])).amount,
        Some(tokens(8))
    );
    let none = only(&terms(text, 0), &event, &site("home", &event, &[0, 0]));
    assert_eq!(
        (none.amount, none.reason),
        (Some(TokenAmount::ZERO), Some(Zero::NotReduced))
    );
}

#[test]
fn points_end_at_the_ceiling_of_the_event_and_of_the_season() {
    let text = "[[payment]]\nkind = \"points\"\nper_kwh = \"100\"\nrounding = \"half_up\"\n\
                event_ceiling = \"250\"\nseason_ceiling = \"400\"\n";
    let event = event(1, 60);
    let mut home = site("home", &event, &[3 * KWH]);
    let mut found = Vec::new();
    for _ in 0..3 {
        let paid = only(&terms(text, 0), &event, &home);
        let Explanation::Points { uncapped, cut_by, .. } = paid.explanation else {
            panic!("{paid:?}")
        };
        assert_eq!(uncapped, tokens(300));
        found.push((paid.amount.unwrap().base_units(), cut_by, paid.reason));
        home.season.points = home.season.points.checked_add(paid.amount.unwrap()).unwrap();
    }
    let expected = [
        (250, Some(Ceiling::Event), None),
        (150, Some(Ceiling::Season), None),
        (0, Some(Ceiling::Season), Some(Zero::CeilingReached)),
    ];
    assert_eq!(found, expected);
}

#[test]
fn half_a_point_is_rounded_up() {
    let text = "[[payment]]\nkind = \"points\"\nper_kwh = \"1\"\nrounding = \"half_up\"\n";
    let event = event(1, 60);
    for (credited, points) in [(499_999, 0), (500_000, 1), (1_499_999, 1), (2_500_000, 3)] {
        let paid = only(&terms(text, 0), &event, &site("home", &event, &[credited]));
        assert_eq!(paid.amount, Some(tokens(points)), "{credited} mWh");
    }
}

#[test]
fn each_home_is_paid_its_own_bid_up_to_the_ceiling_in_the_style_of_dfs() {
    let terms = terms(
        "[[payment]]\nkind = \"energy\"\nprice = { bid_ceiling = \"6.00\" }\n",
        2,
    );
    let event = event(2, 30);
    let bidding = |name, bid: Option<i128>| {
        let mut home = site(name, &event, &[150_000, 250_000]);
        home.bid = bid.map(tokens);
        home
    };
    // 0.4 kWh at 3.00, at 7.50 cut to 6.00, and at no bid.
    let homes = [
        bidding("a", Some(300)),
        bidding("b", Some(750)),
        bidding("c", None),
    ];
    let paid = pay(&terms, &event, &homes).unwrap();
    let found: Vec<_> = paid
        .sites
        .iter()
        .map(|s| (s.components[0].amount, s.components[0].reason))
        .collect();
    let expected = [
        (Some(tokens(120)), None),
        (Some(tokens(240)), None),
        (None, Some(Zero::NoBid)),
    ];
    assert_eq!(found, expected);
}

#[test]
fn a_price_that_is_not_known_is_not_a_price_of_nothing() {
    let event = event(3, 30);
    let home = site("home", &event, &[KWH, KWH, 0]);
    let energy = |list: &str| {
        let text = format!("[[payment]]\nkind = \"energy\"\nprice = {{ list = {list} }}\n");
        only(&terms(&text, 2), &event, &home)
    };
    let Explanation::Energy {
        credited,
        unpriced,
        ref lines,
        ..
    } = energy("[]").explanation
    else {
        panic!()
    };
    assert_eq!(
        (credited.get(), unpriced.get()),
        (2 * KWH, 2 * KWH),
        "the energy is settled"
    );
    assert_eq!(lines[0].reason, Some(Zero::NoPrice));
    assert_eq!(
        lines[2].amount,
        Some(TokenAmount::ZERO),
        "no energy is worth nothing at any price"
    );
    assert_eq!(
        (energy("[]").amount, energy("[]").reason),
        (None, Some(Zero::NoPrice))
    );
    let free = energy("[\"0\", \"0\", \"0\"]");
    assert_eq!(
        (free.amount, free.reason),
        (Some(TokenAmount::ZERO), Some(Zero::ZeroPrice))
    );
    let partly = energy("[\"0.50\", \"none\", \"0.50\"]");
    assert_eq!((partly.amount, partly.reason), (Some(tokens(50)), None));
    let Explanation::Energy { unpriced, .. } = partly.explanation else {
        panic!()
    };
    assert_eq!(unpriced.get(), KWH);
    let unknown_and_free = energy("[\"0\"]");
    assert_eq!(unknown_and_free.amount, Some(TokenAmount::ZERO));
}

#[test]
fn prices_by_the_clock_are_those_of_the_programs_zone() {
    let text = "[[payment]]\nkind = \"energy\"\nprice = { bands = [\n\
                { from = \"17:00\", to = \"18:00\", price = \"0.50\" },\n\
                { from = \"18:00\", to = \"24:00\", price = \"2\" } ] }\n";
    let mut event = event(3, 30);
    let paid = |event: &_| only(&terms(text, 2), event, &site("home", event, &[KWH; 3])).amount;
    assert_eq!(paid(&event), Some(tokens(50 + 50 + 200)));
    // 17:00 in London is 12:00 in New York: no band covers it.
    event.zone = chrono_tz::America::New_York;
    assert_eq!(paid(&event), None);
}

#[test]
fn published_prices_belong_to_their_intervals() {
    let text = "[[payment]]\nkind = \"energy\"\nprice = \"published\"\n";
    let mut event = event(2, 30);
    event.published.insert(event.starts[1], tokens(7));
    let paid = only(&terms(text, 2), &event, &site("home", &event, &[KWH, 3 * KWH]));
    assert_eq!(paid.amount, Some(tokens(21)));
}

#[test]
fn a_large_shortfall_is_clawed_back_in_the_style_of_dsgs() {
    let text = "[[payment]]\nkind = \"capacity\"\nrate_per_kw = \"10\"\nthreshold = \"0.25\"\n\
                shortfall = \"claw_back\"\nclaw_back = \"0.8\"\n";
    let event = event(2, 30);
    let paid = |mwh: i64, upfront: i128| {
        let mut home = site("home", &event, &[mwh, mwh]);
        home.nominated = kw("4");
        home.upfront.paid = tokens(upfront);
        let component = only(&terms(text, 2), &event, &home);
        (component.amount.unwrap().base_units(), component.reason)
    };
    // 4 kW × $10 = $40. Half-hours of 0.5 kWh are 1 kW, just the threshold.
    assert_eq!(paid(500_000, 0), (1_000, None));
    assert_eq!(paid(500_000, 1_000), (0, Some(Zero::AlreadyPaid)));
    assert_eq!(paid(2_000_000, 1_000), (3_000, None));
    assert_eq!(paid(9_000_000, 0), (4_000, None), "no more than the cap");
    assert_eq!(
        paid(499_999, 1_000),
        (-800, None),
        "four fifths of $10 are taken back"
    );
    assert_eq!(paid(499_999, 0), (0, Some(Zero::Shortfall)));
}

#[test]
fn nothing_is_clawed_back_for_an_outage_or_for_what_was_not_measured() {
    let text = "[[payment]]\nkind = \"capacity\"\nrate_per_kw = \"10\"\nthreshold = \"0.5\"\nshortfall = \"claw_back\"\n";
    let event = event(2, 30);
    let mut home = site("home", &event, &[KWH, KWH / 4]);
    home.nominated = kw("4");
    home.upfront.paid = tokens(1_000);
    let paid = |home: &_| {
        let component = only(&terms(text, 2), &event, home);
        (component.amount.unwrap().base_units(), component.reason)
    };
    // 1.25 of 4 kW is less than half.
    assert_eq!(paid(&home), (-1_000, None));
    let mut in_outage = home.clone();
    in_outage.excused = true;
    assert_eq!(paid(&in_outage), (0, Some(Zero::Excused)));
    // The first half-hour alone was 2 kW, half of what was nominated: enough not to be punished, not to be paid.
    let mut half_seen = home.clone();
    half_seen.intervals.pop();
    assert_eq!(paid(&half_seen), (0, Some(Zero::NotMeasured)));
    let mut unseen = home.clone();
    unseen.intervals.clear();
    assert_eq!(paid(&unseen), (0, Some(Zero::NotMeasured)));
    assert_eq!(
        paid(&opted_out(unseen)),
        (-1_000, None),
        "an opt-out is a decision"
    );
}

#[test]
fn an_event_in_an_outage_is_left_out_of_the_seasons_mean() {
    let text = "[[payment]]\nkind = \"season_average\"\nrate_per_kw = \"275\"\nopted_out = \"zero\"\n";
    let event = event(3, 60);
    let mut home = site("home", &event, &[0; 3]);
    home.season.average.paid = tokens(27_500);
    home.season.events = vec![SeasonEvent::Delivered {
        energy: MilliwattHours::new(KWH),
        seconds: 3_600,
    }];
    assert_eq!(only(&terms(text, 2), &event, &home).amount, Some(tokens(-13_750)));
    home.excused = true;
    assert_eq!(
        only(&terms(text, 2), &event, &home).reason,
        Some(Zero::AlreadyPaid)
    );
}

#[test]
fn who_nominated_nothing_or_opted_out_is_told_so() {
    let text = "[[payment]]\nkind = \"capacity\"\nrate_per_kw = \"10\"\n";
    let event = event(2, 30);
    let mut home = site("home", &event, &[KWH; 2]);
    assert_eq!(
        only(&terms(text, 2), &event, &home).reason,
        Some(Zero::NothingNominated)
    );
    home.nominated = kw("4");
    assert_eq!(
        only(&terms(text, 2), &event, &opted_out(home)).reason,
        Some(Zero::OptedOut)
    );
}

#[test]
fn an_event_below_zero_is_owed_only_where_the_program_says_so() {
    let paid = |below_zero: &str| {
        let text = format!("[[payment]]\nkind = \"energy\"\nprice = \"1\"\nbelow_zero = \"{below_zero}\"\n");
        let event = event(2, 60);
        let paid = only(&terms(&text, 2), &event, &site("home", &event, &[KWH, -3 * KWH]));
        (paid.amount.unwrap().base_units(), paid.reason)
    };
    assert_eq!(paid("nothing"), (0, Some(Zero::BelowZero)));
    assert_eq!(paid("owed"), (-200, None));
}
