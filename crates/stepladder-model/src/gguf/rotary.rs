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

#[cfg(test)]
mod tests {
    use super::super::blocks::Kind;
    use super::*;

    /// Divisors of a head of 128 and base 500000, by transformers' `_compute_llama3_parameters`.
    fn divisors(factor: f64) -> Vec<u8> {
        let of = |pair: i32| {
            let frequency = 1.0 / 500_000f64.powf(f64::from(2 * pair) / 128.0);
            let turns = 8192.0 * frequency / std::f64::consts::TAU;
            let smooth = ((turns - 1.0) / 3.0).clamp(0.0, 1.0);
            frequency / ((1.0 - smooth) * frequency / factor + smooth * frequency)
        };
        (0..64).flat_map(|pair| (of(pair) as f32).to_le_bytes()).collect()
    }

    #[test]
    fn the_scaling_of_llama_3_is_recovered_from_its_divisors_and_no_other() {
        let mut data = divisors(32.0);
        let read = |data: &[u8]| llama3(&Tensor { kind: Kind::F32, shape: vec![64], data }, 500_000.0, 128);
        let found = read(&data).unwrap();
        assert_eq!(
            found,
            json!({
                "rope_type": "llama3",
                "factor": 32.0,
                "low_freq_factor": 1.0,
                "high_freq_factor": 4.0,
                "original_max_position_embeddings": 8192,
            })
        );
        data[..4].copy_from_slice(&2f32.to_le_bytes());
        assert!(read(&data).unwrap_err().contains("are not those of Llama 3"));
        assert!(read(&data[4..]).is_err());
    }
}
