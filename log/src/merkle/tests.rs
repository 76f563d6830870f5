//! The vectors of Certificate Transparency, every pair of sizes up to 300, and what a changed proof proves.

use gridtally_protocol::identity::Digest;
use proptest::prelude::*;

use super::*;

/// The leaves that the reference implementations of Certificate Transparency test with, and their roots.
const LEAVES: [&str; 8] = [
    "",
    "00",
    "10",
    "2021",
    "3031",
    "40414243",
    "5051525354555657",
    "606162636465666768696a6b6c6d6e6f",
];
const ROOTS: [&str; 9] = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
];
/// Inclusion proofs of the same tests: leaf, size, path.
const PATHS: [(u64, u64, &[&str]); 3] = [
    (
        0,
        8,
        &[
            "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
        ],
    ),
    (
        5,
        8,
        &[
            "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
            "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        ],
    ),
    (
        1,
        5,
        &[
            "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
        ],
    ),
];
/// Consistency proofs of the same tests: old size, new size, proof.
const CONSISTENT: [(u64, u64, &[&str]); 3] = [
    (
        1,
        8,
        &[
            "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
        ],
    ),
    (
        6,
        8,
        &[
            "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
            "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        ],
    ),
    (
        2,
        5,
        &[
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
        ],
    ),
];

fn digests(texts: &[&str]) -> Vec<Digest> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

fn grown(leaves: impl IntoIterator<Item = Digest>) -> Tree {
    let mut tree = Tree::default();
    leaves.into_iter().for_each(|leaf| tree.append(leaf));
    tree
}

fn place(index: u64) -> usize {
    usize::try_from(index).unwrap()
}

fn numbered(index: u64) -> Digest {
    leaf(&index.to_be_bytes())
}

fn flipped(hash: Digest, bit: usize) -> Digest {
    let mut bytes = *hash.as_bytes();
    bytes[bit / 8] ^= 1 << (bit % 8);
    Digest::from_bytes(bytes)
}

#[test]
fn roots_and_proofs_are_those_of_certificate_transparency() {
    let leaves = LEAVES.map(|text| leaf(&hex::decode(text).unwrap()));
    let tree = grown(leaves);
    for (count, expected) in ROOTS.iter().enumerate() {
        assert_eq!(root(&leaves[..count]).to_string(), *expected, "{count} leaves");
        assert_eq!(tree.root_at(count as u64).unwrap().to_string(), *expected);
    }
    let root_of = |size: u64| ROOTS[place(size)].parse::<Digest>().unwrap();
    for (index, size, path) in PATHS {
        assert_eq!(tree.prove_inclusion(index, size).unwrap(), digests(path));
        let leaf = leaves[place(index)];
        check_inclusion(index, size, leaf, &digests(path), root_of(size)).unwrap();
    }
    for (old, new, proof) in CONSISTENT {
        assert_eq!(tree.prove_consistency(old, new).unwrap(), digests(proof));
        check_consistency(old, new, root_of(old), root_of(new), &digests(proof)).unwrap();
    }
}

#[test]
fn every_pair_of_sizes_up_to_300_is_proved_consistent_and_with_no_other_root() {
    let leaves: Vec<Digest> = (0..300).map(numbered).collect();
    let tree = grown(leaves.iter().copied());
    let roots: Vec<Digest> = (0..=300).map(|size| root(&leaves[..size])).collect();
    for new in 0..=300_u64 {
        let new_root = roots[place(new)];
        assert_eq!(tree.root_at(new).unwrap(), new_root);
        for old in 0..=new {
            let old_root = roots[place(old)];
            let proof = tree.prove_consistency(old, new).unwrap();
            check_consistency(old, new, old_root, new_root, &proof).unwrap();
            let other = flipped(old_root, 0);
            assert!(
                check_consistency(old, new, other, new_root, &proof).is_err(),
                "{old} {new}"
            );
            if old != 0 {
                let other = flipped(new_root, 255);
                assert!(
                    check_consistency(old, new, old_root, other, &proof).is_err(),
                    "{old} {new}"
                );
            }
        }
    }
}

#[test]
fn every_leaf_of_every_tree_up_to_130_is_proved_and_under_no_other_number() {
    let tree = grown((0..130).map(numbered));
    for size in 1..=130 {
        let root = tree.root_at(size).unwrap();
        for index in 0..size {
            let path = tree.prove_inclusion(index, size).unwrap();
            check_inclusion(index, size, numbered(index), &path, root).unwrap();
            for other in (0..=size).filter(|other| *other != index) {
                assert!(check_inclusion(other, size, numbered(index), &path, root).is_err());
            }
        }
    }
}

#[test]
fn nothing_is_proved_of_what_is_not_there() {
    let tree = grown((0..5).map(numbered));
    assert_eq!(tree.prove_inclusion(5, 5), Err(NotInTree { size: 5 }));
    assert_eq!(tree.prove_inclusion(0, 6), Err(NotInTree { size: 5 }));
    assert_eq!(tree.prove_consistency(4, 3), Err(NotInTree { size: 5 }));
    assert_eq!(tree.root_at(6), Err(NotInTree { size: 5 }));
    let shrinks = check_consistency(5, 4, numbered(0), numbered(1), &[]);
    assert_eq!(shrinks, Err(ProofError::Shrinks { old: 5, new: 4 }));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn a_flipped_bit_a_missing_or_an_added_hash_proves_nothing(
        size in 1..5000_u64, at in any::<prop::sample::Index>(), old in any::<prop::sample::Index>(),
        hash in any::<prop::sample::Index>(), bit in 0..256_usize,
    ) {
        let tree = grown((0..size).map(numbered));
        let root = tree.root_at(size).unwrap();
        let index = at.index(place(size)) as u64;
        let path = tree.prove_inclusion(index, size).unwrap();
        check_inclusion(index, size, numbered(index), &path, root).unwrap();
        prop_assert!(check_inclusion(index, size, flipped(numbered(index), bit), &path, root).is_err());
        for wrong in damaged(&path, hash, bit) {
            prop_assert!(check_inclusion(index, size, numbered(index), &wrong, root).is_err());
        }
        let old = old.index(place(size)) as u64;
        let old_root = tree.root_at(old).unwrap();
        let proof = tree.prove_consistency(old, size).unwrap();
        check_consistency(old, size, old_root, root, &proof).unwrap();
        for wrong in damaged(&proof, hash, bit) {
            prop_assert!(check_consistency(old, size, old_root, root, &wrong).is_err());
        }
    }

    #[test]
    fn no_sizes_and_hashes_make_a_check_panic(
        index in any::<u64>(), size in any::<u64>(), count in 0..70_usize,
    ) {
        let path = vec![numbered(0); count];
        let _ = check_inclusion(index, size, numbered(1), &path, numbered(2));
        let _ = check_consistency(index, size, numbered(1), numbered(2), &path);
        let _ = (inclusion_spans(index, size), consistency_spans(index, size));
    }
}

/// A proof with one bit flipped, without its last hash, and with one hash more.
fn damaged(proof: &[Digest], hash: prop::sample::Index, bit: usize) -> Vec<Vec<Digest>> {
    let longer: Vec<Digest> = proof.iter().copied().chain([numbered(7)]).collect();
    let mut all = vec![longer];
    if !proof.is_empty() {
        all.push(proof[..proof.len() - 1].to_vec());
        let mut other = proof.to_vec();
        let place = hash.index(other.len());
        other[place] = flipped(other[place], bit);
        all.push(other);
    }
    all
}
