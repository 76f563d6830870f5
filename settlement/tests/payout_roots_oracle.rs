//! Payout roots beside OpenZeppelin's own `@openzeppelin/merkle-tree`, run by node.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use gridtally_settlement::payouts::roots::{Address, Dump, Leaf, Tree};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

const SIZES: [u32; 12] = [1, 2, 3, 4, 5, 7, 8, 9, 31, 32, 100, 1_000];

fn address(seed: &str) -> Address {
    let hash = Sha256::digest(seed.as_bytes());
    Address::from_bytes(hash[..20].try_into().unwrap()).unwrap()
}

/// Amounts of every magnitude, many of them equal.
fn amount(n: u32) -> u128 {
    match n % 7 {
        0 => u128::MAX,
        1 => 1,
        2 => u128::from(u64::MAX) + 1,
        3 => (1 << 53) + 1,
        4 => u128::from(n),
        5 => 10_u128.pow(18) * u128::from(n),
        _ => u128::MAX >> (n % 128),
    }
}

fn made(leaves: &[Leaf]) -> Value {
    let tree = Tree::of(leaves.iter().copied()).unwrap();
    let proof = |leaf: &Leaf| {
        let proof = tree.proof(&leaf.address).unwrap();
        (leaf.address.to_string(), json!(proof))
    };
    json!({
        "leaves": leaves.iter().map(|l| json!([l.address, l.amount.to_string()])).collect::<Vec<_>>(),
        "root": tree.root(),
        "dump": Dump::of(&tree),
        "proofs": leaves.iter().map(proof).collect::<serde_json::Map<_, _>>(),
    })
}

fn trees() -> Vec<Value> {
    let of_size = |size: u32| {
        let leaf = |n| Leaf {
            address: address(&format!("{size} {n}")),
            amount: amount(n),
        };
        made(&(0..size).map(leaf).collect::<Vec<_>>())
    };
    let of_equal_amounts = |size: u32| {
        let leaf = |n| Leaf {
            address: address(&format!("equal {n}")),
            amount: 1_000_000,
        };
        made(&(0..size).map(leaf).collect::<Vec<_>>())
    };
    let lowest_and_highest = [[1; 20], [0xff; 20]].map(|bytes| Leaf {
        address: Address::from_bytes(bytes).unwrap(),
        amount: 0,
    });
    let mut trees: Vec<Value> = SIZES.map(of_size).into();
    trees.push(of_equal_amounts(64));
    trees.push(made(&lowest_and_highest));
    trees
}

/// Where `npm ci` put the package.
fn modules() -> PathBuf {
    let given = std::env::var_os("GRIDTALLY_NODE").map(PathBuf::from);
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../target")),
        PathBuf::from,
    );
    let modules = given.unwrap_or_else(|| target.join("node"));
    assert!(
        modules.join("node_modules/@openzeppelin/merkle-tree").is_dir(),
        "@openzeppelin/merkle-tree is not in {0}; run ./test, or: mkdir -p {0} && cp tests/roots/package*.json {0} && npm ci --prefix {0}",
        modules.display()
    );
    modules
}

/// What the package says to trees: whether it accepts them, and its words.
fn judged(trees: &[Value]) -> (bool, String) {
    let mut node = Command::new("node")
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/roots/check.mjs"))
        .arg(modules())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("node does not start ({error}): apt-get install nodejs npm"));
    let input = json!({ "trees": trees }).to_string();
    node.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = node.wait_with_output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    (
        output.status.success(),
        String::from_utf8_lossy(&text).into_owned(),
    )
}

#[test]
fn openzeppelins_package_makes_the_same_roots_and_proofs_and_loads_every_dump() {
    let (accepted, text) = judged(&trees());
    assert!(accepted, "{text}");
    let proofs: u32 = SIZES.iter().sum::<u32>() + 64 + 2;
    assert_eq!(text.trim(), format!("checked 14 trees and {proofs} proofs"));
}

#[test]
fn openzeppelins_package_refuses_a_tree_with_something_changed() {
    let leaf = |n: u8| Leaf {
        address: Address::from_bytes([n; 20]).unwrap(),
        amount: u128::from(n),
    };
    let good = made(&[1, 2, 3].map(leaf));
    assert!(judged(std::slice::from_ref(&good)).0);
    let change = |path: &str, value: Value| {
        let mut bad = good.clone();
        *bad.pointer_mut(path).unwrap() = value;
        judged(&[bad])
    };
    for (path, value) in [
        ("/root", json!(format!("0x{}", "1".repeat(64)))),
        ("/dump/tree/0", json!(format!("0x{}", "1".repeat(64)))),
        ("/dump/values/0/value/1", json!("9")),
        ("/dump/values/0/treeIndex", json!(0)),
        ("/leaves/0/1", json!("9")),
    ] {
        let (accepted, text) = change(path, value);
        assert!(!accepted, "{path}: {text}");
    }
}
