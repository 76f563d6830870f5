//! The dump of a tree: the file that `StandardMerkleTree.load` reads.

use serde::{Deserialize, Serialize};

use super::{Address, AddressError, Leaf, Node, Tree, TreeError};

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

/// Why a text is no dump of a tree.
#[derive(Debug, thiserror::Error)]
pub enum DumpError {
    /// Its form.
    #[error("not a dump of a tree: {0}")]
    Form(#[from] serde_json::Error),
    /// An address.
    #[error("not a dump of a tree: {0}")]
    Address(#[from] AddressError),
    /// An amount.
    #[error("not a dump of a tree: {0:?} is no amount in base units")]
    Amount(String),
    /// Its leaves.
    #[error(transparent)]
    Tree(#[from] TreeError),
    /// Its leaves make another tree, or it has other members.
    #[error(
        "its leaves make another tree, of the root {0}, or it is not written as StandardMerkleTree.dump does"
    )]
    Differs(Node),
}

#[derive(Deserialize)]
struct Told {
    values: Vec<ToldValue>,
}

#[derive(Deserialize)]
struct ToldValue {
    value: (String, String),
}

/// Reads a dump, makes the tree of its leaves again, and takes it only where that has exactly this dump.
///
/// # Errors
/// [`DumpError`].
pub fn read_dump(bytes: &[u8]) -> Result<Tree, DumpError> {
    let told: Told = serde_json::from_slice(bytes)?;
    let leaf = |told: &ToldValue| {
        let (address, amount) = &told.value;
        let wrong = || DumpError::Amount(amount.chars().take(60).collect());
        let address = address.parse()?;
        let amount = amount.parse().map_err(|_| wrong())?;
        Ok::<_, DumpError>(Leaf { address, amount })
    };
    let leaves: Vec<Leaf> = told.values.iter().map(leaf).collect::<Result<_, _>>()?;
    let tree = Tree::of(leaves)?;
    let told: serde_json::Value = serde_json::from_slice(bytes)?;
    if serde_json::to_value(Dump::of(&tree))? != told {
        return Err(DumpError::Differs(tree.root()));
    }
    Ok(tree)
}

#[cfg(test)]
mod tests {
    use super::*;

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
        assert_eq!(read_dump(expected.as_bytes()).unwrap(), tree);
        let other = expected.replace(&leaf.amount.to_string(), "7");
        assert!(matches!(read_dump(other.as_bytes()), Err(DumpError::Differs(_))));
        assert!(matches!(read_dump(b"{}"), Err(DumpError::Form(_))));
    }
}
