//! Lists of the documents that contain a term.

use std::ops::Range;

/// Where each term is: ranks of documents in ascending order, with a code of the saturation in the lower bits.
///
/// The saturation is the frequency of the term times the norm of the document's length. A shop has few pairs of these, so that a code
/// of eight bits stands for nearly every one of them.
#[derive(Debug)]
pub(super) struct Postings {
    entries: Vec<u32>,
    /// Where the entries of each term start, and the end.
    starts: Vec<usize>,
    /// Bits of an entry that hold the code.
    bits: u32,
    /// Saturations by codes; at most one fewer than there are codes, the last of which stands for all others.
    saturations: Vec<f32>,
    /// Places of entries with a saturation that has no code, in ascending order, and these saturations.
    others: Vec<(usize, f32)>,
}

impl Postings {
    /// Makes space for terms that are in these numbers of documents, for ranks below `documents`, at most 2³¹. `saturations` are the most
    /// frequent ones first; those without a code are ignored.
    pub(super) fn new(containing: &[u32], documents: usize, saturations: impl Iterator<Item = f32>) -> Self {
        let mut starts = Vec::with_capacity(containing.len() + 1);
        let mut total = 0;
        for &count in containing {
            starts.push(total);
            total += count as usize;
        }
        starts.push(total);
        let bits = (documents.saturating_sub(1) as u32).leading_zeros().clamp(1, 8);
        let saturations = saturations.take((1 << bits) - 1).collect();
        Self { entries: vec![0; total], starts, bits, saturations, others: Vec::new() }
    }

    pub(super) fn starts(&self) -> &[usize] {
        &self.starts
    }

    /// Fills a place. `code` is the number of the saturation among those of [`Postings::new`].
    pub(super) fn set(&mut self, place: usize, document: u32, code: usize, saturation: f32) {
        let code = if code < self.saturations.len() {
            code
        } else {
            self.others.push((place, saturation));
            self.saturations.len()
        };
        self.entries[place] = document << self.bits | code as u32;
    }

    /// To be called after the last place is filled.
    pub(super) fn finish(&mut self) {
        self.others.sort_unstable_by_key(|&(place, _)| place);
        self.others.shrink_to_fit();
    }

    /// Places of a term.
    pub(super) fn of(&self, term: u32) -> Range<usize> {
        self.starts[term as usize]..self.starts[term as usize + 1]
    }

    /// Document and saturation at each of some places.
    #[inline]
    pub(super) fn read(&self, places: Range<usize>) -> impl Iterator<Item = (u32, f32)> {
        let mask = (1 << self.bits) - 1;
        let first = places.start;
        self.entries[places].iter().enumerate().map(move |(offset, &entry)| {
            let coded = self.saturations.get((entry & mask) as usize);
            (entry >> self.bits, coded.copied().unwrap_or_else(|| self.other(first + offset)))
        })
    }

    /// The document at a place.
    pub(super) fn document(&self, place: usize) -> u32 {
        self.entries[place] >> self.bits
    }

    #[cold]
    fn other(&self, place: usize) -> f32 {
        self.others.binary_search_by_key(&place, |&(at, _)| at).map_or(0.0, |found| self.others[found].1)
    }

    /// The first of some places whose document is `document` or later; the end if there is none.
    pub(super) fn seek(&self, places: Range<usize>, document: u32) -> usize {
        let entries = &self.entries[places.clone()];
        // The document is likely near: double the distance until it is passed.
        let mut reach = 1;
        while reach < entries.len() && entries[reach] >> self.bits < document {
            reach *= 2;
        }
        let near = &entries[reach / 2..entries.len().min(reach + 1)];
        places.start + reach / 2 + near.partition_point(|entry| entry >> self.bits < document)
    }

    pub(super) fn memory(&self) -> usize {
        self.entries.capacity() * 4
            + self.starts.capacity() * size_of::<usize>()
            + self.others.capacity() * 16
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn saturations_with_and_without_a_code_are_kept() {
        // 2³⁰ documents leave two bits: three codes, and one for the others.
        let saturations = [0.5, 1.5, 2.5, 3.5, 4.5];
        let mut postings = Postings::new(&[2, 3], 1 << 30, saturations.into_iter());
        for (place, document, code) in [(2, 0, 4), (0, 1, 0), (3, 2, 2), (1, 3, 3), (4, (1 << 30) - 1, 1)] {
            postings.set(place, document, code, saturations[code]);
        }
        postings.finish();
        let read = |term| postings.read(postings.of(term)).collect::<Vec<_>>();
        assert_eq!(read(0), [(1, 0.5), (3, 3.5)]);
        assert_eq!(read(1), [(0, 4.5), (2, 2.5), ((1 << 30) - 1, 1.5)]);
    }

    #[test]
    fn seeking_finds_the_first_at_or_after() {
        let mut postings = Postings::new(&[40], 1000, [1.0].into_iter());
        for place in 0..40 {
            postings.set(place, 3 * place as u32, 0, 1.0);
        }
        for start in 0..=40 {
            for document in 0..130 {
                let found = postings.seek(start..40, document);
                let expected = (start..40).find(|&place| 3 * place as u32 >= document).unwrap_or(40);
                assert_eq!(found, expected, "{document} from {start}");
            }
        }
    }
}
