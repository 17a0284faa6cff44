//! Named random streams. Every random number of a run is drawn from a stream that is derived from the run seed, a
//! name and indices, so that adding a draw in one place never shifts another (docs/design.md D2, docs/spec/algorithms.md 1.5).

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use sha2::{Digest, Sha256};

/// Generator of every stream: portable, seekable, equal on every platform.
pub type Rng = ChaCha8Rng;

/// Opens the random stream named `(seed, name, indices)`.
///
/// ```
/// use rand::RngExt;
/// use stepladder_core::seed::stream;
/// let a: u64 = stream(7, "sampling", &[3, 1]).random();
/// let b: u64 = stream(7, "sampling", &[3, 1]).random();
/// let c: u64 = stream(7, "sampling", &[3, 2]).random();
/// assert_eq!(a, b);
/// assert_ne!(a, c);
/// ```
pub fn stream(seed: u64, name: &str, indices: &[u64]) -> Rng {
    let mut hash = Sha256::new();
    hash.update(seed.to_le_bytes());
    hash.update((name.len() as u64).to_le_bytes());
    hash.update(name.as_bytes());
    for index in indices {
        hash.update(index.to_le_bytes());
    }
    ChaCha8Rng::from_seed(hash.finalize().into())
}

/// Derives a 64-bit seed, for a sub-system that takes a number rather than a stream.
pub fn derive(seed: u64, name: &str, indices: &[u64]) -> u64 {
    use rand::Rng as _;
    stream(seed, name, indices).next_u64()
}

/// Computes a stable 64-bit fingerprint of a text.
pub fn fingerprint(text: &str) -> u64 {
    let mut fingerprint = Fingerprint::default();
    fingerprint.add(text.as_bytes());
    fingerprint.finish()
}

/// Computes the [`fingerprint`] of a text that is given in parts.
///
/// ```
/// use stepladder_core::seed::{Fingerprint, fingerprint};
/// let mut parts = Fingerprint::default();
/// parts.add(b"put a mug ");
/// parts.add(b"in desk 1");
/// assert_eq!(parts.finish(), fingerprint("put a mug in desk 1"));
/// ```
#[derive(Debug, Clone, Default)]
pub struct Fingerprint(Sha256);

impl Fingerprint {
    /// Adds the next part.
    pub fn add(&mut self, part: &[u8]) {
        self.0.update(part);
    }

    /// The fingerprint of all parts in their order.
    pub fn finish(self) -> u64 {
        let digest = self.0.finalize();
        let mut first = [0u8; 8];
        first.copy_from_slice(&digest[..8]);
        u64::from_le_bytes(first)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::Rng as _;

    #[test]
    fn names_and_indices_are_not_confused() {
        let draws: Vec<u64> =
            [("a", vec![]), ("b", vec![]), ("a", vec![0]), ("a", vec![0, 0]), ("a", vec![1])]
                .iter()
                .map(|(name, indices)| stream(1, name, indices).next_u64())
                .collect();
        let distinct: std::collections::BTreeSet<_> = draws.iter().collect();
        assert_eq!(distinct.len(), draws.len());
    }

    #[test]
    fn the_numbers_never_change() {
        // A changed derivation would silently change every published run: this pins it.
        assert_eq!(derive(42, "init", &[0]), PINNED);
    }
    const PINNED: u64 = 8_884_175_895_618_417_770;
}
