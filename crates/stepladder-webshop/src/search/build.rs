//! Building an index: documents one after another into a forward list, which is then inverted.

use super::analyze::Analyzer;
use super::bm25;
use super::index::Index;
use super::postings::Postings;
use super::terms::Terms;

/// An index that is being built.
///
/// Terms and frequencies of each document lie in [`Builder::forward`], about two bytes a term, until [`Builder::finish`].
#[derive(Debug, Default)]
pub(super) struct Builder {
    analyzer: Analyzer,
    terms: Terms,
    /// In how many documents each term is.
    containing: Vec<u32>,
    forward: Vec<u8>,
    /// Where each document ends in `forward`.
    ends: Vec<usize>,
    /// Codes of the documents' lengths.
    lengths: Vec<u8>,
    pairs: Pairs,
    /// Identifiers in one buffer, and where each ends.
    asins: String,
    asin_ends: Vec<usize>,
    /// Documents with a term.
    filled: u32,
    tokens: u64,
    /// Numbers of the terms of one document.
    document: Vec<u32>,
}

impl Builder {
    pub(super) fn add(&mut self, asin: &str, contents: &str) {
        self.document.clear();
        self.analyzer.analyze(contents, |term| self.document.push(self.terms.insert(term)));
        self.containing.resize(self.terms.len(), 0);
        self.document.sort_unstable();
        let length = self.document.len();
        let code = bm25::encode_length(u32::try_from(length).unwrap_or(u32::MAX));
        let mut last = 0;
        for run in self.document.chunk_by(|a, b| a == b) {
            let (term, frequency) = (run[0], run.len() as u32);
            self.containing[term as usize] += 1;
            self.pairs.count(frequency, code);
            // The lowest bit says whether a frequency above 1 follows.
            write(&mut self.forward, u64::from(term - last) << 1 | u64::from(frequency > 1));
            if frequency > 1 {
                write(&mut self.forward, u64::from(frequency));
            }
            last = term;
        }
        self.filled += u32::from(length > 0);
        self.tokens += length as u64;
        self.lengths.push(code);
        self.ends.push(self.forward.len());
        self.asins.push_str(asin);
        self.asin_ends.push(self.asins.len());
    }

    pub(super) fn finish(mut self) -> Index {
        let documents = self.in_order();
        let average = (self.tokens as f64 / f64::from(self.filled.max(1))) as f32;
        let norms = bm25::norms(average);
        let (ordered, codes) = self.pairs.in_order();
        let saturations =
            ordered.iter().map(|&(frequency, code)| frequency as f32 * norms[usize::from(code)]);
        let mut postings = Postings::new(&self.containing, documents.len(), saturations);
        let mut next: Vec<usize> = postings.starts().to_vec();
        let mut most = vec![0.0f32; self.terms.len()];
        for (rank, &document) in documents.iter().enumerate() {
            let length = self.lengths[document as usize];
            for (term, frequency) in self.terms_of(document as usize) {
                let saturation = frequency as f32 * norms[usize::from(length)];
                let code = Pairs::place(frequency, length).map_or(usize::MAX, |place| codes[place]);
                postings.set(next[term], rank as u32, code, saturation);
                next[term] += 1;
                most[term] = most[term].max(saturation);
            }
        }
        postings.finish();
        self.terms.shrink();
        Index { terms: self.terms, postings, most, documents, filled: self.filled }
    }

    /// Documents in ascending order of identifiers, in which the original orders equal scores.
    fn in_order(&mut self) -> Vec<u32> {
        let asins = std::mem::take(&mut self.asins);
        let ends = std::mem::take(&mut self.asin_ends);
        let mut documents: Vec<u32> = (0..ends.len() as u32).collect();
        documents.sort_by_key(|&document| &asins.as_bytes()[part(&ends, document as usize)]);
        documents
    }

    /// Terms of a document and their frequencies.
    fn terms_of(&self, document: usize) -> impl Iterator<Item = (usize, u32)> {
        let mut bytes = &self.forward[part(&self.ends, document)];
        let mut term = 0;
        std::iter::from_fn(move || {
            let step = read(&mut bytes)?;
            term += (step >> 1) as usize;
            let frequency = if step & 1 == 1 { read(&mut bytes)? as u32 } else { 1 };
            Some((term, frequency))
        })
    }
}

/// How often terms have a frequency in documents of a length.
#[derive(Debug)]
struct Pairs {
    counts: Vec<u32>,
}

impl Default for Pairs {
    fn default() -> Self {
        Self { counts: vec![0; Self::FREQUENCIES * 256] }
    }
}

impl Pairs {
    /// Frequencies above are rare and not counted.
    const FREQUENCIES: usize = 256;

    fn place(frequency: u32, length: u8) -> Option<usize> {
        let frequency = frequency as usize;
        (frequency < Self::FREQUENCIES).then_some(frequency << 8 | usize::from(length))
    }

    fn count(&mut self, frequency: u32, length: u8) {
        if let Some(place) = Self::place(frequency, length) {
            self.counts[place] = self.counts[place].saturating_add(1);
        }
    }

    /// Pairs of frequency and length, the most frequent first, and the place in this order of every pair.
    fn in_order(&self) -> (Vec<(u32, u8)>, Vec<usize>) {
        let mut places: Vec<usize> = (0..self.counts.len()).filter(|&place| self.counts[place] > 0).collect();
        places.sort_by_key(|&place| std::cmp::Reverse(self.counts[place]));
        let mut codes = vec![usize::MAX; self.counts.len()];
        for (code, &place) in places.iter().enumerate() {
            codes[place] = code;
        }
        (places.iter().map(|&place| ((place >> 8) as u32, place as u8)).collect(), codes)
    }
}

/// The range of a part, given where each part ends.
fn part(ends: &[usize], number: usize) -> std::ops::Range<usize> {
    number.checked_sub(1).map_or(0, |before| ends[before])..ends[number]
}

/// Seven bits a byte, the lowest first; the highest bit says that more follow.
fn write(bytes: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
}

fn read(bytes: &mut &[u8]) -> Option<u64> {
    let (mut value, mut shift) = (0, 0);
    loop {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(value);
        }
        shift += 7;
    }
}
