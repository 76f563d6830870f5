//! No text makes the reader panic, and requests keep their bounds.

use proptest::prelude::*;

use super::super::*;
use super::profile;

const SHIPPED: [&str; 5] = [
    include_str!("../../../config/device-profiles/goodwe-et.toml"),
    include_str!("../../../config/device-profiles/sma-smart-energy.toml"),
    include_str!("../../../config/device-profiles/eastron-sdm630.toml"),
    include_str!("../../../config/device-profiles/sungrow-shxrt.toml"),
    include_str!("../../../config/device-profiles/huawei-sun2000.toml"),
];

proptest! {
    #[test]
    fn no_text_makes_the_reader_panic(text in "\\PC{0,300}|([a-z_\\[\\]{}=\"0-9.,\n ]{0,300})") {
        prop_assert!(Profile::parse(&text, "any").is_err(), "no such text is a profile");
    }

    #[test]
    fn no_change_of_a_real_profile_makes_the_reader_panic(
        which in 0..SHIPPED.len(),
        edits in prop::collection::vec((any::<prop::sample::Index>(), 0_usize..12, edit()), 1..8),
    ) {
        let mut characters: Vec<char> = SHIPPED[which].chars().collect();
        for (place, length, new) in edits {
            let start = place.index(characters.len());
            let end = (start + length).min(characters.len());
            characters.splice(start..end, new.chars());
        }
        let text: String = characters.into_iter().collect();
        if let Err(errors) = Profile::parse(&text, "edited") {
            let lines = text.lines().count().max(1);
            prop_assert!(!errors.mistakes.is_empty());
            prop_assert!(errors.mistakes.iter().all(|one| (1..=lines + 1).contains(&one.line)), "{}", errors);
        }
    }

    #[test]
    fn requests_read_every_point_once_within_their_bounds(
        starts in prop::collection::btree_set(0_u32..60, 1..20),
        request_max in 4_u16..12,
        gap_ok in 0_u16..4,
    ) {
        let names: Vec<String> = (0..starts.len()).map(|position| format!("vendor:p{position}")).collect();
        let points: Vec<_> = starts
            .iter()
            .zip(&names)
            .map(|(start, name)| (name.as_str(), "input", start * 4, if start % 3 == 0 { "u64" } else { "u16" }, ""))
            .collect();
        let text = profile(&format!("gap_ok = {gap_ok}"), &points, "");
        let text = text.replace("max_registers = 10", &format!("max_registers = {request_max}"));
        let profile = Profile::parse(&text, "t").expect("nothing clashes");
        let blocks = profile.blocks(Poll::Fast);
        for point in &profile.points {
            let whole = |block: &&Block| {
                block.registers_of(point, &vec![0; usize::from(block.count)]).is_some()
            };
            prop_assert_eq!(blocks.iter().filter(whole).count(), 1);
        }
        let mut read = vec![false; 300];
        for block in &blocks {
            prop_assert!((1..=request_max).contains(&block.count));
            let first = usize::from(block.address);
            read[first..first + usize::from(block.count)].fill(true);
        }
        let mut wanted = vec![false; 300];
        for point in &profile.points {
            let first = usize::from(point.address);
            wanted[first..first + usize::from(point.length())].fill(true);
        }
        let unwanted = read.iter().zip(&wanted).map(|(read, wanted)| *read && !*wanted);
        let longest = unwanted.fold((0, 0), |(run, longest), gap| {
            let run = if gap { run + 1 } else { 0 };
            (run, longest.max(run))
        });
        prop_assert!(longest.1 <= u32::from(gap_ok), "no gap is read that is longer than allowed");
    }
}

fn edit() -> impl Strategy<Value = String> {
    let words = [
        "",
        "\"",
        "'",
        "\n",
        "=",
        "[",
        "]",
        "{",
        "}",
        "0",
        "-1",
        "65535",
        "99999999999999999999999999999999999999999",
        "0x7FFFFFFFFFFFFFFF",
        "1e9",
        "inf",
        "\"0.000000001\"",
        "string(125)",
        "string(0)",
        "u64",
        "f32",
        "bits",
        "rw",
        "inverted",
        "[[point]]\n",
        "[control.release]\n",
        "\"{percent}\"",
        "address = 0\n",
        "é",
        "\u{0}",
    ];
    prop::sample::select(words.to_vec()).prop_map(str::to_owned)
}
