//! Python's module `random`: Mersenne Twister MT19937, and the draws that WebShop makes with it.

/// Words of the state.
const WORDS: usize = 624;

/// Distance of the word that is mixed into a word of the next block.
const SHIFT: usize = 397;

/// A generator of CPython's module `random`, version 3.11: the same seed gives the same numbers.
///
/// ```
/// use stepladder_webshop::python::Random;
/// let mut random = Random::seeded(42);
/// assert_eq!(random.random(), 0.639_426_798_457_883_7); // random.seed(42); random.random()
/// ```
#[derive(Clone)]
pub struct Random {
    state: Box<[u32; WORDS]>,
    /// Next word of the block.
    next: usize,
}

impl std::fmt::Debug for Random {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Random").field("next", &self.next).finish_non_exhaustive()
    }
}

impl Random {
    /// Seeds as `random.seed(seed)` does with a number.
    pub fn seeded(seed: u64) -> Self {
        let low = seed as u32;
        let high = (seed >> 32) as u32;
        let both = [low, high];
        Self::from_key(if high == 0 { &both[..1] } else { &both })
    }

    /// Initialises by an array, as in the reference implementation of MT19937.
    fn from_key(key: &[u32]) -> Self {
        let mut state = Box::new([0; WORDS]);
        state[0] = 19_650_218;
        for index in 1..WORDS {
            let last = state[index - 1];
            state[index] = 1_812_433_253_u32.wrapping_mul(last ^ (last >> 30)).wrapping_add(index as u32);
        }
        let mut index = 1;
        for step in 0..WORDS.max(key.len()) {
            let place = step % key.len();
            let add = key[place].wrapping_add(place as u32);
            index = mix(&mut state, index, 1_664_525, add);
        }
        for _ in 1..WORDS {
            let subtract = index as u32;
            index = mix(&mut state, index, 1_566_083_941, subtract.wrapping_neg());
        }
        state[0] = 1 << 31;
        Self { state, next: WORDS }
    }

    /// Computes the next block of words.
    fn refill(&mut self) {
        for index in 0..WORDS {
            let joined = (self.state[index] & 0x8000_0000) | (self.state[(index + 1) % WORDS] & 0x7fff_ffff);
            let twisted = (joined >> 1) ^ if joined & 1 == 1 { 0x9908_b0df } else { 0 };
            self.state[index] = self.state[(index + SHIFT) % WORDS] ^ twisted;
        }
        self.next = 0;
    }

    /// Draws 32 bits.
    pub fn word(&mut self) -> u32 {
        if self.next == WORDS {
            self.refill();
        }
        let mut word = self.state[self.next];
        self.next += 1;
        word ^= word >> 11;
        word ^= (word << 7) & 0x9d2c_5680;
        word ^= (word << 15) & 0xefc6_0000;
        word ^ (word >> 18)
    }

    /// Draws a number in [0, 1): `random.random()`.
    pub fn random(&mut self) -> f64 {
        let high = f64::from(self.word() >> 5);
        let low = f64::from(self.word() >> 6);
        (high * 67_108_864.0 + low) / 9_007_199_254_740_992.0
    }

    /// Draws a number between two: `random.uniform(a, b)`.
    pub fn uniform(&mut self, a: f64, b: f64) -> f64 {
        a + (b - a) * self.random()
    }

    /// Draws that many bits, at most 64: `random.getrandbits(bits)`. None of them draws nothing.
    pub fn bits(&mut self, bits: u32) -> u64 {
        match bits {
            0 => 0,
            1..=32 => u64::from(self.word() >> (32 - bits)),
            _ => {
                let low = u64::from(self.word());
                low | u64::from(self.word() >> (64 - bits.min(64))) << 32
            }
        }
    }

    /// Draws a number below `n`, or 0 if there is none: `random._randbelow(n)`.
    pub fn below(&mut self, n: u64) -> u64 {
        if n == 0 {
            return 0;
        }
        let bits = u64::BITS - n.leading_zeros();
        loop {
            let drawn = self.bits(bits);
            if drawn < n {
                return drawn;
            }
        }
    }

    /// Draws `k` different indices below `n`, in the order of `random.sample(range(n), k)`. None if there are fewer than `k`,
    /// where Python raises a `ValueError`.
    pub fn sample(&mut self, n: usize, k: usize) -> Option<Vec<usize>> {
        if k > n {
            return None;
        }
        // Python keeps a list of all where that is smaller than a set of the drawn ones, and the two draw differently.
        let mut size_of_set = 21;
        if k > 5 {
            let mut power = 1_usize;
            while power < 3 * k {
                power = power.saturating_mul(4);
            }
            size_of_set += power;
        }
        let mut drawn = Vec::with_capacity(k);
        if n <= size_of_set {
            let mut pool: Vec<usize> = (0..n).collect();
            for taken in 0..k {
                let index = self.below((n - taken) as u64) as usize;
                drawn.push(pool.swap_remove(index));
            }
        } else {
            let mut seen = rustc_hash::FxHashSet::default();
            while drawn.len() < k {
                let index = self.below(n as u64) as usize;
                if seen.insert(index) {
                    drawn.push(index);
                }
            }
        }
        Some(drawn)
    }

