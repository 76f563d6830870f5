//! Prices: flat, by place in the event, by the clock, published, or bid.

use gridtally_protocol::quantity::TokenAmount;

use super::formula::Reader;
use super::value::{read_amount, read_clock};
use crate::rules::document::{Found, Section};
use crate::rules::payment::terms::{Band, Price};

/// No event has more intervals with a price of their own, and no day more bands.
const PRICES_MAX: usize = 1_440;

impl Reader<'_> {
    pub fn price(&self, found: &Found<'_, '_>) -> Option<Price> {
        if !found.is_table() {
            let read = |text: &str| match text {
                "published" => Ok(Price::Published),
                text => read_amount(self.asset, text).map(Price::Flat),
            };
            return found.read_with(read);
        }
        let mut s = found.section()?;
        let list = s.optional("list").map(|v| self.list(&v).map(Price::List));
        let bands = s.optional("bands").map(|v| self.bands(&v).map(Price::TimeOfDay));
        let bid = s
            .optional("bid_ceiling")
            .map(|v| self.amount(&v).map(|ceiling| Price::Bid { ceiling }));
        s.finish();
        let mut given = [list, bands, bid].into_iter().flatten();
        match (given.next(), given.next()) {
            (Some(price), None) => price,
            _ => found.mistake("wants exactly one of list, bands and bid_ceiling"),
        }
    }

    fn list(&self, found: &Found<'_, '_>) -> Option<Vec<Option<TokenAmount>>> {
        let read = |text: &str| match text {
            "none" => Ok(None),
            text => read_amount(self.asset, text).map(Some),
        };
        let prices: Vec<_> = found
            .items(PRICES_MAX)?
            .iter()
            .map(|v| v.read_with(read))
            .collect();
        prices.into_iter().collect()
    }

    fn bands(&self, found: &Found<'_, '_>) -> Option<Vec<Band>> {
        let items = found.items(PRICES_MAX)?;
        let bands: Vec<_> = items.iter().map(|v| self.band(v.section()?)).collect();
        let bands: Option<Vec<_>> = bands.into_iter().collect();
        let bands = bands?;
        let mut in_order: Vec<&Band> = bands.iter().collect();
        in_order.sort_by_key(|b| (b.from, b.to));
        let overlap = in_order
            .windows(2)
            .any(|pair| matches!(pair, [a, b] if b.from < a.to));
        if overlap {
            return found.mistake("has bands that overlap: an hour has one price");
        }
        Some(bands)
    }

    fn band(&self, mut s: Section<'_, '_>) -> Option<Band> {
        let from = s.required("from").and_then(|v| v.read_with(read_clock));
        let to = s.required("to").and_then(|v| v.read_with(read_clock));
        let price = s.required("price").and_then(|v| self.amount(&v));
        if from.zip(to).is_some_and(|(from, to)| from >= to) {
            s.mistake(
                "to",
                "is not after from; a band over midnight is written as two, up to 24:00 and from 00:00",
            );
        }
        s.finish();
        Some(Band {
            from: from?,
            to: to?,
            price: price?,
        })
    }
}
