//! Scaling of rotary frequencies of Llama 3, of which a file holds only the divisors.

use serde_json::{Value as Json, json};

use super::read::Tensor;

/// Values of all published Llamas from 3.1 on; only the factor differs.
const LOW: f64 = 1.0;
const HIGH: f64 = 4.0;
const ORIGINAL: f64 = 8192.0;
/// The file has 32-bit floats.
const TOLERANCE: f64 = 1e-5;

/// Recovers the parameters from the divisors `rope_freqs.weight`.
///
/// # Errors
/// Where other parameters would be needed.
pub(super) fn llama3(tensor: &Tensor<'_>, base: f64, head: usize) -> Result<Json, String> {
    let mut divisors = Vec::new();
    tensor.kind.dequantise(tensor.data, &mut divisors);
    // The slowest rotations have the whole factor.
    let factor = divisors.iter().copied().fold(1.0f32, f32::max);
    let expected =
        (0..head / 2).map(|pair| divisor(base.powf(-((2 * pair) as f64) / head as f64), factor.into()));
    let same = divisors.len() == head / 2
        && divisors
            .iter()
            .zip(expected)
            .all(|(&found, expected)| (f64::from(found) - expected).abs() <= TOLERANCE * expected);
    if !same {
        return Err(
            "the divisors in `rope_freqs.weight` are not those of Llama 3; such models are not supported"
                .to_owned(),
        );
    }
    Ok(json!({
        "rope_type": "llama3",
        "factor": f64::from(factor),
        "low_freq_factor": LOW,
        "high_freq_factor": HIGH,
        "original_max_position_embeddings": ORIGINAL as u32,
    }))
}

/// Divisor of a frequency: 1 for fast rotations, the factor for slow ones, a blend of their inverses between.
/// Source: `LlamaModel.generate_extra_tensors` in llama.cpp's `convert_hf_to_gguf.py`.
fn divisor(frequency: f64, factor: f64) -> f64 {
    let wavelength = std::f64::consts::TAU / frequency;
    if wavelength < ORIGINAL / HIGH {
        return 1.0;
    }
    if wavelength > ORIGINAL / LOW {
        return factor;
    }
    let smooth = (ORIGINAL / wavelength - LOW) / (HIGH - LOW);
    1.0 / ((1.0 - smooth) / factor + smooth)
}
