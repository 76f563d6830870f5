use core::str::FromStr as _;

use num_bigint::BigInt;
use proptest::prelude::*;

use super::*;

/// What [`parse_scaled`] must say, reckoned in integers without a bound.
fn parse_by_bigint(text: &str, decimals: u8) -> Result<BigInt, &'static str> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let kept = fraction.trim_end_matches('0');
    if kept.len() > usize::from(decimals) {
        return Err("too precise");
    }
    let zeros = "0".repeat(usize::from(decimals) - kept.len());
    let value = BigInt::from_str(&format!("{whole}{kept}{zeros}")).unwrap();
    if value.magnitude() > BigInt::from(i128::MAX).magnitude() {
        Err("too large")
    } else {
        Ok(value)
    }
}

fn kind(error: &ParseQuantityError) -> &'static str {
    match error {
        ParseQuantityError::NotDecimal { .. } => "not decimal",
        ParseQuantityError::TooPrecise { .. } => "too precise",
        ParseQuantityError::TooLarge { .. } => "too large",
    }
}

fn fits<T>(exact: &BigInt, result: Result<T, Overflow>, value: impl Fn(T) -> i128, min: i128, max: i128) {
    let expected = i128::try_from(exact.clone())
        .ok()
        .filter(|v| (min..=max).contains(v));
    assert_eq!(result.ok().map(value), expected);
}

fn any_i64() -> impl Strategy<Value = i64> {
    prop_oneof![any::<i64>(), -1000_i64..1000, Just(i64::MIN), Just(i64::MAX)]
}

fn any_amount() -> impl Strategy<Value = TokenAmount> {
    let all = -TOKEN_AMOUNT_MAX..=TOKEN_AMOUNT_MAX;
    prop_oneof![
        all,
        -1000_i128..1000,
        Just(TOKEN_AMOUNT_MAX),
        Just(-TOKEN_AMOUNT_MAX)
    ]
    .prop_map(|v| TokenAmount::new(v).unwrap())
}

proptest! {
    #[test]
    fn what_is_shown_reads_back_as_the_same_value(value in any_i64()) {
        let (energy, power) = (MilliwattHours::new(value), Milliwatts::new(value));
        prop_assert_eq!(energy.to_string().parse(), Ok(energy));
        prop_assert_eq!(power.to_string().parse(), Ok(power));
    }

    #[test]
    fn an_amount_reads_back_under_any_number_of_decimals(amount in any_amount(), decimals in 0_u8..=18) {
        let asset = Asset::new("FLEX", decimals).unwrap();
        prop_assert_eq!(asset.parse(&asset.show(amount)), Ok(amount));
        let json = serde_json::to_string(&amount).unwrap();
        prop_assert_eq!(serde_json::from_str::<TokenAmount>(&json).unwrap(), amount);
    }

    #[test]
    fn parsing_agrees_with_integers_without_a_bound(
        text in "-?[0-9]{1,40}(\\.[0-9]{1,24})?|-?0{0,60}[0-9]{1,3}\\.[0-9]{0,3}0{1,40}",
        decimals in any::<u8>(),
    ) {
        let parsed = parse_scaled(&text, decimals);
        prop_assert_eq!(parsed.as_ref().map(|v| BigInt::from(*v)).map_err(kind), parse_by_bigint(&text, decimals));
    }

    #[test]
    fn any_text_is_read_or_refused_without_a_panic(text in "\\PC*", decimals in any::<u8>()) {
        let shown_in_full = |e: &ParseQuantityError| !e.to_string().is_empty();
        prop_assert!(parse_scaled(&text, decimals).err().as_ref().is_none_or(shown_in_full));
    }

    #[test]
    fn sums_and_differences_agree_with_integers_without_a_bound(a in any_i64(), b in any_i64()) {
        let (x, y) = (MilliwattHours::new(a), MilliwattHours::new(b));
        let (min, max) = (i64::MIN.into(), i64::MAX.into());
        fits(&(BigInt::from(a) + b), x.checked_add(y), |v| v.get().into(), min, max);
        fits(&(BigInt::from(a) - b), x.checked_sub(y), |v| v.get().into(), min, max);
    }

    #[test]
    fn token_sums_agree_with_integers_without_a_bound(a in any_amount(), b in any_amount()) {
        let (x, y) = (BigInt::from(a.base_units()), BigInt::from(b.base_units()));
        fits(&(&x + &y), a.checked_add(b), TokenAmount::base_units, -TOKEN_AMOUNT_MAX, TOKEN_AMOUNT_MAX);
        fits(&(&x - &y), a.checked_sub(b), TokenAmount::base_units, -TOKEN_AMOUNT_MAX, TOKEN_AMOUNT_MAX);
        prop_assert_eq!(a.negated().checked_add(a), Ok(TokenAmount::ZERO));
    }

    #[test]
    fn energy_over_a_time_is_rounded_towards_zero(power in any_i64(), seconds in any::<u32>()) {
        // BigInt's division truncates, as Rust's does.
        let exact = BigInt::from(power) * seconds / 3600;
        let energy = Milliwatts::new(power).energy_over(seconds);
        fits(&exact, energy, |v| v.get().into(), i64::MIN.into(), i64::MAX.into());
    }
}

