//! The mathematics: pure functions of tensors, with the names of the literature, tested against literal values.

use tch::Tensor;

use crate::AlgoError;

pub mod actor;
pub mod critic;
pub mod group;
pub mod logprob;
pub mod ranking;
pub mod returns;
pub mod surrogate;

/// Checks that both tensors have the same shape; the error names `op`.
pub(crate) fn same(op: &'static str, a: &Tensor, b: &Tensor) -> Result<(), AlgoError> {
    if a.size() == b.size() {
        return Ok(());
    }
    Err(AlgoError::Shape { op, reason: format!("shapes {:?} and {:?} differ", a.size(), b.size()) })
}
