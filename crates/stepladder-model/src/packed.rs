//! Forward passes over packed rows ([`crate::packing`]).

use stepladder_data::batch::Group;
use tch::{TchError, Tensor};

use crate::decoder::{Arrangement, Decoder};
use crate::packing::Packing;

impl Decoder {
    /// Computes [`Decoder::hidden`] of packed rows before some tokens. Everything after the last attention is computed for these
    /// alone.
    ///
    /// # Shapes
    /// ids: `[N]`, the tokens of `groups` · before: `[M]` indices into `ids` → `[M, d]`
    ///
    /// # Errors
    /// From libtorch: rows longer than the context window, ids outside the vocabulary, groups that do not cover `ids`, out of memory.
    pub fn packed_hidden(&self, ids: &Tensor, groups: &[Group], before: &Tensor) -> Result<Tensor, TchError> {
        let mut positions = Vec::new();
        for group in groups {
            positions.extend(0..group.prefix as i64);
            for row in &group.rows {
                positions.extend((group.prefix as i64..).take(row.rest));
            }
        }
        let positions = Tensor::from_slice(&positions).f_to_device(ids.device())?;
        let packing = Packing::new(groups, self.config(), (ids.device(), self.dtype()));
        let rotation = self.rotation_at(&positions)?.f_transpose(0, 1)?;
        let arrangement = Arrangement { rotation, at: Some(before.shallow_clone()), packing: Some(packing) };
        self.arranged(&ids.f_unsqueeze(0)?, arrangement)
    }

    /// Computes log-probabilities of tokens of packed rows, as [`Decoder::logprobs`].
    ///
    /// # Shapes
    /// ids: `[N]`, the tokens of `groups` · before: `[M]` indices into `ids` of the tokens before the targets · targets: `[M]` (i64)
    /// → `[M]`
    ///
    /// # Errors
    /// As [`Decoder::packed_hidden`].
    pub fn packed_logprobs(
        &self,
        ids: &Tensor,
        groups: &[Group],
        before: &Tensor,
        targets: &Tensor,
    ) -> Result<Tensor, TchError> {
        self.token_logprobs(&self.packed_hidden(ids, groups, before)?, targets)
    }
}
