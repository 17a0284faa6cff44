//! The best of many scored documents.

/// Keeps the best documents of those pushed in ascending order.
#[derive(Debug, Default)]
pub(super) struct Top {
    limit: usize,
    /// Scores in the upper half, complements of numbers in the lower half: a greater key is better, and no two are equal.
    keys: Vec<u64>,
    /// Keys up to this one are not among the best.
    floor: u64,
}

impl Top {
    pub(super) fn reset(&mut self, limit: usize) {
        self.limit = limit;
        self.keys.clear();
        self.floor = 0;
    }

    /// Score that a later document must exceed.
    pub(super) fn threshold(&self) -> f32 {
        if self.floor == 0 { f32::NEG_INFINITY } else { f32::from_bits((self.floor >> 32) as u32) }
    }

    /// Adds a document with a score of 0 or more.
    #[inline]
    pub(super) fn push(&mut self, score: f32, document: u32) {
        let key = u64::from(score.to_bits()) << 32 | u64::from(!document);
        if key > self.floor {
            self.keys.push(key);
            if self.keys.len() >= 4 * self.limit.max(64) {
                self.select();
            }
        }
    }

    /// Drops what is not among the best, which raises the threshold.
    pub(super) fn select(&mut self) {
        if self.limit > 0 && self.keys.len() >= self.limit {
            let (_, &mut last, _) = self.keys.select_nth_unstable_by(self.limit - 1, |a, b| b.cmp(a));
            self.floor = last;
            self.keys.truncate(self.limit);
        }
    }

    /// The documents, best first, equal scores in ascending order.
    pub(super) fn documents(&mut self) -> impl Iterator<Item = u32> {
        self.select();
        self.keys.sort_unstable_by(|a, b| b.cmp(a));
        self.keys.iter().map(|&key| !(key as u32))
    }
}
