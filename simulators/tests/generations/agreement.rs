//! What several models of a device say of one quantity, and what is true.

use crate::{GENERATIONS, NOON, PHASES, ROLES, spec};
use gridtally_registers::sunspec::Kind;
use gridtally_simulators::{Device, Energy, Generation, Home, Phases, Role, Table};
use proptest::prelude::*;

/// What a device shows, in thousandths: numbers of integer models with a unit's doubt, of float models
/// with a single's.
struct Shown {
    thousandths: f64,
    doubt: f64,
    /// By how much it may exceed the truth: an integer is cut, a single rounded.
    excess: f64,
}

fn shown(device: &Device, model: u16, path: &str) -> Option<Shown> {
    let map = device.registers();
    let (at, point) = map.find(model, 0, path)?;
    let words = map.point_words(at, point)?;
    if point.kind().is_sentinel(words) {
        return None;
    }
    if point.kind() == Kind::Float32 {
        let value = f64::from(f32::from_bits(u32::from(words[0]) << 16 | u32::from(words[1])));
        let thousandths = value * 1_000.0;
        let doubt = thousandths.abs() * 1e-6 + 1e-6;
        return Some(Shown {
            thousandths,
            doubt,
            excess: doubt,
        });
    }
    let scale = point.scale_offset.map_or(0, |offset| {
        let word = map.read(Table::Holding, at.address + offset, 1).unwrap()[0];
        i32::from(word.cast_signed())
    });
    #[expect(clippy::cast_precision_loss, reason = "counts of a home fit a double")]
    let value = point.kind().integer(words)? as f64;
    let unit = 10_f64.powi(scale) * 1_000.0;
    Some(Shown {
        thousandths: value * unit,
        doubt: unit * 1.000_001,
        excess: unit * 1e-6,
    })
}

/// All those of the points that are there say this, cut to their unit.
fn assert_say(device: &Device, truth: i64, points: &[(u16, &str)]) -> Result<usize, TestCaseError> {
    #[expect(
        clippy::cast_precision_loss,
        reason = "milliwatt-hours of a home fit a double"
    )]
    let truth = truth as f64;
    let mut there = 0;
    for &(model, path) in points {
        if let Some(Shown {
            thousandths,
            doubt,
            excess,
        }) = shown(device, model, path)
        {
            there += 1;
            prop_assert!(
                (thousandths - truth).abs() <= doubt,
                "{model}.{path} says {thousandths}, truly {truth}"
            );
            prop_assert!(
                thousandths.abs() <= truth.abs() + excess,
                "{model}.{path} says more than there is"
            );
        }
    }
    Ok(there)
}

/// The same point of the models of one, two and three lines.
fn on_lines(hundred: u16, path: &'static str) -> Vec<(u16, &'static str)> {
    (1..=4)
        .map(|line| (hundred + line, path))
        .filter(|(model, _)| !matches!(model, 104 | 114))
        .collect()
}

fn inverters(point: &'static str) -> Vec<(u16, &'static str)> {
    [on_lines(100, point), on_lines(110, point)].concat()
}

fn meters(point: &'static str) -> Vec<(u16, &'static str)> {
    [on_lines(200, point), on_lines(210, point)].concat()
}

/// Several points of one model sum to another.
fn assert_sum(device: &Device, model: u16, parts: &[&str], whole: &str) -> Result<(), TestCaseError> {
    let Some(whole) = shown(device, model, whole) else {
        return Ok(());
    };
    let there: Vec<Shown> = parts
        .iter()
        .filter_map(|part| shown(device, model, part))
        .collect();
    if there.is_empty() {
        return Ok(());
    }
    let sum: f64 = there.iter().map(|part| part.thousandths).sum();
    // Each part is cut to a thousandth before it is shown.
    let doubt: f64 = whole.doubt + there.iter().map(|part| part.doubt + 1.0).sum::<f64>();
    prop_assert!(
        (sum - whole.thousandths).abs() <= doubt,
        "{model}: {parts:?} sum to {sum}, not {}",
        whole.thousandths
    );
    Ok(())
}

