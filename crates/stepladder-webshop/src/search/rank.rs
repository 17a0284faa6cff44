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

/// Number of places whose reading takes as long as seeking one.
const SEEK: usize = 16;

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
        let Scratch { clauses, scores, candidates, top, .. } = scratch;
        for start in (0..self.documents.len()).step_by(WINDOW) {
            let threshold = f64::from(top.threshold());
            let optional = clauses.partition_point(|clause| clause.bound <= threshold);
            let (optional, required) = clauses.split_at_mut(optional);
            if required.is_empty() {
                return;
            }
            let end = self.documents.len().min(start + WINDOW);
            let scores = &mut scores[..end - start];
            for clause in required {
                self.accumulate(clause, scores, start);
            }
            candidates.clear();
            let beyond = optional.last().map_or(0.0, |clause| clause.bound);
            candidates.extend(
                (0..)
                    .zip(&*scores)
                    .filter(|(_, score)| may_win(**score, beyond, threshold))
                    .map(|(at, _)| at),
            );
            for clause in optional.iter_mut().rev() {
                candidates.retain(|&at| may_win(scores[at as usize], clause.bound, threshold));
                self.complete(clause, scores, start, candidates);
            }
            for &at in &*candidates {
                top.push(scores[at as usize] as f32, start as u32 + at);
            }
            scores.fill(UNTOUCHED);
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
            let bound = f64::from(bm25::score(weight, self.most[run[0] as usize]));
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
    fn accumulate(&self, clause: &mut Clause, scores: &mut [f64], start: usize) {
        let stop = self.stop(clause, scores, start);
        self.add(clause, scores, start, stop);
    }

    /// Where the places of a clause in a window end.
    fn stop(&self, clause: &Clause, scores: &[f64], start: usize) -> usize {
        let end = start + scores.len();
        if end < self.documents.len() {
            self.postings.seek(clause.next..clause.end, end as u32)
        } else {
            clause.end
        }
    }

    fn add(&self, clause: &mut Clause, scores: &mut [f64], start: usize, stop: usize) {
        for (document, saturation) in self.postings.read(clause.next..stop) {
            scores[document as usize - start] += f64::from(bm25::score(clause.weight, saturation));
        }
        clause.next = stop;
    }

    /// Adds the shares of a clause to the scores of at least the candidates.
    fn complete(&self, clause: &mut Clause, scores: &mut [f64], start: usize, candidates: &[u32]) {
        let stop = self.stop(clause, scores, start);
        if stop - clause.next < SEEK * candidates.len() {
            return self.add(clause, scores, start, stop);
        }
        for &at in candidates {
            clause.next = self.postings.seek(clause.next..stop, start as u32 + at);
            if clause.next < stop && self.postings.document(clause.next) == start as u32 + at {
                self.add(clause, scores, start, clause.next + 1);
            }
        }
        clause.next = stop;
    }
}

/// Whether a document that has a score, and can gain up to `bound`, may be among the best.
#[inline]
fn may_win(score: f64, bound: f64, threshold: f64) -> bool {
    // Without a threshold all count that have a score, which may be 0.
    score.is_sign_positive() & (score + bound > threshold)
}
