//! Numbers written out in full.

use crate::device::sunspec::Number;

/// The decimal of a number, with every place of its scale; never in powers of ten.
#[must_use]
pub fn exact(number: Number) -> String {
    match number {
        Number::Scaled { integer, exponent } => shifted(integer, exponent),
        // Floats beyond 2⁹⁶ have no reading; their bits are shown.
        single @ Number::Single(_) => single.to_string(),
    }
}

/// `integer × 10^exponent`.
fn shifted(integer: i128, exponent: i16) -> String {
    let places = usize::from(exponent.unsigned_abs());
    let digits = integer.unsigned_abs().to_string();
    let sign = if integer < 0 { "-" } else { "" };
    if exponent >= 0 {
        let zeros = if integer == 0 { 0 } else { places };
        return format!("{sign}{digits}{}", "0".repeat(zeros));
    }
    // One digit at least stands before the point.
    let digits = format!("{digits:0>width$}", width = places.saturating_add(1));
    let (whole, fraction) = digits.split_at(digits.len().saturating_sub(places));
    format!("{sign}{whole}.{fraction}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rust_decimal::Decimal;

    #[test]
    fn every_place_of_the_scale_is_written_and_no_power_of_ten() {
        for (integer, exponent, text) in [
            (0, 0, "0"),
            (0, 3, "0"),
            (0, -2, "0.00"),
            (12_345, -1, "1234.5"),
            (-5, -2, "-0.05"),
            (-7, 2, "-700"),
            (i128::from(u64::MAX), 10, "184467440737095516150000000000"),
        ] {
            assert_eq!(exact(Number::Scaled { integer, exponent }), text);
        }
    }

    proptest! {
        #[test]
        fn where_there_is_a_decimal_it_is_the_same_number(integer: i64, exponent in -10_i16..=8) {
            let number = Number::Scaled { integer: i128::from(integer), exponent };
            let read: Decimal = exact(number).parse().unwrap();
            prop_assert_eq!(Some(read), number.decimal());
        }
    }
}