fn assert_inverter(home: &Home, role: Role, generation: Generation) -> Result<(), TestCaseError> {
    let device = &home.devices()[0];
    let (flow, energies) = (home.flow(), home.energies());
    let (power, injected, absorbed) = match role {
        Role::Inverter => (flow.pv, energies.pv, Energy::ZERO),
        Role::Battery => (flow.battery, energies.battery_discharge, energies.battery_charge),
        _ => (
            flow.pv + flow.battery,
            energies.inverter_injected,
            energies.inverter_absorbed,
        ),
    };
    let models = match generation {
        Generation::All => 3,
        _ => 1,
    };
    let power_points = [inverters("W"), vec![(701, "W")]].concat();
    prop_assert_eq!(assert_say(device, power, &power_points)?, models);
    let apparent = [inverters("VA"), vec![(701, "VA")]].concat();
    prop_assert_eq!(assert_say(device, power.abs(), &apparent)?, models);
    let given = [inverters("WH"), vec![(701, "TotWhInj"), (122, "ActWh")]].concat();
    let counters = models + usize::from(generation != Generation::Ieee1547);
    prop_assert_eq!(assert_say(device, injected.milliwatt_hours(), &given)?, counters);
    assert_say(device, absorbed.milliwatt_hours(), &[(701, "TotWhAbs")])?;

    let (volts, hertz) = home.grid();
    let voltage = ["PhVphA", "PhVphB", "PhVphC"].map(inverters).concat();
    let voltage = [
        voltage,
        vec![(701, "LNV"), (701, "VL1"), (701, "VL2"), (701, "VL3")],
    ]
    .concat();
    prop_assert!(assert_say(device, volts, &voltage)? >= models);
    let frequency = [inverters("Hz"), vec![(701, "Hz")]].concat();
    prop_assert_eq!(assert_say(device, hertz, &frequency)?, models);

    assert_sum(device, 701, &["WL1", "WL2", "WL3"], "W")?;
    assert_sum(device, 701, &["AL1", "AL2", "AL3"], "A")?;
    assert_sum(
        device,
        701,
        &["TotWhInjL1", "TotWhInjL2", "TotWhInjL3"],
        "TotWhInj",
    )?;
    assert_sum(
        device,
        701,
        &["TotWhAbsL1", "TotWhAbsL2", "TotWhAbsL3"],
        "TotWhAbs",
    )?;
    assert_sum(device, 714, &["Prt[0].DCW", "Prt[1].DCW"], "DCW")?;
    assert_sum(device, 714, &["Prt[0].DCWhInj", "Prt[1].DCWhInj"], "DCWhInj")?;
    for (model, _) in inverters("A") {
        assert_sum(device, model, &["AphA", "AphB", "AphC"], "A")?;
    }
    assert_agree(device, "DCW", &[inverters("DCW"), vec![(714, "DCW")]].concat())?;
    assert_agree(
        device,
        "TmpCab",
        &[inverters("TmpCab"), vec![(701, "TmpCab")]].concat(),
    )?;
    assert_agree(
        device,
        "panels' DC energy",
        &[(160, "module[0].DCWH"), (714, "Prt[0].DCWhInj")],
    )?;
    assert_agree(
        device,
        "rating",
        &[(120, "WRtg"), (121, "WMax"), (702, "WMaxRtg"), (702, "WMax")],
    )?;

    if role != Role::Inverter {
        let soc = [(124, "ChaState"), (713, "SoC"), (802, "SoC")];
        assert_say(device, home.soc_basis_points() * 10, &soc)?;
        assert_say(device, home.stored().milliwatt_hours(), &[(713, "WHAvail")])?;
        assert_say(device, flow.battery_dc, &[(802, "W")])?;
        assert_agree(
            device,
            "capacity",
            &[(120, "WHRtg"), (713, "WHRtg"), (802, "WHRtg")],
        )?;
        assert_agree(
            device,
            "charge rate",
            &[
                (120, "MaxChaRte"),
                (124, "WChaMax"),
                (702, "WChaRteMaxRtg"),
                (802, "WChaRteMax"),
            ],
        )?;
    }
    assert_states(device)
}

/// Points of several models show one quantity.
fn assert_agree(device: &Device, what: &str, points: &[(u16, &str)]) -> Result<(), TestCaseError> {
    let there: Vec<((u16, &str), Shown)> = points
        .iter()
        .filter_map(|point| Some((*point, shown(device, point.0, point.1)?)))
        .collect();
    for pair in there.windows(2) {
        let [(a, one), (b, other)] = pair else { continue };
        let apart = (one.thousandths - other.thousandths).abs();
        prop_assert!(
            apart <= one.doubt + other.doubt,
            "{what}: {a:?} and {b:?} are {apart} apart"
        );
    }
    Ok(())
}

