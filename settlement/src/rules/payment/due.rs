//! From what is due to what is paid.

use gridtally_protocol::quantity::TokenAmount;

use super::inputs::Before;
use super::payments::{Component, Due, Explanation, Zero};
use super::round::{Bearer, Step, millionths, overflow};
use crate::rules::exact::Ratio;
use crate::rules::statement::AmountError;

impl Due {
    /// `exact` base units, rounded.
    pub(super) fn round(
        exact: Ratio,
        step: Step,
        before: Before,
        bearer: Bearer,
    ) -> Result<Self, AmountError> {
        Ok(Self {
            exact,
            step,
            rounding_borne_by: bearer,
            rounded: step.round(exact)?,
            before,
        })
    }

    /// What is paid now.
    ///
    /// # Errors
    /// [`AmountError`] where it does not fit.
    pub fn amount(&self) -> Result<TokenAmount, AmountError> {
        Ok(self.rounded.checked_sub(self.before.paid)?)
    }

    /// What goes to the rounding account now, in millionths of a base unit:
    /// `exact − rounded`, less what went there before; nothing where the escrow bears the rounding.
    ///
    /// # Errors
    /// [`AmountError`] where it does not fit.
    pub fn remainder(&self) -> Result<i64, AmountError> {
        if self.rounding_borne_by == Bearer::Escrow {
            return Ok(0);
        }
        let left = self.exact.checked_sub(Ratio::whole(self.rounded.base_units()))?;
        let left = millionths(left)?.checked_sub(self.before.remainder);
        Ok(left.ok_or(overflow("remainder"))?)
    }
}

impl Component {
    /// A known amount; `reason` holds where it is zero.
    pub(super) fn known(
        due: Due,
        reason: Zero,
        explain: impl FnOnce(Due) -> Explanation,
    ) -> Result<Self, AmountError> {
        let amount = due.amount()?;
        Ok(Self {
            amount: Some(amount),
            reason: (amount == TokenAmount::ZERO).then_some(reason),
            remainder: due.remainder()?,
            explanation: explain(due),
        })
    }
}
