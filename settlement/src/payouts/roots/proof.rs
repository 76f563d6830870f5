//! What is handed out beside the dump: a beneficiary's proof, and the totals behind a root.

use gridtally_protocol::instruction::ProgramId;
use gridtally_protocol::quantity::{Asset, Overflow, TokenAmount};
use gridtally_protocol::time::Timestamp;
use serde::Serialize;

use super::claims::Sums;
use super::{Address, Claims, Node, Tree};
use crate::ledger::Holder;

/// Which root.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RootName {
    /// Of which program.
    pub program: ProgramId,
    /// In which token.
    pub asset: Asset,
    /// 1, or one more than the root before.
    pub number: u32,
}

/// A claim with its proof, as a distributor takes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Proof {
    /// Under which root.
    #[serde(flatten)]
    pub name: RootName,
    /// That root.
    pub root: Node,
    /// Who may claim.
    pub address: Address,
    /// How much in all, in base units; what was claimed before is a part of it.
    pub amount: String,
    /// The nodes that lead to the root, the lowest first.
    pub proof: Vec<Node>,
}

impl Proof {
    /// The proof of an address, where the tree has it.
    #[must_use]
    pub fn of(name: &RootName, tree: &Tree, address: Address) -> Option<Self> {
        Some(Self {
            name: name.clone(),
            root: tree.root(),
            address,
            amount: tree.amount(&address)?.to_string(),
            proof: tree.proof(&address)?,
        })
    }
}

/// The file beside a dump: whose the amounts are, what waits for an address, and what the root follows on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Companion {
    #[serde(flatten)]
    name: RootName,
    root: Option<Node>,
    previous_root: Option<Node>,
    ledger_place: i64,
    made_at: Timestamp,
    totals: Sums,
    claimable: Vec<Claimable>,
    not_claimable_yet: Vec<Waiting>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Claimable {
    beneficiary: String,
    credited: TokenAmount,
    over_claimable: TokenAmount,
    addresses: Vec<At>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct At {
    address: Address,
    amount: TokenAmount,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Waiting {
    beneficiary: String,
    amount: TokenAmount,
}

impl Companion {
    /// The file beside the dump of a root; `previous_root` is that of the number before.
    ///
    /// # Errors
    /// [`Overflow`] where a sum does not fit the ledger.
    pub fn of(
        name: &RootName,
        (root, previous_root): (Option<Node>, Option<Node>),
        (ledger_place, made_at): (i64, Timestamp),
        claims: &Claims,
    ) -> Result<Self, Overflow> {
        let (mut claimable, mut waiting) = (Vec::new(), Vec::new());
        for (beneficiary, line) in &claims.lines {
            let of = |holder: &Holder| holder.as_str().to_owned();
            if !line.published.is_empty() {
                let at = |(address, amount): (&Address, &TokenAmount)| At {
                    address: *address,
                    amount: *amount,
                };
                claimable.push(Claimable {
                    beneficiary: of(beneficiary),
                    credited: line.credited,
                    over_claimable: line.over_claimable()?,
                    addresses: line.published.iter().map(at).collect(),
                });
            }
            let amount = line.not_claimable_yet()?;
            if amount > TokenAmount::ZERO {
                waiting.push(Waiting {
                    beneficiary: of(beneficiary),
                    amount,
                });
            }
        }
        Ok(Self {
            name: name.clone(),
            root,
            previous_root,
            ledger_place,
            made_at,
            totals: claims.sums()?,
            claimable,
            not_claimable_yet: waiting,
        })
    }
}
