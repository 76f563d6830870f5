//! Exact numbers as text, rounded once.

use gridtally_settlement::rules::exact::{ArithmeticError, Ratio};

/// A fraction with so many decimals, rounded to the nearest, of two equally near ones to the even; a dash for a
/// fraction of nothing.
pub(super) fn fixed(numerator: i128, denominator: i128, decimals: u32) -> Result<String, ArithmeticError> {
    if denominator == 0 {
        return Ok("–".to_owned());
    }
    let scale = 10_i128.saturating_pow(decimals);
    let scaled = Ratio::new(numerator, denominator)?.checked_mul(Ratio::whole(scale))?;
    let rounded = scaled.round_half_even()?;
    let (whole, part) = (
        rounded.unsigned_abs() / scale.unsigned_abs(),
        rounded.unsigned_abs() % scale.unsigned_abs(),
    );
    let sign = if rounded < 0 { "−" } else { "" };
    let width = usize::try_from(decimals).unwrap_or(0);
    Ok(match decimals {
        0 => format!("{sign}{whole}"),
        _ => format!("{sign}{whole}.{part:0width$}"),
    })
}

/// The same in percent, with one decimal.
pub(super) fn percent(numerator: i128, denominator: i128) -> Result<String, ArithmeticError> {
    fixed(numerator.saturating_mul(100), denominator, 1)
}

/// The same with its sign, also where it is above nothing.
pub(super) fn signed(text: String) -> String {
    let is_zero = text.chars().all(|c| matches!(c, '0' | '.' | '–'));
    if text.starts_with('−') || is_zero {
        text
    } else {
        format!("+{text}")
    }
}

/// `√(numerator / denominator)`, rounded down to a whole number.
pub(super) fn root(numerator: i128, denominator: i128) -> i128 {
    numerator
        .checked_div(denominator)
        .map_or(0, |mean| mean.max(0).isqrt())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_rounded_once_and_keep_their_sign() {
        let shown = [
            (1, 3, 2),
            (-1, 3, 2),
            (5, 10, 0),
            (15, 10, 0),
            (-7, 1_000, 2),
            (7, 0, 1),
            (2_000, 3, 1),
        ];
        let shown = shown.map(|(n, d, decimals)| fixed(n, d, decimals).unwrap());
        assert_eq!(shown, ["0.33", "−0.33", "0", "2", "−0.01", "–", "666.7"]);
        assert_eq!(
            ["0.0", "−3.1", "4.2"].map(|t| signed(t.to_owned())),
            ["0.0", "−3.1", "+4.2"]
        );
        assert_eq!(
            (percent(1, 8).unwrap().as_str(), root(99, 1), root(8, 2)),
            ("12.5", 9, 2)
        );
    }
}
