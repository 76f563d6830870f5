//! The homes of `config/homes/` are homes.

use gridtally_simulators::Home;
use gridtally_simulators::lab::config;
use std::path::Path;

#[test]
fn every_shipped_home_is_read_and_lives_through_a_day() {
    let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../config/homes"));
    let mut homes = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let plan = config::load(&path).unwrap_or_else(|error| panic!("{error}"));
        let start = plan.start.unwrap_or(1_782_043_200);
        let mut home = Home::new(plan.home_spec(), start);
        for (device, planned) in home.devices().iter().zip(&plan.devices) {
            planned.faults.iter().for_each(|fault| fault.strike(device));
        }
        home.advance_to(start + 86_400);
        assert!(
            home.energies().load > home.spec().lifetime.load,
            "{}",
            path.display()
        );
        homes += 1;
    }
    assert!(homes >= 5, "{homes} homes");
}
