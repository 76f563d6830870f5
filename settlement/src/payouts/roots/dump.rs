//! The dump of a tree: the file that `StandardMerkleTree.load` reads.

use serde::Serialize;

use super::{Address, Node, Tree};

/// The format `standard-v1` of `@openzeppelin/merkle-tree`, its members in the order that the package writes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Dump {
    format: &'static str,
    leaf_encoding: [&'static str; 2],
    tree: Vec<Node>,
    values: Vec<Value>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Value {
    /// The amount as text: JSON numbers lose digits beyond 2^53.
    value: (Address, String),
    tree_index: usize,
}

impl Dump {
    /// The dump of a tree; the values in the order of their addresses.
    #[must_use]
    pub fn of(tree: &Tree) -> Self {
        Self {
            format: "standard-v1",
            leaf_encoding: ["address", "uint256"],
            tree: tree.nodes().to_vec(),
            values: tree
                .leaves()
                .map(|(leaf, tree_index)| Value {
                    value: (leaf.address, leaf.amount.to_string()),
                    tree_index,
                })
                .collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::payouts::roots::Leaf;

    #[test]
    fn a_dump_has_the_members_that_the_package_reads() {
        let leaf = Leaf {
            address: "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed".parse().unwrap(),
            amount: u128::MAX,
        };
        let tree = Tree::of([leaf]).unwrap();
        let expected = format!(
            r#"{{"format":"standard-v1","leafEncoding":["address","uint256"],"tree":["{}"],"values":[{{"value":["{}","{}"],"treeIndex":0}}]}}"#,
            tree.root(),
            leaf.address,
            leaf.amount
        );
        assert_eq!(serde_json::to_string(&Dump::of(&tree)).unwrap(), expected);
    }
}
