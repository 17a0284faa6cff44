//! The mathematics: pure functions over tensors, named as in the literature, tested with literal numbers.

use tch::Tensor;

use crate::AlgoError;

pub mod actor;
pub mod critic;
pub mod group;
pub mod logprob;
pub mod returns;
pub mod surrogate;

/// An error that names `op` unless both tensors have one shape.
pub(crate) fn same(op: &'static str, a: &Tensor, b: &Tensor) -> Result<(), AlgoError> {
    if a.size() == b.size() {
        return Ok(());
    }
    Err(AlgoError::Shape { op, reason: format!("shapes {:?} and {:?} differ", a.size(), b.size()) })
}