#[test]
fn a_text_that_is_no_plain_decimal_is_refused() {
    let texts = [
        "",
        "-",
        "+1",
        ".5",
        "-.5",
        "1.",
        "1e3",
        " 1",
        "1 ",
        "1_000",
        "1,5",
        "--1",
        "1.2.3",
        "1.-2",
        "0x1",
        "NaN",
        "inf",
        "\u{661}",
        "\u{2212}1",
        "1\0",
    ];
    for text in texts {
        let refused = MilliwattHours::from_str(text);
        assert!(
            matches!(refused, Err(ParseQuantityError::NotDecimal { .. })),
            "{text:?}: {refused:?}"
        );
    }
}

#[test]
fn a_text_that_would_be_rounded_is_refused() {
    assert!(matches!(
        "0.0000001".parse::<MilliwattHours>(),
        Err(ParseQuantityError::TooPrecise { .. })
    ));
    assert!(matches!(
        "0.0001".parse::<Milliwatts>(),
        Err(ParseQuantityError::TooPrecise { .. })
    ));
    assert_eq!("0.1230000".parse(), Ok(Milliwatts::new(123)));
}

#[test]
fn the_extremes_are_shown_and_read() {
    assert_eq!(MilliwattHours::new(i64::MIN).to_string(), "-9223372036854.775808");
    assert_eq!(Milliwatts::new(i64::MAX).to_string(), "9223372036854775.807");
    assert_eq!(MilliwattHours::new(-1).to_string(), "-0.000001");
    assert_eq!("-0".parse(), Ok(MilliwattHours::ZERO));
    assert!(matches!(
        "9223372036854.775808".parse::<MilliwattHours>(),
        Err(ParseQuantityError::TooLarge { .. })
    ));
    assert!(matches!(
        "-9223372036854.775809".parse::<MilliwattHours>(),
        Err(ParseQuantityError::TooLarge { .. })
    ));
}

#[test]
fn width_and_sign_of_the_formatter_are_kept() {
    assert_eq!(
        format!("{:>12}|{:+}", Milliwatts::new(-1500), Milliwatts::new(1500)),
        "      -1.500|+1.500"
    );
}

#[test]
fn an_error_shows_no_more_than_64_characters_of_the_text() {
    let error = "\u{1F31E}".repeat(10_000).parse::<Milliwatts>().unwrap_err();
    assert_eq!(
        error,
        ParseQuantityError::NotDecimal {
            text: "\u{1F31E}".repeat(64)
        }
    );
}

#[test]
fn a_sum_stops_at_the_first_part_that_does_not_fit() {
    let max = MilliwattHours::new(i64::MAX);
    let one = MilliwattHours::new(1);
    assert_eq!(
        MilliwattHours::checked_sum([max, one]),
        Err(Overflow {
            operation: "sum",
            unit: "milliwatt-hours"
        })
    );
    assert_eq!(MilliwattHours::checked_sum([]), Ok(MilliwattHours::ZERO));
    assert_eq!(
        MilliwattHours::checked_sum([one, one]),
        Ok(MilliwattHours::new(2))
    );
}

#[test]
fn an_amount_beyond_the_ledger_is_refused_everywhere() {
    for beyond in [TOKEN_AMOUNT_MAX + 1, -TOKEN_AMOUNT_MAX - 1, i128::MAX, i128::MIN] {
        assert!(TokenAmount::new(beyond).is_err());
        assert!(serde_json::from_str::<TokenAmount>(&format!("\"{beyond}\"")).is_err());
        assert!(Asset::new("FLEX", 0).unwrap().parse(&beyond.to_string()).is_err());
    }
}

#[test]
fn an_amount_in_json_is_a_string_and_an_energy_a_whole_number() {
    assert_eq!(
        serde_json::to_string(&TokenAmount::new(-12).unwrap()).unwrap(),
        "\"-12\""
    );
    assert!(serde_json::from_str::<TokenAmount>("12").is_err());
    assert_eq!(
        serde_json::to_string(&MilliwattHours::new(i64::MIN)).unwrap(),
        "-9223372036854775808"
    );
    assert!(serde_json::from_str::<MilliwattHours>("1.0").is_err());
}

#[test]
fn an_asset_is_checked_wherever_it_comes_from() {
    for code in ["", "F", "flex", "FLEXFLEXFLEXX", "FL X", "FL\u{c9}X"] {
        assert!(
            matches!(Asset::new(code, 6), Err(AssetError::Code { .. })),
            "{code:?}"
        );
    }
    assert_eq!(Asset::new("FLEX", 19), Err(AssetError::Decimals { decimals: 19 }));
    assert!(serde_json::from_str::<Asset>(r#"{"code":"flex","decimals":6}"#).is_err());
    let asset: Asset = serde_json::from_str(r#"{"code":"FLEX","decimals":6}"#).unwrap();
    assert_eq!((asset.code(), asset.decimals()), ("FLEX", 6));
    assert_eq!(asset.show(TokenAmount::new(-1).unwrap()), "-0.000001");
}
