//! Amounts, shares and times of the clock, as people write them.

use gridtally_protocol::quantity::{Asset, TokenAmount};

use crate::rules::exact::{Ratio, read_decimal};

/// Factors and shares are no finer, so that no arithmetic is wide because of them.
const DENOMINATOR_MAX: i128 = 1_000_000_000;
const SECONDS_PER_DAY: u32 = 86_400;

/// Whole tokens, not below zero.
pub(super) fn read_amount(asset: &Asset, text: &str) -> Result<TokenAmount, String> {
    let amount = asset
        .parse(&read_decimal(text)?.to_string())
        .map_err(|e| e.to_string())?;
    if amount < TokenAmount::ZERO {
        Err("is negative".to_owned())
    } else {
        Ok(amount)
    }
}

/// From 0 to 1.
pub(super) fn read_share(text: &str) -> Result<Ratio, String> {
    read_ratio(text, Ratio::ONE)
}

/// `0.05` or `1/3`, from 0 to `max`.
pub(super) fn read_ratio(text: &str, max: Ratio) -> Result<Ratio, String> {
    let ratio = if text.contains('/') {
        text.parse::<Ratio>().map_err(|e| e.to_string())?
    } else {
        Ratio::of_decimal(read_decimal(text)?).map_err(|e| e.to_string())?
    };
    if ratio < Ratio::ZERO || ratio > max {
        return Err(format!("is not within 0 to {max}"));
    }
    if ratio.denominator() > DENOMINATOR_MAX {
        return Err("is finer than a billionth".to_owned());
    }
    Ok(ratio)
}

/// `HH:MM` from 00:00 to 24:00, in seconds.
pub(in crate::rules) fn read_clock(text: &str) -> Result<u32, String> {
    let digits = |part: &str| {
        let plain = part.len() == 2 && part.bytes().all(|b| b.is_ascii_digit());
        plain.then(|| part.parse::<u32>().ok()).flatten()
    };
    let seconds = || {
        let (hours, minutes) = text.split_once(':')?;
        let minutes = digits(minutes).filter(|m| *m < 60)?;
        let seconds = digits(hours)?
            .checked_mul(3600)?
            .checked_add(minutes.checked_mul(60)?)?;
        (seconds <= SECONDS_PER_DAY).then_some(seconds)
    };
    seconds().ok_or_else(|| "is no time of the clock of the form 16:30, up to 24:00".to_owned())
}
