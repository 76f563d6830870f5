//! The tree: a complete binary tree in an array, its leaves at the end in the falling order of their hashes.
//!
//! Node 0 is the root; beneath node `i` are nodes `2i + 1` and `2i + 2`. Of `n` leaves the tree has `2n − 1` nodes.

use std::collections::BTreeMap;

use super::{Address, Leaf, Node};

/// Why leaves make no tree.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TreeError {
    /// None.
    #[error("there is nothing to claim, so there is no tree; a tree has at least one leaf")]
    Empty,
    /// An address has two leaves, of which a distributor would pay the higher one only.
    #[error("address {0} stands in two leaves; add their amounts")]
    Twice(Address),
}

/// A tree with its leaves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tree {
    nodes: Vec<Node>,
    /// By address, each with its place among the nodes.
    leaves: BTreeMap<Address, (u128, usize)>,
}

impl Tree {
    /// The tree of leaves, in whatever order they come.
    ///
    /// # Errors
    /// [`TreeError`].
    pub fn of(leaves: impl IntoIterator<Item = Leaf>) -> Result<Self, TreeError> {
        let mut hashed: Vec<(Node, Leaf)> = leaves.into_iter().map(|leaf| (leaf.hash(), leaf)).collect();
        hashed.sort_unstable();
        let root = Node::from_bytes([0; 32]);
        let above = hashed.len().checked_sub(1).ok_or(TreeError::Empty)?;
        let mut nodes = vec![root; above];
        nodes.extend(hashed.iter().rev().map(|(hash, _)| *hash));
        for place in (0..above).rev() {
            let (left, right) = beneath(place);
            if let (Some(left), Some(right)) = (nodes.get(left).copied(), nodes.get(right).copied())
                && let Some(node) = nodes.get_mut(place)
            {
                *node = left.above(right);
            }
        }
        let mut placed = BTreeMap::new();
        for (place, (_, leaf)) in (above..nodes.len()).zip(hashed.iter().rev()) {
            if placed.insert(leaf.address, (leaf.amount, place)).is_some() {
                return Err(TreeError::Twice(leaf.address));
            }
        }
        Ok(Self {
            nodes,
            leaves: placed,
        })
    }

    /// The root.
    #[must_use]
    pub fn root(&self) -> Node {
        // A tree has at least one node.
        self.nodes.first().copied().unwrap_or(Node::from_bytes([0; 32]))
    }

    /// All nodes, the root first.
    #[must_use]
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// The leaves in the order of their addresses, each with its place among the nodes.
    pub fn leaves(&self) -> impl Iterator<Item = (Leaf, usize)> + '_ {
        let leaf = |(address, (amount, place)): (&Address, &(u128, usize))| {
            let leaf = Leaf {
                address: *address,
                amount: *amount,
            };
            (leaf, *place)
        };
        self.leaves.iter().map(leaf)
    }

    /// What an address may claim.
    #[must_use]
    pub fn amount(&self, address: &Address) -> Option<u128> {
        self.leaves.get(address).map(|(amount, _)| *amount)
    }

    /// The nodes that lead from the leaf of an address to the root, the lowest first.
    #[must_use]
    pub fn proof(&self, address: &Address) -> Option<Vec<Node>> {
        let (_, mut place) = *self.leaves.get(address)?;
        let mut proof = Vec::new();
        while let Some(parent) = place.checked_sub(1).map(|below| below / 2) {
            let (left, right) = beneath(parent);
            proof.push(*self.nodes.get(if place == left { right } else { left })?);
            place = parent;
        }
        Some(proof)
    }
}

impl Leaf {
    /// Whether a proof leads from this leaf to a root: what the contract computes.
    #[must_use]
    pub fn is_under(&self, root: Node, proof: &[Node]) -> bool {
        proof.iter().fold(self.hash(), |node, other| node.above(*other)) == root
    }
}

