//! A log on the disk: grows, reads back, survives a crash at any point, and neither shrinks nor forks.

mod support;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use gridtally_log::files::{Directory, LogReader, LogWriter, ReadError, WriteError};
use gridtally_log::leaf::Leaf;
use gridtally_log::merkle::Tree;
use gridtally_log::note::TreeHead;
use proptest::prelude::*;
use support::{copy_file, copy_tree, files_below, leaf, leaves, log_key, log_of, log_signer};
use tempfile::tempdir;

fn reader(directory: &Path) -> LogReader<Directory> {
    LogReader::open(Directory::new(directory), &log_key()).unwrap()
}

fn expected(history: char, size: u64) -> TreeHead {
    let mut tree = Tree::default();
    (0..size).for_each(|number| tree.append(leaf(history, number).hash()));
    let root = tree.root_at(size).unwrap();
    TreeHead { size, root }
}

/// Everything in the log, recomputed from its files.
fn contents(directory: &Path) -> Vec<Leaf> {
    let mut all = Vec::new();
    reader(directory)
        .check_all(|index, leaf| {
            assert_eq!(index, all.len() as u64);
            all.push(leaf.clone());
        })
        .unwrap();
    all
}

#[test]
fn a_log_grows_over_the_edges_of_tiles_and_every_leaf_is_proved() {
    let place = tempdir().unwrap();
    let sizes = [1, 2, 255, 256, 257, 511, 513, 700];
    let writer = log_of(place.path(), 'a', &sizes);
    assert_eq!(writer.head(), expected('a', 700));
    let reader = reader(place.path());
    let checked = reader.check_all(|_, _| {}).unwrap();
    assert_eq!(checked.leaves.values().sum::<u64>(), 700);
    assert_eq!(checked.tiles, 4);
    for index in 0..700 {
        let proof = reader.prove_inclusion(index).unwrap();
        proof.verify(&leaf('a', index), &log_key()).unwrap();
        assert!(proof.verify(&leaf('b', index), &log_key()).is_err());
        assert_eq!(reader.leaf(index).unwrap(), leaf('a', index));
    }
    for size in sizes {
        reader.must_extend(expected('a', size)).unwrap();
        assert!(reader.must_extend(expected('b', size)).is_err());
    }
    assert!(matches!(
        reader.prove_inclusion(700),
        Err(ReadError::NoLeaf { .. })
    ));
    assert!(matches!(reader.leaf(700), Err(ReadError::NoLeaf { .. })));
    assert!(reader.prove_consistency(701).is_err());
}

#[test]
fn a_log_of_three_levels_is_written_and_read() {
    let place = tempdir().unwrap();
    let size = 256 * 256 + 3;
    let mut writer = LogWriter::create(place.path(), log_signer()).unwrap();
    writer.append(0, &leaves('a', 0..size)).unwrap();
    assert_eq!(writer.head(), expected('a', size));
    drop(writer);
    for tile in [
        "tile/0/255",
        "tile/1/000",
        "tile/2/000.p/1",
        "tile/0/256.p/3",
        "tile/entries/256.p/3",
    ] {
        assert!(place.path().join(tile).is_file(), "{tile}");
    }
    let reader = reader(place.path());
    assert_eq!(reader.check_all(|_, _| {}).unwrap().tiles, 259);
    for index in [0, 65_535, 65_536, 65_538] {
        let proof = reader.prove_inclusion(index).unwrap();
        proof.verify(&leaf('a', index), &log_key()).unwrap();
    }
    for size in [1, 255, 256, 65_535, 65_536, 65_537] {
        reader.must_extend(expected('a', size)).unwrap();
    }
    let mut writer = LogWriter::open(place.path(), log_signer()).unwrap();
    writer.append(size, &leaves('a', size..size + 300)).unwrap();
    assert_eq!(writer.head(), expected('a', size + 300));
}

#[test]
fn the_files_are_byte_for_byte_those_that_another_program_wrote() {
    let place = tempdir().unwrap();
    log_of(place.path(), 'a', &[2]);
    let text = |path: &str| String::from_utf8(fs::read(place.path().join(path)).unwrap()).unwrap();
    assert_eq!(text("checkpoint"), include_str!("goldens/checkpoint"));
    let entries = fs::read(place.path().join("tile/entries/000.p/2")).unwrap();
    assert_eq!(entries, include_bytes!("goldens/entries"));
    let hashes = fs::read(place.path().join("tile/0/000.p/2")).unwrap();
    assert_eq!(hex::encode(hashes), include_str!("goldens/hashes.hex").trim_end());
    let proof = reader(place.path()).prove_inclusion(1).unwrap();
    assert_eq!(proof.to_string(), include_str!("goldens/leaf-1.tlog-proof"));
}

