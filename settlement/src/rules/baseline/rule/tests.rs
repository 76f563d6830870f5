use super::*;

#[test]
fn every_preset_reads_and_bears_its_own_name() {
    for (name, _) in PRESETS {
        assert_eq!(BaselineRule::preset(name).unwrap().id, *name);
    }
}

#[test]
fn an_unknown_preset_is_refused_with_the_known_names() {
    let error = BaselineRule::preset("caiso").unwrap_err().to_string();
    assert!(
        error.contains("\"caiso\"") && error.contains("caiso_style_10_10"),
        "{error}"
    );
}

#[test]
fn all_mistakes_are_named_at_once_with_their_lines() {
    let text = r#"id = "Bad Name"
lookback_days = 0
select = "some"
weekday = { look_for = 10, keep = 11, minimum = 5 }
other = { look_for = 4, keep = 4 }
colour = "green"
[adjustment]
kind = "ratio"
cap = ["1.2", "0.8"]
windows = [{ anchor = "before_start", from_minutes = 60, to_minutes = 240, extra = 1 }]
"#;
    let error = BaselineRule::from_toml("mine.toml", text).unwrap_err();
    let found: Vec<_> = error.mistakes.iter().map(|m| (m.line, m.key.as_str())).collect();
    let expected = [
        (1, "id"),
        (2, "lookback_days"),
        (3, "select"),
        (4, "weekday.keep"),
        (5, "other.minimum"),
        (6, "colour"),
        (9, "adjustment.cap"),
        (10, "adjustment.windows[0].to_minutes"),
        (10, "adjustment.windows[0].extra"),
    ];
    assert_eq!(found, expected, "{error}");
}

#[test]
fn the_hash_depends_on_what_a_rule_does() {
    let rule = BaselineRule::preset("caiso_style_10_10").unwrap();
    let mut other = rule.clone();
    assert_eq!(rule.hash(), other.hash());
    other.lookback_days = 44;
    assert_ne!(rule.hash(), other.hash());
}

/// Statements that are out there name these hashes.
#[test]
fn the_first_presets_keep_their_hashes() {
    let hashes = [
        (
            "caiso_style_10_10",
            "46ea85f74d2ca848344b2ff5f86147828fa199c0004f22af652b9f7f6efb7210",
        ),
        (
            "caiso_style_5_10_res",
            "e562a06daf64d88e45e6862b74bc1480d80f25788277882265353d43ed530f67",
        ),
        (
            "dfs_style_bl01",
            "05013c7ebe81f57d5335c44be6e261faf51cfc92c0304f3974232e751937ab05",
        ),
        (
            "ercot_style_mid8_10",
            "ee9e59168b1b713745388d2857a671f690bae24dcda06b388a3a51caa1e96327",
        ),
        (
            "miso_style_10_10",
            "4e165ffae35093d4fcf61c6bf661cd02f20702f60f27858e6f9753f542621445",
        ),
        (
            "nyiso_style_5_10",
            "7c99b6a80247f66461a93212fb02d9db1afa8e27afd33ceed907058962397731",
        ),
        (
            "pjm_style_h4o5_saa",
            "64b94d6babba319130b3e810c67a934f01c2669ea24383dc4a5dfd632018ae50",
        ),
        (
            "unadj_10_10",
            "f4bbcdc05a920789e28f5f921e6b13af6343de2fb3dd8009a08773110047eb86",
        ),
    ];
    for (name, hash) in hashes {
        assert_eq!(BaselineRule::preset(name).unwrap().hash(), hash, "{name}");
    }
}

#[test]
fn types_of_days_that_overlap_or_weights_that_do_not_fit_are_refused() {
    let text = r#"id = "mine"
method = "generator_output"
exports = "excluded"
charging = "zero"
sample_minimum = 2
lookback_days = 30
select = "highest"
sufficiency = { days = 4, of = 31, share = "0.8" }
[[day_types]]
name = "a"
on = ["monday", "holiday"]
look_for = 4
keep = 2
minimum = 2
weights = ["0.5", "0.4"]
[[day_types]]
name = "b"
on = ["sunday", "monday"]
look_for = 4
keep = 2
minimum = 2
weights = ["1"]
"#;
    let error = BaselineRule::from_toml("mine.toml", text).unwrap_err();
    let found: Vec<_> = error.mistakes.iter().map(|m| (m.line, m.key.as_str())).collect();
    let expected = [
        (5, "sample_minimum"),
        (8, "sufficiency"),
        (15, "day_types[0].weights"),
        (16, "day_types[1]"),
        (22, "day_types[1].weights"),
    ];
    assert_eq!(found, expected, "{error}");
}

#[test]
fn bounds_that_contradict_themselves_are_refused() {
    let with = |adjustment: &str| {
        let text = format!(
            "id = \"mine\"\nmethod = \"control_group\"\ncontrols_minimum = 1\n[adjustment]\nkind = \"additive\"\n\
             windows = [{{ anchor = \"before_notification\", from_minutes = 60, to_minutes = 0 }}]\n{adjustment}"
        );
        BaselineRule::from_toml("mine.toml", &text).map_err(|e| e.to_string())
    };
    assert!(with("").is_ok());
    for (adjustment, problem) in [
        ("cap_kw = [\"0.5\", \"1\"]", "does not include 0"),
        ("cap_kw = [\"1\", \"-1\"]", "greater than its second"),
        ("cap_kw = [\"-1\"]", "is not a pair"),
        ("cap_share = \"1.5\"", "is not above 0 and up to 1"),
        (
            "cap_kw = [\"-1\", \"1\"]\ncap_share = \"0.2\"",
            "give one of them",
        ),
        ("cap = [\"0.8\", \"1.2\"]", "is not known here"),
    ] {
        let error = with(adjustment).unwrap_err();
        assert!(error.contains(problem), "{adjustment}: {error}");
    }
}
