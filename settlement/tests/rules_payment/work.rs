//! Work to be paid for, in few words.

use std::collections::BTreeMap;

use gridtally_protocol::quantity::{Asset, MilliwattHours, Milliwatts, TokenAmount};
use gridtally_protocol::time::{IntervalLength, Timestamp};
use gridtally_settlement::rules::payment::{
    Before, Component, EventWork, NotCredited, Payments, Season, SiteWork, Terms, WorkInterval, pay,
};
use gridtally_settlement::rules::statement::Participation;

/// 2026-01-14 17:00 in London, a Wednesday.
pub const START: i64 = 1_768_410_000;

pub fn asset(decimals: u8) -> Asset {
    Asset::new("USD", decimals).unwrap()
}

pub fn terms(text: &str, decimals: u8) -> Terms {
    Terms::from_toml("payment.toml", text, &asset(decimals)).unwrap_or_else(|e| panic!("{e}"))
}

pub fn tokens(base_units: i128) -> TokenAmount {
    TokenAmount::new(base_units).unwrap()
}

pub fn kw(text: &str) -> Option<Milliwatts> {
    let watts: Milliwatts = text.parse().unwrap();
    Some(Milliwatts::new(watts.get() * 1_000))
}

/// `count` intervals of an event in London.
pub fn event(count: usize, minutes: u32) -> EventWork {
    let length = IntervalLength::from_seconds(minutes * 60).unwrap();
    let start =
        |i| Timestamp::from_unix(START + i64::try_from(i).unwrap() * i64::from(minutes) * 60).unwrap();
    EventWork {
        zone: chrono_tz::Europe::London,
        length,
        starts: (0..count).map(start).collect(),
        published: BTreeMap::new(),
        pool_carry: TokenAmount::ZERO,
    }
}

/// A site that was credited so many milliwatt-hours in each interval; nothing where it is zero.
pub fn site(name: &str, event: &EventWork, credited: &[i64]) -> SiteWork {
    let base = MilliwattHours::new(10_000_000);
    let interval = |(start, credited): (&Timestamp, &i64)| WorkInterval {
        start: *start,
        baseline: Some(base),
        metered: Some(MilliwattHours::new(base.get().saturating_sub(*credited))),
        credited: match *credited {
            0 => Err(NotCredited::NotReduced),
            credited => Ok(MilliwattHours::new(credited)),
        },
    };
    SiteWork {
        site: name.parse().unwrap(),
        participation: Participation::OptedIn,
        excused: false,
        intervals: event.starts.iter().zip(credited).map(interval).collect(),
        nominated: None,
        committed: None,
        upfront: Before::default(),
        bid: None,
        quality: None,
        season: Season::default(),
    }
}

pub fn opted_out(mut site: SiteWork) -> SiteWork {
    site.participation = Participation::OptedOut {
        reason: "guests".to_owned(),
    };
    site
}

/// The first component of the only site.
pub fn only(terms: &Terms, event: &EventWork, site: &SiteWork) -> Component {
    let payments = pay(terms, event, core::slice::from_ref(site)).unwrap();
    payments.sites[0].components[0].clone()
}

/// The amounts of the first component, in the order of names.
pub fn amounts(payments: &Payments) -> Vec<i128> {
    let amount = |c: &Component| c.amount.map(TokenAmount::base_units).unwrap();
    payments.sites.iter().map(|s| amount(&s.components[0])).collect()
}
