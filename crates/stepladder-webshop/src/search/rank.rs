//! Ranking: the sums of BM25, window by window, without the documents that cannot be among the best.
//!
//! Terms whose bounds together do not reach the worst of the best so far make no document a hit by themselves; they are looked
//! up only for documents that other terms have (MaxScore: H. Turtle and J. Flood, Query evaluation, 1995). The order of the
//! sums does not matter: a sum of `f32` of similar size is exact in `f64`. Lucene sums so too and rounds the sum to `f32`.

use super::bm25;
use super::index::{Index, Scratch};

/// Documents that are scored together: their scores fit into the first cache.
pub(super) const WINDOW: usize = 4096;

/// Score of a document that no term was added to: a negative zero, to which any share adds up to a positive number or zero.
pub(super) const UNTOUCHED: f64 = -0.0;

/// Bounds are raised by this share, which covers their rounding.
const MARGIN: f64 = 1.0 + 1e-9;

/// A term of a query.
#[derive(Debug, Clone, Copy)]
pub(super) struct Clause {
    /// Places that were not scored yet.
    next: usize,
    end: usize,
    /// Inverse document frequency times the number of times in the query.
    weight: f32,
    /// The most that this and all clauses before it can add to a score.
    bound: f64,
}

impl Index {
    /// Puts the best documents for a query, as ranks, into `scratch.top`.
    pub(super) fn rank(&self, scratch: &mut Scratch, query: &str, limit: usize) {
        scratch.top.reset(limit.min(self.documents.len()));
        if limit == 0 || self.is_empty() {
            return;
        }
        scratch.scores.resize(scratch.scores.len().max(WINDOW.min(self.documents.len())), UNTOUCHED);
        self.plan(scratch, query);
        let Scratch { clauses, scores, top, .. } = scratch;
        for start in (0..self.documents.len()).step_by(WINDOW) {
            let threshold = f64::from(top.threshold());
            let optional = clauses.partition_point(|clause| clause.bound <= threshold);
            if optional == clauses.len() {
                return;
            }
            let (optional, required) = clauses.split_at_mut(optional);
            let end = self.documents.len().min(start + WINDOW);
            for clause in required {
                self.accumulate(clause, scores, start, end);
            }
            for (score, rank) in scores.iter_mut().zip(start..end) {
                let sum = std::mem::replace(score, UNTOUCHED);
                if sum.is_sign_positive()
                    && let Some(sum) = self.complete(optional, sum, rank as u32, threshold)
                {
                    top.push(sum as f32, rank as u32);
                }
            }
            top.select();
        }
    }

    /// Turns a query into clauses, those with the least bounds first.
    fn plan(&self, scratch: &mut Scratch, query: &str) {
        let Scratch { analyzer, terms, clauses, .. } = scratch;
        terms.clear();
        analyzer.analyze(query, |term| terms.extend(self.terms.get(term)));
        terms.sort_unstable();
        clauses.clear();
        for run in terms.chunk_by(|a, b| a == b) {
            let places = self.postings.of(run[0]);
            // A repeated term is one term with a boost, as in Anserini's `BagOfWordsQueryGenerator`.
            let weight = run.len() as f32 * bm25::idf(self.filled, places.len() as u32);
            let bound = f64::from(bm25::score(weight, self.saturation[run[0] as usize]));
            clauses.push(Clause { next: places.start, end: places.end, weight, bound });
        }
        clauses.sort_unstable_by(|a, b| a.bound.total_cmp(&b.bound));
        let mut sum = 0.0;
        for clause in clauses {
            sum += clause.bound * MARGIN;
            clause.bound = sum;
        }
    }

    /// Adds the shares of a clause to the scores of a window.
    fn accumulate(&self, clause: &mut Clause, scores: &mut [f64], start: usize, end: usize) {
        let places = clause.next..clause.end;
        let stop =
            if end < self.documents.len() { self.postings.seek(places, end as u32) } else { places.end };
        let lengths = &self.lengths[start..end];
        for (document, frequency) in self.postings.read(clause.next..stop) {
            let at = document as usize - start;
            let saturation = frequency as f32 * self.norms[usize::from(lengths[at])];
            scores[at] += f64::from(bm25::score(clause.weight, saturation));
        }
        clause.next = stop;
    }

    /// Adds the shares of optional clauses to a document's sum; `None` if it stays among the worse.
    fn complete(&self, clauses: &mut [Clause], sum: f64, rank: u32, threshold: f64) -> Option<f64> {
        let mut sum = sum;
        for clause in clauses.iter_mut().rev() {
            if sum + clause.bound <= threshold {
                return None;
            }
            clause.next = self.postings.seek(clause.next..clause.end, rank);
            let mut found = self.postings.read(clause.next..clause.end).take(1);
            if let Some((_, frequency)) = found.next().filter(|&(document, _)| document == rank) {
                let norm = self.norms[usize::from(self.lengths[rank as usize])];
                sum += f64::from(bm25::score(clause.weight, frequency as f32 * norm));
            }
        }
        Some(sum)
    }
}
