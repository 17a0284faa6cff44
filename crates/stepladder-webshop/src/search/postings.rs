//! Lists of the documents that contain a term.

/// Where each term is: ranks of documents in ascending order, with the frequency in the lower bits.
#[derive(Debug)]
pub(super) struct Postings {
    entries: Vec<u32>,
    /// Where the entries of each term start, and the end.
    starts: Vec<usize>,
    /// Bits of an entry that hold the frequency.
    bits: u32,
    /// Places of entries whose frequency does not fit, in ascending order, and these frequencies.
    large: Vec<(usize, u32)>,
}

impl Postings {
    /// Makes room for terms, given the number of documents that each is in.
    pub(super) fn new(containing: &[u32], documents: usize) -> Self {
        let mut starts = Vec::with_capacity(containing.len() + 1);
        let mut total = 0;
        for &count in containing {
            starts.push(total);
            total += count as usize;
        }
        starts.push(total);
        let bits = (documents.saturating_sub(1) as u32).leading_zeros().clamp(1, 8);
        Self { entries: vec![0; total], starts, bits, large: Vec::new() }
    }

    pub(super) fn starts(&self) -> &[usize] {
        &self.starts
    }

    /// Fills a place.
    pub(super) fn set(&mut self, place: usize, document: u32, frequency: u32) {
        let largest = (1 << self.bits) - 1;
        self.entries[place] = document << self.bits | frequency.min(largest);
        if frequency >= largest {
            self.large.push((place, frequency));
        }
    }

    /// To be called after the last place is filled.
    pub(super) fn finish(&mut self) {
        self.large.sort_unstable();
        self.large.shrink_to_fit();
    }

    /// Places of a term.
    pub(super) fn of(&self, term: u32) -> std::ops::Range<usize> {
        self.starts[term as usize]..self.starts[term as usize + 1]
    }

    /// Document and frequency at each of some places.
    #[inline]
    pub(super) fn read(&self, places: std::ops::Range<usize>) -> impl Iterator<Item = (u32, u32)> {
        let largest = (1 << self.bits) - 1;
        let first = places.start;
        self.entries[places].iter().enumerate().map(move |(offset, &entry)| {
            let frequency = entry & largest;
            (entry >> self.bits, if frequency == largest { self.large(first + offset) } else { frequency })
        })
    }

    #[cold]
    fn large(&self, place: usize) -> u32 {
        self.large.binary_search_by_key(&place, |&(at, _)| at).map_or(0, |found| self.large[found].1)
    }

    /// The first of some places whose document is `document` or later; the end if there is none.
    pub(super) fn seek(&self, places: std::ops::Range<usize>, document: u32) -> usize {
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
        self.entries.capacity() * 4 + self.starts.capacity() * size_of::<usize>() + self.large.capacity() * 16
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frequencies_of_every_size_are_kept() {
        let frequencies = [1, 254, 255, 256, 70_000];
        let mut postings = Postings::new(&[2, 3], 5);
        for (document, place) in [(0, 2), (1, 0), (2, 3), (3, 1), (4, 4)] {
            postings.set(place, document, frequencies[document as usize]);
        }
        postings.finish();
        let read = |term| postings.read(postings.of(term)).collect::<Vec<_>>();
        assert_eq!(read(0), [(1, 254), (3, 256)]);
        assert_eq!(read(1), [(0, 1), (2, 255), (4, 70_000)]);
    }

    #[test]
    fn seeking_finds_the_first_at_or_after() {
        let mut postings = Postings::new(&[40], 1000);
        for place in 0..40 {
            postings.set(place, 3 * place as u32, 1);
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
