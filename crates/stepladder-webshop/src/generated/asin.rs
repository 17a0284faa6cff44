//! Identifiers of generated products: a permutation of their numbers, so that none occurs twice and none tells the order.

use stepladder_core::seed;

use super::Pages;

/// Digits and letters without those that look alike.
const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// First letter of the alphabet, after the digits.
const LETTER: usize = 10;

/// Pairs of a letter and a digit.
const PAIRS: u64 = (ALPHABET.len() as u64 - LETTER as u64) * 10;

/// Rounds of the permutation.
const ROUNDS: u64 = 4;

/// Identifiers of a shop: `B0`, then eight characters as in the original, or with short pages two pairs of a letter and a digit (three
/// after the first 48,400 products). A small model copies a pair as one token, and there are only 220 pairs.
#[derive(Debug, Clone)]
pub(super) struct Asins {
    keys: [u64; ROUNDS as usize],
    pages: Pages,
}

impl Asins {
    /// Identifiers of the shop of a seed.
    pub(super) fn new(shop_seed: u64, pages: Pages) -> Self {
        let keys = std::array::from_fn(|round| seed::derive(shop_seed, "webshop/asin", &[round as u64]));
        Self { keys, pages }
    }

    /// Identifier of a product; distinct below ten million.
    pub(super) fn asin(&self, number: u64) -> Box<str> {
        let first = PAIRS.pow(2);
        let code = match self.pages {
            Pages::Full => characters(self.permuted(number, 20), 8),
            Pages::Short if number < first => pairs(self.below(number, first, 8), 2),
            Pages::Short => pairs(self.below(number - first, PAIRS.pow(3), 12), 3),
        };
        format!("B0{code}").into()
    }

    /// Permutation of the numbers below `limit`, at most 2 to the power of 2 `half`: that of all such numbers, followed until it is back
    /// below the limit.
    fn below(&self, number: u64, limit: u64, half: u32) -> u64 {
        let mut mixed = self.permuted(number, half);
        while mixed >= limit {
            mixed = self.permuted(mixed, half);
        }
        mixed
    }

    /// Permutation of the numbers of 2 `half` bits (Feistel network).
    fn permuted(&self, number: u64, half: u32) -> u64 {
        let mask = (1u64 << half) - 1;
        let (mut left, mut right) = ((number >> half) & mask, number & mask);
        for key in self.keys {
            (left, right) = (right, left ^ (mix(right ^ key) & mask));
        }
        (left << half) | right
    }
}

/// A number as characters of the alphabet.
fn characters(number: u64, length: u32) -> String {
    (0..length).rev().map(|place| ALPHABET[((number >> (5 * place)) & 31) as usize] as char).collect()
}

/// A number as pairs of a letter and a digit.
fn pairs(number: u64, length: u32) -> String {
    let pair = |place: u32| {
        let pair = (number / PAIRS.pow(place) % PAIRS) as usize;
        [ALPHABET[LETTER + pair / 10] as char, ALPHABET[pair % 10] as char]
    };
    (0..length).rev().flat_map(pair).collect()
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
        let short = Asins::new(3, Pages::Short);
        let all: BTreeSet<Box<str>> = (0..1 << 20).map(|number| short.asin(number)).collect();
        assert_eq!(all.len() as u64, 1 << 20);
        assert_eq!(all.iter().filter(|asin| asin.len() == 6).count(), 48_400);
        assert!(all.iter().all(|asin| matches!(asin.len(), 6 | 8)));
        let long = Asins::new(3, Pages::Full);
        let first: BTreeSet<Box<str>> = (0..20_000).map(|number| long.asin(number)).collect();
        assert_eq!(first.len(), 20_000);
        assert!(first.iter().all(|asin| asin.len() == 10 && asin.starts_with("B0")));
        assert_ne!(long.asin(0), Asins::new(4, Pages::Full).asin(0));
    }
}
