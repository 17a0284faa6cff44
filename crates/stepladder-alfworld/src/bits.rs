//! Binary relations between numbered things, one bit per pair.

/// A bit matrix.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct BitMatrix {
    words_per_row: usize,
    words: Vec<u64>,
}

impl BitMatrix {
    pub(crate) fn new(rows: usize, columns: usize) -> Self {
        let words_per_row = columns.div_ceil(64);
        Self { words_per_row, words: vec![0; rows * words_per_row] }
    }

    pub(crate) fn get(&self, row: usize, column: usize) -> bool {
        let word = self.words[row * self.words_per_row + column / 64];
        word >> (column % 64) & 1 == 1
    }

    pub(crate) fn set(&mut self, row: usize, column: usize, value: bool) {
        let word = &mut self.words[row * self.words_per_row + column / 64];
        let bit = 1 << (column % 64);
        if value {
            *word |= bit;
        } else {
            *word &= !bit;
        }
    }

    fn words_of(&self, row: usize) -> &[u64] {
        &self.words[row * self.words_per_row..(row + 1) * self.words_per_row]
    }

    /// Iterates over the columns set in a row, ascending.
    pub(crate) fn row(&self, row: usize) -> impl Iterator<Item = usize> + '_ {
        ones(self.words_of(row).iter().copied())
    }

    /// Iterates over the columns set in a row of this matrix and in a row of `other`, ascending. Both have the same
    /// number of columns.
    pub(crate) fn common<'a>(
        &'a self,
        row: usize,
        other: &'a Self,
        other_row: usize,
    ) -> impl Iterator<Item = usize> + 'a {
        ones(self.words_of(row).iter().zip(other.words_of(other_row)).map(|(a, b)| a & b))
    }

    /// Copies from `other`, which has the same shape, without allocating.
    pub(crate) fn copy_from(&mut self, other: &Self) {
        self.words_per_row = other.words_per_row;
        self.words.clone_from(&other.words);
    }
}

fn ones(words: impl Iterator<Item = u64>) -> impl Iterator<Item = usize> {
    words.enumerate().flat_map(|(index, mut word)| {
        std::iter::from_fn(move || {
            let bit = word.trailing_zeros() as usize;
            (word != 0).then(|| {
                word &= word - 1;
                index * 64 + bit
            })
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_list_what_was_set() {
        let mut matrix = BitMatrix::new(3, 130);
        for column in [0, 63, 64, 129] {
            matrix.set(1, column, true);
        }
        matrix.set(1, 64, false);
        assert_eq!(matrix.row(1).collect::<Vec<_>>(), [0, 63, 129]);
        assert_eq!(matrix.row(0).count() + matrix.row(2).count(), 0);
        let mut mask = BitMatrix::new(1, 130);
        mask.set(0, 129, true);
        mask.set(0, 64, true);
        assert_eq!(matrix.common(1, &mask, 0).collect::<Vec<_>>(), [129]);
    }
}