#[test]
fn repeating_an_append_changes_nothing_and_overlapping_it_adds_the_rest() {
    let place = tempdir().unwrap();
    let mut writer = log_of(place.path(), 'a', &[300]);
    let before = files(place.path());
    for (from, to) in [(0, 300), (17, 290), (299, 300), (300, 300)] {
        writer.append(from, &leaves('a', from..to)).unwrap();
    }
    assert_eq!(files(place.path()), before);
    writer.append(250, &leaves('a', 250..310)).unwrap();
    assert_eq!(writer.head(), expected('a', 310));
    assert_eq!(contents(place.path()), leaves('a', 0..310));
}

#[test]
fn what_was_logged_is_not_changed_and_nothing_is_left_out() {
    let place = tempdir().unwrap();
    let mut writer = log_of(place.path(), 'a', &[300]);
    let before = files(place.path());
    let mut other = leaves('a', 250..310);
    other[3] = leaf('b', 253);
    let refused = writer.append(250, &other).unwrap_err();
    assert!(matches!(refused, WriteError::Fork { index: 253 }), "{refused}");
    let refused = writer.append(301, &leaves('a', 301..302)).unwrap_err();
    assert!(
        matches!(refused, WriteError::Gap { size: 300, at: 301 }),
        "{refused}"
    );
    assert_eq!(files(place.path()), before);
    writer.append(300, &leaves('a', 300..301)).unwrap();
}

#[test]
fn one_writer_at_a_time_and_no_second_log_in_a_directory() {
    let place = tempdir().unwrap();
    let writer = log_of(place.path(), 'a', &[3]);
    let refused = LogWriter::open(place.path(), log_signer()).unwrap_err();
    assert!(
        refused.to_string().contains("another process writes here"),
        "{refused}"
    );
    drop(writer);
    let refused = LogWriter::create(place.path(), log_signer()).unwrap_err();
    assert!(matches!(refused, WriteError::Exists(_)), "{refused}");
    let other = support::signer(support::ORIGIN, gridtally_log::note::Algorithm::Ed25519, 9);
    let refused = LogWriter::open(place.path(), other).unwrap_err();
    assert!(refused.to_string().contains("is not signed by"), "{refused}");
}

#[test]
fn a_log_that_lost_its_checkpoint_or_its_end_is_not_continued() {
    let place = tempdir().unwrap();
    drop(log_of(place.path(), 'a', &[5, 300]));
    let attempt = |damage: &dyn Fn(&Path)| {
        let copy = tempdir().unwrap();
        copy_tree(place.path(), copy.path());
        damage(copy.path());
        let opened = LogWriter::open(copy.path(), log_signer());
        let created = LogWriter::create(copy.path(), log_signer());
        (opened.unwrap_err(), created.unwrap_err())
    };
    let (opened, created) = attempt(&|copy| fs::remove_file(copy.join("checkpoint")).unwrap());
    assert!(
        matches!(opened, WriteError::Read(ReadError::NoCheckpoint(_))),
        "{opened}"
    );
    assert!(matches!(created, WriteError::Headless(_)), "{created}");
    let (opened, _) = attempt(&|copy| fs::remove_file(copy.join("tile/0/001.p/44")).unwrap());
    assert!(matches!(opened, WriteError::Read(_)), "{opened}");
    for file in ["tile/0/001.p/44", "tile/entries/001.p/44", "tile/1/000.p/1"] {
        let (opened, _) = attempt(&|copy| flip(&copy.join(file), 20));
        assert!(matches!(opened, WriteError::Damaged), "{file}: {opened}");
    }
}

#[test]
fn an_older_copy_of_a_log_is_noticed_by_whoever_remembers() {
    let place = tempdir().unwrap();
    let old = tempdir().unwrap();
    let mut writer = log_of(place.path(), 'a', &[40]);
    copy_tree(place.path(), old.path());
    writer.append(40, &leaves('a', 40..50)).unwrap();
    writer.must_extend(expected('a', 40)).unwrap();
    writer.must_extend(writer.head()).unwrap();
    let known = writer.head();
    let mut older = LogWriter::open(old.path(), log_signer()).unwrap();
    assert!(matches!(
        older.must_extend(known),
        Err(WriteError::NotExtended(_))
    ));
    older.append(40, &leaves('b', 40..60)).unwrap();
    assert!(matches!(
        older.must_extend(known),
        Err(WriteError::NotExtended(_))
    ));
}

