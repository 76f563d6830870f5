//! `docs/device-profiles.md` says what the code does, and lists the profiles that are shipped.
//!
//! `UPDATE_DOCS=1 cargo test -p gridtally-registers --test documentation` makes the list anew.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;

use gridtally_registers::profile::{Action, DeviceKind, Measure, Profile, Quantity, Reversion};

const DOCUMENT: &str = include_str!("../../docs/device-profiles.md");

fn between<'d>(start: &str, end: &str) -> &'d str {
    let (_, rest) = DOCUMENT.split_once(start).expect("the start is there");
    rest.split_once(end).expect("the end is there").0
}

#[test]
fn the_example_is_a_profile() {
    let example = between("```toml\n", "```");
    let profile =
        Profile::parse(example, "docs/device-profiles.md").unwrap_or_else(|errors| panic!("{errors}"));
    assert_eq!((profile.points.len(), profile.controls.len()), (3, 2));
}

#[test]
fn the_vocabulary_is_the_one_of_the_code() {
    let row = |quantity: &Quantity| {
        let measure = match quantity.measure() {
            Measure::Text => "text".to_owned(),
            Measure::Identity => "text, or whole number without unit".to_owned(),
            Measure::Code => "number without unit".to_owned(),
            Measure::In(units) => units
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
                .join(", "),
        };
        format!("| `{}` | {measure} | {} |\n", quantity.word(), quantity.meaning())
    };
    let rows: String = Quantity::ALL.iter().map(row).collect();
    let expected = format!("| Name | Unit | Meaning |\n|---|---|---|\n{rows}");
    let written = between("<!-- vocabulary -->\n", "<!-- /vocabulary -->");
    assert_eq!(
        written, expected,
        "put this in docs/device-profiles.md:\n{expected}"
    );
}

/// The sum of the document stands in a profile with its parts.
#[test]
fn the_example_of_a_sum_can_be_read() {
    let (_, sums) = DOCUMENT.split_once("## `[[sum]]`").expect("the section");
    let (_, sum) = sums.split_once("```toml\n").expect("an example");
    let (sum, _) = sum.split_once("```").expect("its end");
    let example = between("```toml\n", "```");
    let part = |name, address| {
        let place = format!("table = \"input\"\naddress = {address}\ntype = \"u16\"");
        format!("[[point]]\nname = \"vendor:{name}\"\n{place}\nunit = \"W\"\npoll = \"fast\"\n")
    };
    let parts = [part("charge_power", 1), part("discharge_power", 2)].concat();
    let text = format!("{example}\n{parts}\n{sum}");
    let profile =
        Profile::parse(&text, "docs/device-profiles.md").unwrap_or_else(|errors| panic!("{errors}"));
    assert!(profile.sum(Quantity::BatteryPower).is_some());
}

#[test]
fn the_table_of_families_is_the_one_of_the_files() {
    let (begin, end) = ("<!-- families -->\n", "<!-- /families -->");
    let written = between(begin, end);
    let expected = families();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/device-profiles.md");
        let renewed = DOCUMENT.replace(
            &format!("{begin}{written}{end}"),
            &format!("{begin}{expected}{end}"),
        );
        std::fs::write(path, renewed).expect("the document can be written");
    } else {
        assert!(
            written == expected,
            "docs/device-profiles.md differs from config/device-profiles: \
             UPDATE_DOCS=1 cargo test -p gridtally-registers --test documentation"
        );
    }
}

