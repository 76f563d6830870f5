//! Twelve homes over fifteen simulated days: what each did a day, and what a step costs.
//!
//! `cargo run --release -p gridtally-simulators --example neighbourhood -- 2026-06-01`

use chrono::NaiveDate;
use gridtally_simulators::{Energy, Neighbourhood};
use std::time::Instant;

const HOMES: usize = 12;
const DAYS: u32 = 15;
const STEPS_PER_DAY: u32 = 288;

fn main() {
    let date = std::env::args().nth(1).unwrap_or_else(|| "2026-06-01".to_owned());
    let date: NaiveDate = date
        .parse()
        .expect("the argument has to be a date such as 2026-06-01");
    let start = date
        .and_hms_opt(0, 0, 0)
        .expect("midnight exists")
        .and_utc()
        .timestamp();

    let mut neighbourhood = Neighbourhood::new(1, HOMES, start);
    let mut evening_soc = [0; HOMES];
    let began = Instant::now();
    for step in 1..=DAYS * STEPS_PER_DAY {
        neighbourhood.advance_to(start + i64::from(step) * 300);
        if step % STEPS_PER_DAY == 17 * 12 {
            for (sum, home) in evening_soc.iter_mut().zip(neighbourhood.homes()) {
                *sum += home.soc_basis_points();
            }
        }
    }
    let steps = u32::try_from(HOMES).expect("12 fits") * DAYS * STEPS_PER_DAY;
    println!(
        "a step of one home and 5 minutes takes {:?}\n",
        began.elapsed() / steps
    );
    println!("Wh a day:     PV    load  import  export  charge  disch.   charge at 17:00 UTC");
    for (home, soc) in neighbourhood.homes().iter().zip(evening_soc) {
        let (now, before) = (home.energies(), home.spec().lifetime);
        let a_day = |now: Energy, before: Energy| (now - before).milliwatt_hours() / 1_000 / i64::from(DAYS);
        println!(
            "        {:>8}{:>8}{:>8}{:>8}{:>8}{:>8}   {:>3} %",
            a_day(now.pv, before.pv),
            a_day(now.load, before.load),
            a_day(now.grid_import, before.grid_import),
            a_day(now.grid_export, before.grid_export),
            a_day(now.battery_charge, before.battery_charge),
            a_day(now.battery_discharge, before.battery_discharge),
            soc / 100 / i64::from(DAYS),
        );
    }
}
