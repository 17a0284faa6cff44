//! Fingerprint of a policy's parameters.

use stepladder_core::seed::Fingerprint;
use tch::{Device, Tensor};

use crate::ModelError;

/// Parameters hashed at a time, which bounds the memory for their copy and text.
const CHUNK: i64 = 1 << 16;

/// Computes the fingerprint of f32 parameters: the first 64 bits of the SHA-256 of their bits, each parameter written as 8
/// hexadecimal digits.
///
/// # Errors
/// From libtorch: out of memory.
pub fn fingerprint(buffer: &Tensor) -> Result<String, ModelError> {
    let buffer = buffer.detach().f_view([-1])?;
    let count = buffer.size()[0];
    let mut hash = Fingerprint::default();
    let mut text = Vec::new();
    for first in (0..count).step_by(CHUNK as usize) {
        let chunk = buffer.f_narrow(0, first, CHUNK.min(count - first))?.f_to_device(Device::Cpu)?;
        text.clear();
        for value in Vec::<f32>::try_from(chunk)? {
            let bits = value.to_bits();
            // Three times as fast as a formatted write; a policy in training is fingerprinted in every phase.
            text.extend((0..8).rev().map(|digit| b"0123456789abcdef"[(bits >> (4 * digit)) as usize & 15]));
        }
        hash.add(&text);
    }
    Ok(format!("{:016x}", hash.finish()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_is_that_of_the_written_bits() {
        let few = vec![0.0f32, -0.0, 1.5, -3.25e-20, f32::MAX, f32::INFINITY];
        // More than one chunk, the last of them not full.
        let many = (0..CHUNK * 2 + 3).map(|at| at as f32 * 0.37).collect();
        for values in [few, many] {
            let text: String = values.iter().map(|value| format!("{:08x}", value.to_bits())).collect();
            let expected = format!("{:016x}", stepladder_core::seed::fingerprint(&text));
            assert_eq!(fingerprint(&Tensor::from_slice(&values)).unwrap(), expected);
        }
    }
}
