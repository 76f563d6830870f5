//! `docs/device-profiles.md` says what the code does.

use gridtally_registers::profile::{Measure, Profile, Quantity};

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
