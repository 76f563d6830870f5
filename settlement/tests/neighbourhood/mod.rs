//! Random and steady neighbourhoods to settle.
#![allow(dead_code, reason = "each test binary uses a part of it")]

use chrono::NaiveDate;
use gridtally_protocol::channel::Missing;
use gridtally_protocol::quantity::MilliwattHours;
use gridtally_protocol::refusal::Refusal;
use gridtally_protocol::time::{Interval, Timestamp};
use gridtally_settlement::rules::baseline::PRESETS;
use gridtally_settlement::rules::program::Program;
use gridtally_settlement::rules::statement::{
    Corrected, Event, Metered, MissingReason, Participation, Reading, SettlementInputs, SiteInputs,
};

/// SplitMix64: a seed is enough to make a neighbourhood again.
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// From `low` to `high`, both included.
    pub fn within(&mut self, low: i64, high: i64) -> i64 {
        let span = u64::try_from(high - low).unwrap() + 1;
        low + i64::try_from(self.next() % span).unwrap()
    }

    pub fn one_in(&mut self, n: i64) -> bool {
        self.within(1, n) == 1
    }

    fn pick<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        &items[usize::try_from(self.within(0, i64::try_from(items.len()).unwrap() - 1)).unwrap()]
    }
}

/// Late readings, withdrawn ones, corrected ones, a site that said something else after all.
pub fn come_to_light(inputs: &mut SettlementInputs, seed: u64) {
    let mut random = Random::new(seed);
    for site in &mut inputs.sites {
        for reading in site.readings.iter_mut().rev().take(60) {
            match random.within(0, 9) {
                0 => reading.net = Metered::Energy(MilliwattHours::new(random.within(-1_000_000, 1_000_000))),
                1 => reading.net = Metered::Missing(MissingReason::NotReceived),
                2 => site.corrections.push(Corrected {
                    number: u32::try_from(site.corrections.len()).unwrap() + 1,
                    interval: reading.interval,
                    net: Metered::Energy(MilliwattHours::new(random.within(-1_000_000, 1_000_000))),
                }),
                3 => site.corrections.push(Corrected {
                    number: u32::try_from(site.corrections.len()).unwrap() + 1,
                    interval: reading.interval,
                    net: Metered::Missing(MissingReason::Withdrawn),
                }),
                _ => {}
            }
        }
        if random.one_in(8) {
            site.participation = random
                .pick(&[Participation::OptedIn, Participation::NoAnswer])
                .clone();
        }
    }
}

