//! What a file may say, and what is said of a file that may not.

use super::*;

#[path = "parse_properties.rs"]
mod properties;
#[path = "sum_tests.rs"]
mod sums;

const HEADER: &str = r#"
name = "Test"
vendor = "Test"
models = ["T1"]
kind = "battery"
source = "a document"
tested_on_hardware = false
max_registers = 10
pause_ms = 0
"#;

/// A profile of the header, other lines of it, and points as (name, table, address, type, other lines).
fn profile(header: &str, points: &[(&str, &str, u32, &str, &str)], rest: &str) -> String {
    let mut text = format!("{HEADER}{header}\n");
    for (name, table, address, kind, more) in points {
        let lines =
            format!("table = \"{table}\"\naddress = {address}\ntype = \"{kind}\"\npoll = \"fast\"\n{more}");
        text.push_str(&format!("[[point]]\nname = \"{name}\"\n{lines}\n"));
    }
    text.push_str(rest);
    text
}

fn mistakes(text: &str) -> Vec<(usize, String, Problem)> {
    let errors = Profile::parse(text, "test.toml").expect_err("mistakes");
    errors
        .mistakes
        .into_iter()
        .map(|one| (one.line, one.key, one.problem))
        .collect()
}

fn keys(text: &str) -> Vec<String> {
    mistakes(text).into_iter().map(|(_, key, _)| key).collect()
}

#[test]
fn every_mistake_is_told_at_once_with_its_line_and_key() {
    let text = r#"name = "Test"
vendor = ""
models = []
kind = "toaster"
tested_on_hardware = true
max_registers = 200
pause_ms = 0.5
colour = "red"

[[point]]
name = "grid_powr"
table = "holding"
address = 70000
type = "u24"
scale = "0"
poll = "often"

[[point]]
name = "battery_soc"
table = "input"
address = 5
type = "u16"
scale = 0.1
unit = "V"
poll = "fast"
access = "rw"
"#;
    let found: Vec<(usize, String)> = mistakes(text)
        .into_iter()
        .map(|(line, key, _)| (line, key))
        .collect();
    let expected = [
        (1, "source"),
        (1, "tested_note"),
        (2, "vendor"),
        (3, "models"),
        (4, "kind"),
        (6, "max_registers"),
        (7, "pause_ms"),
        (8, "colour"),
        (11, "point[0].name"),
        (13, "point[0].address"),
        (14, "point[0].type"),
        (15, "point[0].scale"),
        (16, "point[0].poll"),
        (18, "point[1].min"),
        (18, "point[1].max"),
        (23, "point[1].scale"),
        (24, "point[1].unit"),
    ];
    assert_eq!(found, expected.map(|(line, key)| (line, key.to_owned())));
}

#[test]
fn a_mistake_reads_as_a_sentence_with_file_line_and_key() {
    let text = profile("", &[("vendor:a", "input", 3, "u16", "scale = \"0\"")], "");
    let told = Profile::parse(&text, "homes/meter.toml")
        .expect_err("a scale of zero")
        .to_string();
    assert_eq!(
        told,
        "homes/meter.toml, line 17, point[0].scale: 0 is out of range: write a scale above 0, at most 1000000000, \
         with at most 9 digits and as many places (for the other sign: sign = \"inverted\")"
    );
}

#[test]
fn a_float_is_no_exact_scale() {
    let text = profile("", &[("vendor:a", "input", 3, "u16", "scale = 0.1")], "");
    let found = mistakes(&text);
    assert!(matches!(
        &found[..],
        [(
            17,
            _,
            Problem::WrongType {
                found: "a float, which is not exact",
                ..
            }
        )]
    ));
}

#[test]
fn registers_beyond_the_last_are_refused_and_the_last_is_not() {
    let last = profile("", &[("vendor:a", "input", 65_535, "u16", "")], "");
    assert!(Profile::parse(&last, "t").is_ok());
    let beyond = profile("", &[("vendor:a", "input", 65_535, "u32", "")], "");
    assert!(matches!(
        mistakes(&beyond)[..],
        [(_, _, Problem::BeyondLastRegister { end: 65_536 })]
    ));
}

#[test]
fn points_that_share_registers_must_read_them_alike() {
    let two = |address, kind, more: &str| {
        let first = ("vendor:first", "input", 10, "u32", "");
        let text = profile("", &[first, ("vendor:second", "input", address, kind, more)], "");
        let errors = Profile::parse(&text, "t").err();
        errors.is_some_and(|errors| {
            assert!(
                matches!(
                    errors.mistakes[..],
                    [Mistake {
                        problem: Problem::Overlap { .. },
                        ..
                    }]
                ),
                "{errors}"
            );
            true
        })
    };
    assert!(!two(10, "u32", ""), "the same under another name");
    assert!(
        !two(10, "u32", "sign = \"inverted\""),
        "the same with another sign"
    );
    assert!(!two(12, "u16", ""), "a neighbour");
    assert!(two(11, "u16", ""), "half of it");
    assert!(two(9, "u32", ""), "torn");
    assert!(two(10, "i32", ""), "another type");
    assert!(two(10, "u32", "scale = \"0.1\""), "another scale");
    assert!(two(10, "u32", "word_order = \"little\""), "another order");
}