    /// Permutes: `random.shuffle(items)`.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            let other = self.below(last as u64 + 1) as usize;
            items.swap(last, other);
        }
    }
}

/// Changes a word by the one before it, and returns the index of the next word to change: the first one only repeats the last.
fn mix(state: &mut [u32; WORDS], index: usize, factor: u32, add: u32) -> usize {
    let last = state[index - 1];
    state[index] = (state[index] ^ (last ^ (last >> 30)).wrapping_mul(factor)).wrapping_add(add);
    if index + 1 < WORDS {
        return index + 1;
    }
    state[0] = state[WORDS - 1];
    1
}

/// Numbers of CPython 3.11.7.
#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_short_and_long_seeds() {
        let words = |seed| {
            let mut random = Random::seeded(seed);
            let first = [random.word(), random.word(), random.word()];
            let late = (3..1500).fold(0, |_, _| random.word());
            (first, late)
        };
        assert_eq!(words(0), ([3626764237, 1654615998, 3255389356], 1652152644));
        assert_eq!(words(42), ([2746317213, 478163327, 107420369], 1084044802));
        assert_eq!(words(4294967295), ([2728839433, 2661025012, 872737089], 1493243813));
        assert_eq!(words(4294967296), ([485306839, 1508871100, 1794561286], 1731669011));
        assert_eq!(words(1311768467463790320), ([3646699384, 2523371432, 4144361526], 192062454));
    }

    #[test]
    fn floats_and_ranges() {
        let mut random = Random::seeded(7);
        assert_eq!([random.random(), random.random()], [0.32383276483316237, 0.15084917392450192]);
        assert_eq!(random.uniform(19.99, 27.99), 25.19747578431883);
        assert_eq!(random.uniform(5.0, -3.5), 4.3842915633258865);
    }

    #[test]
    fn bits_and_bounds() {
        let mut random = Random::seeded(1);
        assert_eq!(
            [1, 5, 31, 32, 33, 48, 64].map(|bits| random.bits(bits)),
            [0, 18, 1819850095, 3445702192, 3280387012, 33188307809340, 14037279428536751483]
        );
        assert_eq!((random.bits(0), random.below(0)), (0, 0));
        assert_eq!(
            [1, 2, 3, 4, 1000, 2147483648, 4294967296, 4294967297, 1099511627776].map(|n| random.below(n)),
            [0, 1, 2, 3, 807, 901749037, 403123852, 3589583794, 586028475693]
        );
    }

    #[test]
    fn samples_by_list_and_by_set() {
        let mut random = Random::seeded(3);
        assert_eq!(random.sample(4, 2).unwrap(), [1, 2]);
        assert_eq!(random.sample(2, 2).unwrap(), [0, 1]);
        assert_eq!(random.sample(21, 5).unwrap(), [19, 15, 18, 2, 0]);
        assert_eq!(random.sample(22, 5).unwrap(), [15, 8, 17, 7, 6]);
        assert_eq!(random.sample(85, 6).unwrap(), [60, 69, 70, 84, 50, 19]);
        assert_eq!(random.sample(86, 6).unwrap(), [29, 81, 19, 66, 49, 1]);
        assert_eq!(
            random.sample(277, 50).unwrap(),
            [
                32, 81, 21, 154, 15, 137, 242, 198, 218, 202, 227, 68, 187, 49, 18, 69, 253, 111, 132, 223,
                273, 215, 129, 213, 98, 146, 89, 136, 149, 104, 248, 59, 231, 86, 174, 234, 237, 7, 219, 71,
                155, 171, 178, 41, 241, 220, 83, 138, 251, 145
            ]
        );
        assert_eq!(
            random.sample(278, 50).unwrap(),
            [
                53, 108, 136, 145, 63, 32, 246, 247, 45, 176, 34, 210, 77, 10, 150, 218, 212, 60, 22, 23,
                193, 169, 142, 258, 120, 18, 158, 3, 39, 55, 274, 16, 101, 208, 149, 134, 79, 21, 173, 160,
                184, 70, 192, 235, 266, 197, 52, 259, 138, 220
            ]
        );
        assert_eq!(random.sample(3, 4), None);
        assert_eq!(random.sample(0, 0), Some(vec![]));
        assert_eq!(random.word(), 2724256572);
    }

    #[test]
    fn a_shuffle_of_many() {
        let mut random = Random::seeded(233);
        let mut few: Vec<u32> = (0..12).collect();
        random.shuffle(&mut few);
        assert_eq!(few, [5, 9, 0, 1, 4, 7, 6, 3, 8, 2, 11, 10]);
        let mut many: Vec<u32> = (0..6910).collect();
        random.shuffle(&mut many);
        assert_eq!(
            (&many[..4], &many[6906..]),
            (&[1254, 3470, 973, 1414][..], &[5864, 5680, 1916, 2200][..])
        );
        assert_eq!(random.word(), 600279881);
    }
}