pub fn shuffle<T>(items: &mut [T], seed: u64) {
    let mut random = Random::new(seed);
    for i in (1..items.len()).rev() {
        items.swap(
            i,
            usize::try_from(random.within(0, i64::try_from(i).unwrap())).unwrap(),
        );
    }
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn program(preset: &str, zone: &str, minutes: i64, decimals: i64, price: &str, rounding: &str) -> Program {
    let text = format!(
        "id = \"evening-flex\"\nversion = 1\nzone = \"{zone}\"\ninterval_minutes = {minutes}\n\
         measurement = \"site_meter_net\"\nbaseline = \"{preset}\"\nprice_per_kwh = \"{price}\"\n\
         clip = \"interval\"\nrounding = \"{rounding}\"\nholidays = [\"2026-04-03\", \"2026-04-06\"]\n\
         [asset]\ncode = \"FLEX\"\ndecimals = {decimals}\n"
    );
    Program::from_toml("program.toml", &text).unwrap_or_else(|e| panic!("{e}"))
}

fn intervals(program: &Program, from: Timestamp, until: Timestamp) -> Vec<Interval> {
    let mut intervals = Vec::new();
    let mut start = from;
    while start < until {
        let interval = Interval::new(start, program.interval).unwrap();
        intervals.push(interval);
        start = interval.end();
    }
    intervals
}

/// `sites` homes that use 1 kWh in each half-hour, and half of it during the event, at 0.85 FLEX.
pub fn steady(sites: usize) -> SettlementInputs {
    let program = program("caiso_style_10_10", "Europe/London", 30, 6, "0.85", "half_even");
    let (start, end) = (at("2026-06-18T16:00:00Z"), at("2026-06-18T18:00:00Z"));
    let reading = |interval: Interval| {
        let halved = (start..end).contains(&interval.start());
        let energy = MilliwattHours::new(if halved { 500_000 } else { 1_000_000 });
        Reading {
            interval,
            net: Metered::Energy(energy),
        }
    };
    let readings: Vec<_> = intervals(&program, at("2026-06-01T23:00:00Z"), at("2026-06-18T23:00:00Z"))
        .into_iter()
        .map(reading)
        .collect();
    let site = |n: usize| SiteInputs {
        site: format!("home-{n:02}").parse().unwrap(),
        beneficiary: format!("owner-{n:02}").parse().unwrap(),
        participation: Participation::OptedIn,
        outage_days: Vec::new(),
        readings: readings.clone(),
        site_meter: Vec::new(),
        corrections: Vec::new(),
        offer: Default::default(),
        season: Default::default(),
    };
    SettlementInputs {
        event: Event {
            id: "evening-1".parse().unwrap(),
            program: program.id.clone(),
            start,
            end,
            announced_at: at("2026-06-17T12:00:00Z"),
        },
        program,
        event_days: Vec::new(),
        carry_in: 0,
        pool_carry: Default::default(),
        published: Vec::new(),
        temperatures: Vec::new(),
        sites: (0..sites).map(site).collect(),
    }
}

/// A neighbourhood in which everything that a settlement knows happens now and then: every preset, zones and
/// seasons with clock changes, holidays, events before, outages, gaps, exports, opt-outs, tiny and huge prices.
pub fn random(seed: u64) -> SettlementInputs {
    let random = &mut Random::new(seed);
    let (preset, _) = random.pick(&PRESETS[..8]);
    let zone = random.pick(&["Europe/London", "America/Los_Angeles", "UTC", "Asia/Kolkata"]);
    let minutes = *random.pick(&[30, 30, 60]);
    let minutes = if *zone == "Asia/Kolkata" { 30 } else { minutes };
    let decimals = *random.pick(&[0, 2, 6, 9]);
    let price = match decimals {
        0 => random.within(0, 40).to_string(),
        2 => format!("{}.{:02}", random.within(0, 9), random.within(0, 99)),
        _ => format!("{}.{:06}", random.within(0, 9), random.within(0, 999_999)),
    };
    let rounding = random.pick(&["half_even", "down"]);
    let program = program(preset, zone, minutes, decimals, &price, rounding);
    // Around the changes of the clock in spring and autumn, and at a quiet time.
    let first_day: NaiveDate = random
        .pick(&[
            "2026-03-26",
            "2026-04-08",
            "2026-07-10",
            "2026-10-27",
            "2026-11-03",
        ])
        .parse()
        .unwrap();
    let day = first_day + chrono::TimeDelta::days(random.within(0, 9));
    let hour = random.within(0, 23);
    let midnight = day.and_hms_opt(0, 0, 0).unwrap().and_utc().timestamp();
    let start = Timestamp::from_unix(midnight + hour * 3600).unwrap();
    let end = start.checked_add(minutes * 60 * random.within(1, 6)).unwrap();
    let days_back = random.within(4, 40);
    let event_days = (0..random.within(0, 3))
        .map(|_| day - chrono::TimeDelta::days(random.within(1, 20)))
        .collect();
    let sites = (0..random.within(1, 3)).map(|n| {
        let from = start.checked_add(-86_400 * days_back).unwrap();
        let until = end.checked_add(5 * 3600).unwrap();
        site(random, n, &intervals(&program, from, until), day)
    });
    let sites = sites.collect();
    SettlementInputs {
        event: Event {
            id: "evening-1".parse().unwrap(),
            program: program.id.clone(),
            start,
            end,
            announced_at: start.checked_add(-86_400).unwrap(),
        },
        program,
        event_days,
        carry_in: random.within(0, 999_999),
        pool_carry: Default::default(),
        published: Vec::new(),
        temperatures: Vec::new(),
        sites,
    }
}

fn site(random: &mut Random, n: i64, intervals: &[Interval], day: NaiveDate) -> SiteInputs {
    let solar = random.one_in(3);
    let gaps = *random.pick(&[0, 0, 40, 2000]);
    let scale = *random.pick(&[1, 100, 1_000_000, 1_000_000, 1_000_000_000]);
    let mut readings = Vec::new();
    for interval in intervals {
        let low = if solar { -scale } else { 0 };
        let energy = Metered::Energy(MilliwattHours::new(random.within(low, scale)));
        let missing = [
            MissingReason::NotReceived,
            MissingReason::Device(Missing::Unreachable),
            MissingReason::Refused(Refusal::BeyondNameplate),
            MissingReason::Equivocation,
        ];
        let net = if gaps > 0 && random.one_in(gaps) {
            Metered::Missing(*random.pick(&missing))
        } else {
            energy
        };
        if gaps == 0 || !random.one_in(gaps) {
            readings.push(Reading {
                interval: *interval,
                net,
            });
        }
    }
    let participation = match random.within(0, 7) {
        0 => Participation::OptedOut {
            reason: "guests".to_owned(),
        },
        1 => Participation::NoAnswer,
        _ => Participation::OptedIn,
    };
    SiteInputs {
        site: format!("home-{n:02}").parse().unwrap(),
        beneficiary: format!("owner-{n:02}").parse().unwrap(),
        participation,
        outage_days: (0..random.within(0, 2))
            .map(|_| day - chrono::TimeDelta::days(random.within(1, 15)))
            .collect(),
        readings,
        site_meter: Vec::new(),
        corrections: Vec::new(),
        offer: Default::default(),
        season: Default::default(),
    }
}