#[test]
fn a_clash_behind_a_long_point_is_found() {
    let points = [
        ("vendor:long", "input", 0, "string(9)", ""),
        ("vendor:inside", "input", 1, "u16", ""),
        ("vendor:inside_too", "input", 8, "u16", ""),
        ("vendor:after", "input", 9, "u16", ""),
    ];
    assert_eq!(
        keys(&profile("", &points, "")),
        ["point[1].address", "point[2].address"]
    );
}

#[test]
fn names_are_unique_and_points_fit_a_request() {
    let points = [
        ("vendor:a", "input", 0, "string(11)", ""),
        ("vendor:a", "holding", 0, "u16", ""),
    ];
    let found = mistakes(&profile("", &points, ""));
    assert!(
        matches!(found[0].2, Problem::LongerThanRequest { length: 11, max: 10 }),
        "{found:?}"
    );
    assert!(
        matches!(found[1].2, Problem::DuplicateName { line: 11, .. }),
        "{found:?}"
    );
}

#[test]
fn a_quantity_has_its_kind_of_value() {
    let wrong =
        |name, kind, more| keys(&profile("", &[(name, "input", 0, kind, more)], "")) == ["point[0].unit"];
    assert!(wrong("grid_power", "i16", "unit = \"kWh\""));
    assert!(wrong("grid_power", "i16", ""));
    assert!(wrong("state", "u16", "unit = \"W\""));
    assert!(wrong("model", "u32", ""));
    assert!(wrong("serial_number", "f32", ""));
    assert!(wrong("serial_number", "u32", "unit = \"W\""));
    let numeric = profile("", &[("serial_number", "input", 0, "u64", "")], "");
    assert!(Profile::parse(&numeric, "t").is_ok());
    assert!(wrong("pv_energy", "string(4)", ""));
}

#[test]
fn what_says_nothing_for_a_type_is_a_mistake() {
    let found = keys(&profile(
        "",
        &[("vendor:a", "input", 0, "u16", "word_order = \"little\"")],
        "",
    ));
    assert_eq!(found, ["point[0].word_order"]);
    let found = keys(&profile(
        "",
        &[(
            "model",
            "input",
            0,
            "string(4)",
            "scale = \"2\"\nnot_available = [0]",
        )],
        "",
    ));
    assert_eq!(found, ["point[0].scale", "point[0].not_available"]);
    let found = keys(&profile(
        "",
        &[("vendor:a", "input", 0, "u16", "not_available = [0x10000]")],
        "",
    ));
    assert_eq!(found, ["point[0].not_available"]);
}

#[test]
fn the_greatest_raw_number_can_be_a_sentinel() {
    let text = profile(
        "",
        &[(
            "vendor:a",
            "input",
            0,
            "u64",
            "not_available = [0xFFFFFFFFFFFFFFFF]",
        )],
        "",
    );
    let profile = Profile::parse(&text, "t").expect("64 bits are a raw number");
    assert_eq!(profile.points[0].decode(&[0xFFFF; 4]), Ok(Value::NotAvailable));
}

const SETTING: (&str, &str, u32, &str, &str) = (
    "vendor:set",
    "holding",
    0,
    "u16",
    "unit = \"W\"\naccess = \"rw\"\nmin = 0\nmax = 100",
);
const READING: (&str, &str, u32, &str, &str) = ("vendor:see", "input", 0, "u16", "unit = \"W\"");
const RELEASE: &str = "[control.release]\nwrite = [{ point = \"vendor:set\", value = 0 }]\n";

fn with_control(recipe: &str) -> Vec<(String, Problem)> {
    let text = profile(
        "",
        &[SETTING, READING],
        &format!("[control.force_charge]\n{recipe}\n{RELEASE}"),
    );
    match Profile::parse(&text, "t") {
        Ok(_) => Vec::new(),
        Err(errors) => errors
            .mistakes
            .into_iter()
            .map(|one| (one.key, one.problem))
            .collect(),
    }
}

fn with_write(write: &str) -> Vec<(String, Problem)> {
    with_control(&format!("reverts_after = \"never\"\nwrite = [{{ {write} }}]"))
}

