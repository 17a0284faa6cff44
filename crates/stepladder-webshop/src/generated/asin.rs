//! Identifiers of generated products: a permutation of their numbers, so that none occurs twice and none tells the order.

use stepladder_core::seed;

/// Digits and letters without those that look alike.
const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// Rounds of the permutation.
const ROUNDS: u64 = 4;

/// Identifiers of a shop.
#[derive(Debug, Clone)]
pub(super) struct Asins {
    keys: [u64; ROUNDS as usize],
    /// Characters after `B0`, even.
    length: u32,
}

impl Asins {
    /// Identifiers with `length` characters after `B0`: 8 (the original's ten in all) or 4.
    pub(super) fn new(shop_seed: u64, length: u32) -> Self {
        let keys = std::array::from_fn(|round| seed::derive(shop_seed, "webshop/asin", &[round as u64]));
        Self { keys, length }
    }

    /// Identifier of a product; distinct below 32 to the power of the length.
    pub(super) fn asin(&self, number: u64) -> Box<str> {
        let half = 5 * self.length / 2;
        let mask = (1u64 << half) - 1;
        let (mut left, mut right) = ((number >> half) & mask, number & mask);
        for key in self.keys {
            (left, right) = (right, left ^ (mix(right ^ key) & mask));
        }
        let mixed = (left << half) | right;
        let digits =
            (0..self.length).rev().map(|place| ALPHABET[((mixed >> (5 * place)) & 31) as usize] as char);
        "B0".chars().chain(digits).collect::<String>().into()
    }
}

/// Mixes the bits of a number (finaliser of SplitMix64).
fn mix(mut bits: u64) -> u64 {
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_identifier_occurs_twice() {
        let short = Asins::new(3, 4);
        let all: BTreeSet<Box<str>> = (0..1 << 20).map(|number| short.asin(number)).collect();
        assert_eq!(all.len() as u64, 1 << 20);
        let long = Asins::new(3, 8);
        let first: BTreeSet<Box<str>> = (0..20_000).map(|number| long.asin(number)).collect();
        assert_eq!(first.len(), 20_000);
        assert!(first.iter().all(|asin| asin.len() == 10 && asin.starts_with("B0")));
        assert_ne!(long.asin(0), Asins::new(4, 8).asin(0));
    }
}