fn families() -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../config/device-profiles");
    let entries = std::fs::read_dir(folder).expect("the folder is in the repository");
    let mut files: Vec<_> = entries.map(|entry| entry.expect("an entry").path()).collect();
    files.sort();
    let mut table = String::from(
        "| File | Vendor | Models | Kind | Measured | Controls | Returns | Sources | Tried on the device |\n\
         |---|---|---|---|---|---|---|---|---|\n",
    );
    for file in files {
        let text = std::fs::read_to_string(&file).expect("a text");
        let name = file
            .file_name()
            .and_then(|name| name.to_str())
            .expect("a plain name");
        let profile = Profile::parse(&text, name).unwrap_or_else(|errors| panic!("{errors}"));
        let cells = [
            format!("`{name}`"),
            profile.vendor.clone(),
            profile.models.join(", "),
            kind(profile.kind).to_owned(),
            measured(&profile),
            controls(&profile),
            returns(&profile),
            sources(&profile),
            profile
                .tested_on_hardware
                .clone()
                .unwrap_or_else(|| "no".to_owned()),
        ];
        let _ = writeln!(table, "| {} |", cells.join(" | "));
    }
    table
}

fn kind(kind: DeviceKind) -> &'static str {
    match kind {
        DeviceKind::Inverter => "inverter",
        DeviceKind::Battery => "battery",
        DeviceKind::Hybrid => "hybrid",
        DeviceKind::Meter => "meter",
    }
}

/// What settlement and control need; voltages and the like are in the file.
fn measured(profile: &Profile) -> String {
    use Quantity as Q;
    let groups: [(&str, Q, &[Q]); 5] = [
        ("grid", Q::GridPower, &[Q::GridImportEnergy, Q::GridExportEnergy]),
        ("panels", Q::PvPower, &[Q::PvEnergy]),
        (
            "battery",
            Q::BatteryPower,
            &[Q::BatteryChargeEnergy, Q::BatteryDischargeEnergy],
        ),
        ("inverter", Q::AcPower, &[Q::AcEnergy]),
        ("house", Q::LoadPower, &[]),
    ];
    let has = |quantity: Q| profile.quantity(quantity).is_some() || profile.sum(quantity).is_some();
    let mut parts = Vec::new();
    for (name, power, counters) in groups {
        let charge = name == "battery" && has(Q::BatterySoc);
        let counts = !counters.is_empty() && counters.iter().all(|counter| has(*counter));
        let what = [(has(power), "power"), (counts, "counters"), (charge, "charge")];
        let what: Vec<&str> = what
            .into_iter()
            .filter_map(|(is, word)| is.then_some(word))
            .collect();
        if !what.is_empty() {
            parts.push(format!("{name}: {}", what.join(", ")));
        }
    }
    parts.join("; ")
}

fn controls(profile: &Profile) -> String {
    let actions = profile
        .controls
        .keys()
        .filter(|action| **action != Action::Release);
    let words: Vec<String> = actions.map(|action| action.word().replace('_', " ")).collect();
    if words.is_empty() {
        "–".to_owned()
    } else {
        words.join(", ") + unproven(profile)
    }
}

fn unproven(profile: &Profile) -> &'static str {
    if profile.tested_on_hardware.is_some() {
        ""
    } else {
        " (unproven)"
    }
}

fn returns(profile: &Profile) -> String {
    let ways: BTreeSet<String> = profile
        .controls
        .values()
        .filter_map(|control| control.reverts_after.as_ref())
        .map(|way| match way {
            Reversion::Timer(point) => format!("timer {point}"),
            Reversion::KeepAlive { seconds } => format!("{seconds} s of silence"),
            Reversion::Never => "never".to_owned(),
        })
        .collect();
    if ways.is_empty() {
        "–".to_owned()
    } else {
        ways.into_iter().collect::<Vec<_>>().join("; ")
    }
}

/// The addresses of the sources, numbered.
fn sources(profile: &Profile) -> String {
    let words = profile.source.split([' ', '(', ')', ',', ';']);
    let addresses = words
        .map(|word| word.trim_end_matches(':'))
        .filter(|word| word.starts_with("http"));
    let links: Vec<String> = (1..)
        .zip(addresses)
        .map(|(n, address)| format!("[{n}]({address})"))
        .collect();
    links.join(", ")
}
