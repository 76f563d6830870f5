//! Sums of powers, and writes that are one request.

use rust_decimal::Decimal;

use super::super::*;
use super::{keys, mistakes, profile};

const PARTS: [(&str, &str, u32, &str, &str); 4] = [
    ("vendor:charge", "input", 0, "u16", "unit = \"kW\""),
    ("vendor:discharge", "input", 1, "u16", "unit = \"W\""),
    ("vendor:voltage", "input", 2, "u16", "unit = \"V\""),
    ("load_power", "input", 3, "u16", "unit = \"W\""),
];

fn with_sum(sum: &str) -> String {
    profile("", &PARTS, &format!("[[sum]]\n{sum}"))
}

#[test]
fn a_sum_adds_and_takes_off_and_is_none_without_one_of_its_parts() {
    let text = with_sum(
        "name = \"battery_power\"\nplus = [\"vendor:discharge\"]\nminus = [\"vendor:charge\"]\nnote = \"n\"",
    );
    let profile = Profile::parse(&text, "t").unwrap_or_else(|errors| panic!("{errors}"));
    let sum = profile.sum(Quantity::BatteryPower).expect("the sum");
    assert_eq!(profile.sum(Quantity::GridPower), None);
    assert_eq!(profile.quantity(Quantity::BatteryPower), None);
    let of = |charge: Option<Value>| {
        sum.watts(&profile, |point| match point.name.to_string().as_str() {
            "vendor:charge" => charge.clone(),
            _ => Some(Value::Number(20.into())),
        })
    };
    assert_eq!(
        of(Some(Value::Number(2.into()))),
        Some(Decimal::from(-1_980)),
        "2 kW"
    );
    assert_eq!(of(Some(Value::NotAvailable)), None);
    assert_eq!(of(Some(Value::Text("2".into()))), None);
    assert_eq!(of(None), None);
    assert_eq!(sum.watts(&profile, |_| Some(Value::Number(Decimal::MAX))), None);
}

#[test]
fn an_input_that_is_not_there_counts_nothing_where_the_sum_says_so() {
    let text =
        with_sum("name = \"pv_power\"\nplus = [\"vendor:discharge\", \"load_power\"]\nabsent_is_zero = true");
    let profile = Profile::parse(&text, "t").unwrap_or_else(|errors| panic!("{errors}"));
    let sum = profile.sum(Quantity::PvPower).expect("the sum");
    let of = |first: Option<Value>, other: Value| {
        sum.watts(&profile, |point| match point.name {
            PointName::Vendor(_) => first.clone(),
            PointName::Quantity(_) => Some(other.clone()),
        })
    };
    let watts = |watts: i64| Value::Number(watts.into());
    assert_eq!(of(Some(Value::NotAvailable), watts(7)), Some(7.into()));
    assert_eq!(of(Some(watts(5)), watts(7)), Some(12.into()));
    assert_eq!(of(None, watts(7)), None, "not read");
    assert_eq!(of(Some(Value::NotAvailable), Value::NotAvailable), None);
}

#[test]
fn what_is_wrong_in_a_sum_is_told_with_its_key() {
    for (sum, expected) in [
        ("name = \"pv_energy\"\nplus = [\"load_power\"]", "sum[0].name"),
        ("name = \"export_limit\"\nplus = [\"load_power\"]", "sum[0].name"),
        ("name = \"grid_power\"", "sum[0].plus"),
        ("name = \"grid_power\"\nplus = [\"load_power\"]", "sum[0].plus"),
        (
            "name = \"grid_power\"\nplus = [\"load_power\", \"load_power\"]",
            "sum[0].plus",
        ),
        (
            "name = \"grid_power\"\nplus = [\"load_power\", \"vendor:voltage\"]",
            "sum[0].plus",
        ),
        (
            "name = \"grid_power\"\nplus = [\"load_power\", \"vendor:nothing\"]",
            "sum[0].plus",
        ),
        (
            "name = \"grid_power\"\nplus = [\"load_power\"]\nminus = [\"load\"]",
            "sum[0].minus",
        ),
        (
            "name = \"load_power\"\nplus = [\"vendor:charge\", \"vendor:discharge\"]",
            "sum[0].name",
        ),
        (
            "name = \"grid_power\"\nplus = [\"vendor:charge\", \"load_power\"]\nscale = 2",
            "sum[0].scale",
        ),
    ] {
        assert_eq!(keys(&with_sum(sum)), [expected], "{sum}");
    }
    let sum = "name = \"grid_power\"\nplus = [\"vendor:charge\", \"load_power\"]\n";
    assert_eq!(keys(&with_sum(&format!("{sum}[[sum]]\n{sum}"))), ["sum[1].name"]);
    let paces = with_sum(sum).replacen("poll = \"fast\"", "poll = \"slow\"", 1);
    assert!(matches!(&mistakes(&paces)[..], [(_, _, Problem::NotAPart { name })] if name == "load_power"));
}

fn with_control(writes: &str) -> String {
    let setting = "access = \"rw\"\nmin = 0\nmax = 9\nunit = \"W\"";
    let points: Vec<_> = ["vendor:a", "vendor:b", "vendor:c"]
        .into_iter()
        .zip([10, 11, 20])
        .map(|(name, address)| (name, "holding", address, "u16", setting))
        .collect();
    let release = "[control.release]\nwrite = [{ point = \"vendor:a\", value = 0 }]";
    profile(
        "",
        &points,
        &format!("[control.force_charge]\nreverts_after = \"never\"\n{writes}\n{release}"),
    )
}

#[test]
fn writes_to_registers_in_a_row_are_one_request_where_the_recipe_says_so() {
    let writes = "write = [{ point = \"vendor:a\", value = 1 }, { point = \"vendor:b\", value = \"{watts}\" }, \
                  { point = \"vendor:c\", value = 3 }, { point = \"vendor:a\", value = 4 }]";
    let requests = |joined: &str| {
        let text = with_control(&format!("{joined}{writes}"));
        let profile = Profile::parse(&text, "t").unwrap_or_else(|errors| panic!("{errors}"));
        let watts = Some(Decimal::from(7));
        let arguments = Arguments {
            watts,
            ..Arguments::default()
        };
        let control = &profile.controls[&Action::ForceCharge];
        let writes = control.render(&arguments).expect("a recipe");
        assert_eq!(writes.len(), control.writes.len());
        control
            .requests(writes)
            .into_iter()
            .map(|write| (write.address, write.registers))
            .collect::<Vec<_>>()
    };
    assert_eq!(
        requests("joined = true\n"),
        [(10, vec![1, 7]), (20, vec![3]), (10, vec![4])]
    );
    assert_eq!(
        requests(""),
        [(10, vec![1]), (11, vec![7]), (20, vec![3]), (10, vec![4])]
    );
    assert_eq!(requests("joined = false\n"), requests(""));
}

#[test]
fn joined_without_registers_in_a_row_is_a_misunderstanding() {
    let apart =
        "joined = true\nwrite = [{ point = \"vendor:a\", value = 1 }, { point = \"vendor:c\", value = 1 }]";
    let found = mistakes(&with_control(apart));
    assert!(matches!(&found[..], [(_, key, Problem::NothingToJoin)] if key == "control.force_charge.joined"));
    let word = "joined = 1\nwrite = [{ point = \"vendor:a\", value = 1 }]";
    assert_eq!(keys(&with_control(word)), ["control.force_charge.joined"]);
}
