//! Dropout of the inputs of adapters, in training only.

use rand::Rng as _;
use stepladder_core::seed::stream;
use tch::{TchError, Tensor};

/// Probabilities are multiples of one over this.
const LEVELS: u32 = 1 << 16;

/// Dropout with a fixed mask: the same seed drops the same elements of a tensor of the same size.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Dropout {
    seed: u64,
    /// Elements whose 16 random bits are below this are dropped.
    below: u32,
}

impl Dropout {
    /// Creates the dropout that sets each element to 0 with probability `rate`, and divides the others by 1 - `rate`. `rate` is
    /// rounded to 16 bits.
    pub(crate) fn new(rate: f64, seed: u64) -> Self {
        Self { seed, below: ((rate * f64::from(LEVELS)).round() as u32).min(LEVELS - 1) }
    }

    /// Drops elements of `x`, any shape.
    pub(crate) fn apply(self, x: &Tensor) -> Result<Tensor, TchError> {
        let mut bits = vec![0; 2 * x.numel()];
        stream(self.seed, "dropout", &[]).fill_bytes(&mut bits);
        let kept = |bytes: &[u8]| u32::from(bytes[0]) + 256 * u32::from(bytes[1]) >= self.below;
        let mask: Vec<bool> = bits.chunks_exact(2).map(kept).collect();
        let mask = Tensor::from_slice(&mask).f_view(x.size().as_slice())?.f_to_device(x.device())?;
        let scale = f64::from(LEVELS) / f64::from(LEVELS - self.below);
        x.f_mul(&mask)?.f_mul_scalar(scale)?.f_to_kind(x.kind())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::{Device, Kind};

    #[test]
    fn the_mean_of_many_masks_is_one() {
        let ones = Tensor::ones([40, 50], (Kind::Float, Device::Cpu));
        for rate in [0.05, 0.5, 0.9] {
            let mut sum = ones.zeros_like();
            const MASKS: u64 = 400;
            for seed in 0..MASKS {
                let dropped = Dropout::new(rate, seed).apply(&ones).unwrap();
                let zeros = f64::try_from(dropped.eq(0.0).to_kind(Kind::Double).mean(Kind::Double)).unwrap();
                // Five standard deviations of a mean of 2000 elements.
                assert!((zeros - rate).abs() < 5.0 * (rate * (1.0 - rate) / 2000.0).sqrt(), "{zeros}");
                sum += dropped;
            }
            let mean = sum / MASKS as f64;
            // Of 800,000 elements, and of each place over all masks.
            let deviation = (rate / (1.0 - rate)).sqrt();
            let all = mean.mean(Kind::Double).double_value(&[]);
            assert!((all - 1.0).abs() < 5.0 * deviation / 800_000f64.sqrt(), "{rate}: {all}");
            let worst = (mean - 1.0).abs().max().double_value(&[]);
            assert!(worst < 6.0 * deviation / 20.0, "{rate}: {worst}");
        }
        let masks = [3, 3, 4].map(|seed| Dropout::new(0.5, seed).apply(&ones).unwrap());
        assert!(masks[0].equal(&masks[1]) && !masks[0].equal(&masks[2]));
    }
}