/// The places of the two nodes beneath one. Far from overflowing: there are no more nodes than memory.
const fn beneath(place: usize) -> (usize, usize) {
    let left = place.saturating_mul(2).saturating_add(1);
    (left, left.saturating_add(1))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn leaves() -> impl Strategy<Value = Vec<Leaf>> {
        let address = any::<[u8; 20]>().prop_filter_map("not zero", |b| Address::from_bytes(b).ok());
        // Few amounts, so that many are equal.
        let amount = prop_oneof![0_u128..4, any::<u128>(), Just(u128::MAX)];
        proptest::collection::btree_map(address, amount, 1..40).prop_map(|leaves| {
            let leaf = |(address, amount)| Leaf { address, amount };
            leaves.into_iter().map(leaf).collect()
        })
    }

    fn flipped(mut bytes: Vec<u8>, bit: usize) -> Vec<u8> {
        bytes[bit / 8] ^= 1 << (bit % 8);
        bytes
    }

    #[test]
    fn nothing_makes_no_tree_and_an_address_twice_neither() {
        assert_eq!(Tree::of([]), Err(TreeError::Empty));
        let address = Address::from_bytes([7; 20]).unwrap();
        let twice = [1, 2].map(|amount| Leaf { address, amount });
        assert_eq!(Tree::of(twice), Err(TreeError::Twice(address)));
    }

    #[test]
    fn a_single_leaf_is_the_root() {
        let leaf = Leaf {
            address: Address::from_bytes([7; 20]).unwrap(),
            amount: 5,
        };
        let tree = Tree::of([leaf]).unwrap();
        assert_eq!(tree.root(), leaf.hash());
        assert_eq!(tree.proof(&leaf.address), Some(vec![]));
    }

    proptest! {
        #[test]
        fn every_proof_leads_to_the_root(leaves in leaves()) {
            let tree = Tree::of(leaves.iter().copied()).unwrap();
            prop_assert_eq!(tree.nodes().len(), 2 * leaves.len() - 1);
            for leaf in &leaves {
                let proof = tree.proof(&leaf.address).unwrap();
                prop_assert!(leaf.is_under(tree.root(), &proof));
                prop_assert_eq!(tree.amount(&leaf.address), Some(leaf.amount));
            }
        }

        #[test]
        fn no_flipped_bit_of_leaf_proof_or_root_leads_there(
            leaves in leaves(), which: prop::sample::Index, bit: prop::sample::Index,
        ) {
            let tree = Tree::of(leaves.iter().copied()).unwrap();
            let leaf = *which.get(&leaves);
            let proof = tree.proof(&leaf.address).unwrap();
            let mut bytes = leaf.address.as_bytes().to_vec();
            bytes.extend(leaf.amount.to_be_bytes());
            bytes.extend(tree.root().as_bytes());
            bytes.extend(proof.iter().flat_map(|node| node.as_bytes()));
            let bytes = flipped(bytes.clone(), bit.index(bytes.len() * 8));
            let Ok(address) = Address::from_bytes(bytes[..20].try_into().unwrap()) else { return Ok(()) };
            let leaf = Leaf { address, amount: u128::from_be_bytes(bytes[20..36].try_into().unwrap()) };
            let nodes = bytes[36..].chunks(32);
            let nodes: Vec<Node> = nodes.map(|n| Node::from_bytes(n.try_into().unwrap())).collect();
            prop_assert!(!leaf.is_under(nodes[0], &nodes[1..]));
        }

        #[test]
        fn the_order_of_the_leaves_never_matters(leaves in leaves(), seed: u64) {
            let mut shuffled = leaves.clone();
            shuffled.sort_by_key(|leaf| leaf.address.as_bytes()[0].wrapping_mul(seed.to_le_bytes()[0] | 1));
            prop_assert_eq!(Tree::of(shuffled), Tree::of(leaves));
        }

        #[test]
        fn a_node_is_above_those_beneath_it(leaves in leaves()) {
            let tree = Tree::of(leaves).unwrap();
            for (place, node) in tree.nodes().iter().enumerate() {
                if let (Some(left), Some(right)) = (tree.nodes().get(2 * place + 1), tree.nodes().get(2 * place + 2)) {
                    prop_assert_eq!(*node, left.above(*right));
                }
            }
        }
    }
}
