//! What stands in, in a settlement, for a site that has no baseline; and the form in which statements hold baselines.

mod hourly;
mod neighbourhood;

use gridtally_settlement::rules::baseline::{BaselineRule, Outcome};
use gridtally_settlement::rules::program::Program;
use gridtally_settlement::rules::statement::{SiteStatus, Statement, settle};
use hourly::{Site, explanation, friday, july, preset_with, refusal};

#[test]
fn a_site_without_a_baseline_is_settled_by_the_programs_fallback_and_the_statement_says_so() {
    let mut inputs = neighbourhood::steady(2);
    let day = inputs.event.start.checked_add(-10 * 3600).unwrap();
    inputs.sites[1].readings.retain(|r| r.interval.start() >= day);
    let without = settle(&inputs).unwrap();
    assert_eq!(without.sites[1].status, SiteStatus::NoBaseline);
    assert!(
        !String::from_utf8(without.to_bytes())
            .unwrap()
            .contains("fallback")
    );
    inputs.program.baseline_fallback = Some(BaselineRule::preset("naesb_style_meter_before_after").unwrap());
    let with = settle(&inputs).unwrap();
    assert_eq!(with.sites[0], without.sites[0]);
    // 1 kWh in each half-hour before, 0.5 in the event's four: as the site that has its days.
    assert_eq!(with.sites[1].totals, with.sites[0].totals);
    let e = with.sites[1].baseline.explanation().unwrap();
    assert_eq!(
        e.instead_of.as_ref().map(|none| none.rule.as_str()),
        Some("caiso_style_10_10")
    );
    assert_eq!(
        with.program.baseline_fallback.as_ref().map(|r| r.id.as_str()),
        Some("naesb_style_meter_before_after")
    );
    assert_eq!(Statement::from_bytes(&with.to_bytes()).unwrap(), with);
}

#[test]
fn a_program_names_its_fallback_and_reaches_as_far_back_as_the_further_rule() {
    let text = include_str!("../../config/programs/evening-flex.toml");
    let plain = Program::from_toml("a", text).unwrap();
    assert_eq!((plain.lookback_days(), &plain.baseline_fallback), (45, &None));
    let more = text.replace(
        "baseline = \"caiso_style_10_10\"\n",
        "baseline = \"caiso_style_10_10\"\nbaseline_fallback = \"dfs_style_bl01\"\n",
    );
    let program = Program::from_toml("a", &more).unwrap();
    assert_eq!(program.lookback_days(), 60);
    assert_eq!(
        program.baseline_fallback.map(|r| r.id).as_deref(),
        Some("dfs_style_bl01")
    );
}

/// Statements are kept and hashed: their form outlives new parameters.
#[test]
fn the_form_in_which_a_statement_holds_a_baseline_does_not_change() {
    let rule = preset_with(
        "caiso_style_10_10",
        &[(
            "look_for = 10\nkeep = 10\nminimum = 5",
            "look_for = 1\nkeep = 1\nminimum = 1",
        )],
    );
    let outcome = Site::with(july([(16, 2, 2), (17, 1, 3)])).under(&rule, &friday());
    let mut e = explanation(outcome);
    e.intervals.truncate(1);
    let expected = concat!(
        r#"{"rule":"caiso_style_10_10","day":"2026-07-17","day_type":"weekday","#,
        r#""candidates":[{"date":"2026-07-16","verdict":"chosen"}],"#,
        r#""adjustment":{"kind":"ratio","intervals":3,"metered":"9000000","average":"6000000","uncapped":"3/2","#,
        r#""applied":"6/5","capped":true,"undefined":false},"#,
        r#""intervals":[{"start":"2026-07-17T17:00:00Z","clock":"17:00","readings":1,"raw":"2000000","#,
        r#""exact":"2400000","rounded":2400000}]}"#,
    );
    assert_eq!(serde_json::to_string(&e).unwrap(), expected);
    let mut none = refusal(Site::with(july([(17, 1, 3)])).under(&rule, &friday()));
    none.candidates.truncate(2);
    let expected = concat!(
        r#"{"no_baseline":{"rule":"caiso_style_10_10","day":"2026-07-17","day_type":"weekday","lacking":"days","#,
        r#""found":0,"needed":1,"candidates":[{"date":"2026-07-16","verdict":{"incomplete":{"missing":24}}},"#,
        r#"{"date":"2026-07-15","verdict":{"incomplete":{"missing":24}}}]}}"#,
    );
    assert_eq!(
        serde_json::to_string(&Outcome::NoBaseline(none)).unwrap(),
        expected
    );
}
