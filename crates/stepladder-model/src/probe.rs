//! One forward pass, to tell a model that computes from one that only loads.

use tch::Kind;

use crate::ModelError;
use crate::decoder::{Frame, index};
use crate::weights::Weights;

/// Checks that the logits after a prompt, cut to the context window, are finite in f32.
///
/// # Errors
/// [`ModelError::Config`] if they are not, or if the prompt is empty; [`ModelError::Torch`] from libtorch.
pub fn check_logits(weights: &Weights, prompt: &[u32]) -> Result<(), ModelError> {
    let window = usize::try_from(weights.config().shape.max_positions).unwrap_or(usize::MAX);
    let prompt = &prompt[..prompt.len().min(window)];
    if prompt.is_empty() {
        return Err(ModelError::Config("a prompt without tokens has no logits".to_owned()));
    }
    tch::no_grad(|| {
        let decoder = Frame::new(weights, Kind::Float).decoder(&weights.trained.buffer);
        let hidden = decoder.hidden(&index(prompt).to_device(weights.device()).view([1, -1]))?;
        let last = hidden.f_select(1, prompt.len() as i64 - 1)?;
        // Rows beyond the tokenizer have no logits.
        let tokens = weights.config().tokens.unwrap_or(weights.config().vocab);
        let logits = decoder.logits(&last)?.f_narrow(-1, 0, tokens)?;
        match logits.f_isfinite()?.f_all()?.f_int64_value(&[])? {
            0 => Err(ModelError::Config(
                "the logits after a prompt are NaN or infinite: configuration and weights are of different models".to_owned(),
            )),
            _ => Ok(()),
        }
    })
}