#[test]
fn a_recipe_writes_only_what_may_be_written() {
    assert_eq!(with_write("point = \"vendor:set\", value = \"{watts}\""), []);
    assert_eq!(
        with_write("address = 9, type = \"u16\", scale = \"0.1\", value = \"{percent}\""),
        []
    );
    let one = |write: &str| match &with_write(write)[..] {
        [(key, problem)] => (key.clone(), problem.clone()),
        other => panic!("{write}: {other:?}"),
    };
    assert!(matches!(
        one("point = \"vendor:see\", value = 1").1,
        Problem::ReadOnlyPoint { .. }
    ));
    assert!(matches!(
        one("point = \"vendor:none\", value = 1").1,
        Problem::UnknownPoint { .. }
    ));
    assert!(matches!(
        one("point = \"vendor:set\", value = 101").1,
        Problem::Literal(EncodeError::OutOfBounds { .. })
    ));
    assert!(matches!(
        one("point = \"vendor:set\", value = \"0.5\"").1,
        Problem::Literal(EncodeError::NotAStep { .. })
    ));
    assert!(matches!(
        one("point = \"vendor:set\", value = \"{percent}\"").1,
        Problem::ArgumentUnit { .. }
    ));
    assert!(matches!(
        one("point = \"vendor:set\", value = \"{volts}\"").1,
        Problem::UnknownWord { .. }
    ));
    assert!(matches!(
        one("point = \"vendor:set\", address = 3, value = 1").1,
        Problem::OneOf { .. }
    ));
    assert!(matches!(
        one("point = \"vendor:set\", scale = 3, value = 1").1,
        Problem::UnknownKey { .. }
    ));
    assert!(matches!(
        one("address = 65535, type = \"u32\", value = 1").1,
        Problem::BeyondLastRegister { .. }
    ));
    assert_eq!(
        one("point = \"vendor:set\"").0,
        "control.force_charge.write[0].value"
    );
}

#[test]
fn a_recipe_is_not_blamed_for_a_point_with_a_mistake() {
    let broken = ("vendor:set", "holding", 0, "u17", "");
    let rest = "[control.release]\nwrite = [{ point = \"vendor:set\", value = 0 }]";
    assert_eq!(keys(&profile("", &[broken, READING], rest)), ["point[0].type"]);
}

#[test]
fn a_control_says_how_it_ends() {
    let write = "write = [{ point = \"vendor:set\", value = \"{watts}\" }]";
    let one = |recipe: &str| match &with_control(&format!("{recipe}\n{write}"))[..] {
        [(_, problem)] => problem.clone(),
        other => panic!("{recipe}: {other:?}"),
    };
    assert!(matches!(one(""), Problem::Missing { .. }));
    assert!(matches!(
        one("reverts_after = \"soon\""),
        Problem::UnknownWord { .. }
    ));
    assert!(matches!(
        one("reverts_after = { keep_alive_s = 0 }"),
        Problem::OutOfRange { .. }
    ));
    assert!(matches!(one("reverts_after = {}"), Problem::OneOf { .. }));
    assert!(matches!(
        one("reverts_after = { timer = \"vendor:set\" }"),
        Problem::ArgumentUnit { .. }
    ));
    assert_eq!(
        with_control(&format!("reverts_after = {{ keep_alive_s = 60 }}\n{write}")),
        []
    );
    let text = profile(
        "",
        &[SETTING],
        &format!("[control.force_charge]\nreverts_after = \"never\"\n{write}"),
    );
    assert!(matches!(mistakes(&text)[..], [(_, _, Problem::NoRelease)]));
}

#[test]
fn a_timer_must_be_written_by_its_recipe() {
    let timer = (
        "control_timer",
        "holding",
        1,
        "u16",
        "unit = \"s\"\naccess = \"rw\"\nmin = 0\nmax = 100",
    );
    let recipe = |writes: &str| {
        let head = "[control.force_charge]\nreverts_after = { timer = \"control_timer\" }";
        profile(
            "",
            &[SETTING, timer],
            &format!("{head}\nwrite = [{writes}]\n{RELEASE}"),
        )
    };
    let set = "{ point = \"vendor:set\", value = \"{watts}\" }";
    let count = "{ point = \"control_timer\", value = \"{seconds}\" }";
    assert!(Profile::parse(&recipe(&format!("{set}, {count}")), "t").is_ok());
    assert!(matches!(
        mistakes(&recipe(set))[..],
        [(_, _, Problem::TimerNotWritten { .. })]
    ));
}

#[test]
fn a_file_of_any_size_has_a_bounded_answer() {
    let huge = "x".repeat(FILE_BYTES_MAX + 1);
    assert!(matches!(
        mistakes(&huge)[..],
        [(1, _, Problem::FileTooLarge { .. })]
    ));
    let many = profile("", &[("vendor:a", "input", 0, "u16", ""); POINTS_MAX + 1], "");
    assert!(matches!(
        mistakes(&many)[..],
        [(_, _, Problem::PointCount(1_001, POINTS_MAX))]
    ));
    let junk = "=\n".repeat(FILE_BYTES_MAX / 2);
    assert_eq!(mistakes(&junk).len(), MISTAKES_MAX + 1);
}
