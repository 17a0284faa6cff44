//! Cells of a board and sets of cells.

/// One cell, identified by its index in reading order: `row * columns + column`. Boards have at most 256 cells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Cell(pub(crate) u8);

impl Cell {
    /// Index in reading order.
    pub fn index(self) -> usize {
        usize::from(self.0)
    }
}

/// A set of cells, one bit each.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Cells([u64; 4]);

impl Cells {
    /// Whether a cell is in the set.
    #[inline]
    pub fn has(&self, cell: Cell) -> bool {
        self.0[cell.index() >> 6] >> (cell.0 & 63) & 1 == 1
    }

    /// Adds a cell.
    #[inline]
    pub fn add(&mut self, cell: Cell) {
        self.0[cell.index() >> 6] |= 1 << (cell.0 & 63);
    }

    /// Removes a cell.
    #[inline]
    pub fn remove(&mut self, cell: Cell) {
        self.0[cell.index() >> 6] &= !(1 << (cell.0 & 63));
    }

    /// Number of cells in the set.
    pub fn len(&self) -> usize {
        self.0.iter().map(|word| word.count_ones() as usize).sum()
    }

    /// Whether the set is empty.
    pub fn is_empty(&self) -> bool {
        self.0 == [0; 4]
    }

    /// Number of cells in both sets.
    pub fn common(&self, other: &Self) -> usize {
        self.0.iter().zip(other.0).map(|(one, two)| (one & two).count_ones() as usize).sum()
    }

    /// Iterates over the cells in reading order.
    pub fn iter(&self) -> impl Iterator<Item = Cell> {
        self.0.into_iter().enumerate().flat_map(|(word, mut bits)| {
            std::iter::from_fn(move || {
                (bits != 0).then(|| {
                    let bit = bits.trailing_zeros();
                    bits &= bits - 1;
                    Cell((word as u32 * 64 + bit) as u8)
                })
            })
        })
    }

    /// Returns the four words of the bit set, for checksums.
    pub(crate) fn words(&self) -> [u64; 4] {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_holds_what_was_added() {
        let mut set = Cells::default();
        let numbers = [0u8, 63, 64, 130, 255];
        numbers.iter().for_each(|number| set.add(Cell(*number)));
        assert_eq!(set.iter().map(|cell| cell.0).collect::<Vec<_>>(), numbers);
        assert_eq!(set.len(), 5);
        set.remove(Cell(64));
        assert!(!set.has(Cell(64)) && set.has(Cell(63)) && !set.is_empty());
        assert_eq!(set.common(&Cells([1, 2, 0, 0])), 1);
    }
}