/// `St` of 10x and 11x is `InvSt` of 701, in other numbers.
fn assert_states(device: &Device) -> Result<(), TestCaseError> {
    let old: Vec<i64> = inverters("St")
        .iter()
        .filter_map(|(model, point)| device.value(*model, point))
        .collect();
    prop_assert!(old.windows(2).all(|pair| pair[0] == pair[1]), "{old:?}");
    if let (Some(old), Some(new)) = (old.first(), device.value(701, "InvSt")) {
        let same = [(1, 0), (2, 1), (4, 3), (5, 4), (8, 7)];
        prop_assert!(same.contains(&(*old, new)), "St {old} and InvSt {new}");
    }
    Ok(())
}

fn assert_meter(home: &Home, generation: Generation, phases: Phases) -> Result<(), TestCaseError> {
    let device = &home.devices()[0];
    let (flow, energies, (volts, hertz)) = (home.flow(), home.energies(), home.grid());
    let models = if generation == Generation::All { 2 } else { 1 };
    prop_assert_eq!(assert_say(device, flow.grid, &meters("W"))?, models);
    prop_assert_eq!(
        assert_say(
            device,
            energies.grid_import.milliwatt_hours(),
            &meters("TotWhImp")
        )?,
        models
    );
    prop_assert_eq!(
        assert_say(
            device,
            energies.grid_export.milliwatt_hours(),
            &meters("TotWhExp")
        )?,
        models
    );
    prop_assert_eq!(assert_say(device, hertz, &meters("Hz"))?, models);
    let against_neutral = ["PhV", "PhVphA"].map(meters).concat();
    let expected = if phases == Phases::Delta { 0 } else { 2 * models };
    prop_assert_eq!(assert_say(device, volts, &against_neutral)?, expected);
    for (model, _) in meters("W") {
        assert_sum(device, model, &["WphA", "WphB", "WphC"], "W")?;
        assert_sum(device, model, &["AphA", "AphB", "AphC"], "A")?;
        assert_sum(
            device,
            model,
            &["TotWhImpPhA", "TotWhImpPhB", "TotWhImpPhC"],
            "TotWhImp",
        )?;
        assert_sum(
            device,
            model,
            &["TotWhExpPhA", "TotWhExpPhB", "TotWhExpPhC"],
            "TotWhExp",
        )?;
    }
    assert_agree(device, "current", &meters("A"))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn all_models_of_a_device_agree_with_one_another_and_with_the_physics(
        seed: u64,
        role in prop::sample::select(ROLES.to_vec()),
        generation in prop::sample::select(GENERATIONS.to_vec()),
        phases in prop::sample::select(PHASES.to_vec()),
        after in 0_i64..365 * 86_400,
        energy_scale in -2_i16..=2,
        // Finer, a power of more than 3.2 kW does not fit.
        power_scale in 0_i16..=2,
        soc_scale in -2_i16..=0,
        impedance_milliohms in 0_u32..500,
    ) {
        let mut spec = spec(seed, role, generation, phases);
        spec.devices[0].energy_scale = energy_scale;
        spec.devices[0].power_scale = power_scale;
        spec.devices[0].soc_scale = soc_scale;
        spec.grid.impedance_milliohms = impedance_milliohms;
        let mut home = Home::new(spec, NOON + after);
        home.advance_to(NOON + after + 2_000);
        if role == Role::Meter {
            assert_meter(&home, generation, phases)?;
        } else {
            assert_inverter(&home, role, generation)?;
        }
    }
}

/// A power finer than its register stays at the register's end and never turns round.
#[test]
fn a_power_that_does_not_fit_stays_at_its_end() {
    let mut spec = spec(5, Role::Inverter, Generation::All, Phases::Three);
    spec.pv.peak_watts = 9_000;
    spec.pv.nameplate_watts = 9_000;
    spec.devices[0].power_scale = -1;
    let mut home = Home::new(spec, NOON);
    home.advance_to(NOON + 3_600);
    let inverter = &home.devices()[0];
    assert!(home.flow().pv > 3_276_700, "{:?}", home.flow());
    assert_eq!(
        (inverter.value(103, "W"), inverter.value(701, "W")),
        (Some(0x7FFF), Some(0x7FFF))
    );
    let float = shown(inverter, 113, "W").unwrap();
    #[expect(clippy::cast_precision_loss, reason = "milliwatts of a roof")]
    let truth = home.flow().pv as f64;
    assert!(
        (float.thousandths - truth).abs() <= float.doubt,
        "a float carries it"
    );
}