#[test]
fn a_flipped_bit_in_any_file_is_found() {
    let place = tempdir().unwrap();
    drop(log_of(place.path(), 'a', &[260]));
    let served = |file: &Path| !file.file_name().unwrap().to_str().unwrap().starts_with('.');
    let mut flips = 0_u32;
    for file in files_below(place.path()).into_iter().filter(|file| served(file)) {
        let len = fs::read(&file).unwrap().len();
        for byte in (0..len).step_by(97) {
            flip(&file, byte);
            let whole = LogReader::open(Directory::new(place.path()), &log_key())
                .and_then(|reader| reader.check_all(|_, _| {}));
            assert!(whole.is_err(), "{} byte {byte}", file.display());
            flip(&file, byte);
            flips += 1;
        }
    }
    assert!(flips > 300, "{flips}");
    assert_eq!(contents(place.path()).len(), 260);
}

#[test]
fn partial_tiles_go_when_the_full_one_is_there_and_older_readers_are_served_by_it() {
    let place = tempdir().unwrap();
    let mut writer = log_of(place.path(), 'a', &[200]);
    let checkpoint = fs::read(place.path().join("checkpoint")).unwrap();
    writer.append(200, &leaves('a', 200..600)).unwrap();
    assert!(!place.path().join("tile/0/000.p").exists());
    assert!(!place.path().join("tile/entries/000.p").exists());
    fs::write(place.path().join("checkpoint"), checkpoint).unwrap();
    assert_eq!(contents(place.path()), leaves('a', 0..200));
    reader(place.path()).prove_inclusion(199).unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn a_crash_before_the_checkpoint_leaves_the_log_as_it_was_and_free_to_go_on(
        size in 0..600_u64, more in 1..600_u64, keep in prop::collection::vec(any::<bool>(), 16), half in any::<bool>(),
    ) {
        let (before, after) = (tempdir().unwrap(), tempdir().unwrap());
        drop(log_of(before.path(), 'a', &[size]));
        copy_tree(before.path(), after.path());
        let mut writer = LogWriter::open(after.path(), log_signer()).unwrap();
        writer.append(size, &leaves('a', size..size + more)).unwrap();
        // Any part of what that append wrote, and half a file, as the power went.
        for (file, kept) in files_below(after.path()).iter().zip(keep.iter().cycle()) {
            let tile = file.strip_prefix(after.path()).unwrap().starts_with("tile");
            if *kept && tile && !before.path().join(file.strip_prefix(after.path()).unwrap()).exists() {
                copy_file(file, after.path(), before.path());
            }
        }
        if half {
            fs::write(before.path().join(".incoming"), b"half of").unwrap();
        }
        prop_assert_eq!(contents(before.path()), leaves('a', 0..size));
        // What goes on need not be what was lost: nobody has seen that.
        let mut writer = LogWriter::open(before.path(), log_signer()).unwrap();
        prop_assert_eq!(writer.head(), expected('a', size));
        writer.append(size, &leaves('b', size..size + more)).unwrap();
        let mut all = leaves('a', 0..size);
        all.extend(leaves('b', size..size + more));
        prop_assert_eq!(contents(before.path()), all);
    }

    #[test]
    fn any_steps_lead_to_the_tree_in_memory(steps in prop::collection::vec(0..300_u64, 1..8)) {
        let place = tempdir().unwrap();
        let mut size = 0;
        drop(LogWriter::create(place.path(), log_signer()).unwrap());
        for step in steps {
            let mut writer = LogWriter::open(place.path(), log_signer()).unwrap();
            writer.append(size, &leaves('a', size..size + step)).unwrap();
            let old = expected('a', size);
            size += step;
            prop_assert_eq!(writer.head(), expected('a', size));
            reader(place.path()).must_extend(old).unwrap();
        }
        prop_assert_eq!(contents(place.path()), leaves('a', 0..size));
    }
}

fn files(directory: &Path) -> BTreeMap<String, Vec<u8>> {
    let name = |file: &Path| file.display().to_string();
    let below = files_below(directory);
    below
        .iter()
        .map(|file| (name(file), fs::read(file).unwrap()))
        .collect()
}

fn flip(file: &Path, byte: usize) {
    let mut bytes = fs::read(file).unwrap();
    bytes[byte] ^= 1;
    fs::write(file, bytes).unwrap();
}
