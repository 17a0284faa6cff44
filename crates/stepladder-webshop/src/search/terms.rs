//! Numbers of terms.

use std::hash::Hasher;

use rustc_hash::FxHasher;

/// Numbers terms from 0 in the order of their first use. All terms lie in one buffer.
#[derive(Debug, Default)]
pub(super) struct Terms {
    bytes: Vec<u8>,
    /// Where each term ends.
    ends: Vec<usize>,
    /// Numbers by hash, at most half full; [`EMPTY`] where there is none.
    slots: Vec<u32>,
}

const EMPTY: u32 = u32::MAX;

impl Terms {
    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    pub(super) fn memory(&self) -> usize {
        self.bytes.capacity() + self.ends.capacity() * size_of::<usize>() + self.slots.capacity() * 4
    }

    /// The number of a term.
    pub(super) fn get(&self, term: &[u8]) -> Option<u32> {
        if self.slots.is_empty() { None } else { self.find(term).ok() }
    }

    /// The number of a term, which is the next one if the term is new.
    pub(super) fn insert(&mut self, term: &[u8]) -> u32 {
        if self.slots.len() <= 2 * self.ends.len() {
            self.grow();
        }
        match self.find(term) {
            Ok(number) => number,
            Err(slot) => {
                let number = self.ends.len() as u32;
                self.slots[slot] = number;
                self.bytes.extend_from_slice(term);
                self.ends.push(self.bytes.len());
                number
            }
        }
    }

    pub(super) fn shrink(&mut self) {
        self.bytes.shrink_to_fit();
        self.ends.shrink_to_fit();
    }

    fn term(&self, number: u32) -> &[u8] {
        let number = number as usize;
        let start = number.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.bytes[start..self.ends[number]]
    }

    /// The number of a term, or else the slot for it.
    fn find(&self, term: &[u8]) -> Result<u32, usize> {
        let mask = self.slots.len() - 1;
        let mut slot = hash(term) & mask;
        loop {
            match self.slots[slot] {
                EMPTY => return Err(slot),
                number if self.term(number) == term => return Ok(number),
                _ => slot = (slot + 1) & mask,
            }
        }
    }

    fn grow(&mut self) {
        let size = (4 * self.ends.len()).next_power_of_two().max(16);
        self.slots = vec![EMPTY; size];
        for number in 0..self.ends.len() as u32 {
            let mut slot = hash(self.term(number)) & (size - 1);
            while self.slots[slot] != EMPTY {
                slot = (slot + 1) & (size - 1);
            }
            self.slots[slot] = number;
        }
    }
}

fn hash(term: &[u8]) -> usize {
    let mut hasher = FxHasher::default();
    hasher.write(term);
    hasher.finish() as usize
}
