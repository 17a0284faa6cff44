//! The index of a shop.

use super::analyze::Analyzer;
use super::build::Builder;
use super::contents::contents;
use super::postings::Postings;
use super::rank::Clause;
use super::terms::Terms;
use super::top::Top;
use crate::Product;

/// Words of every product, for search by BM25.
///
/// It takes four bytes for each different term of each document, and about 40 for each term of the shop.
#[derive(Debug)]
pub struct Index {
    pub(super) terms: Terms,
    pub(super) postings: Postings,
    /// The greatest saturation of each term.
    pub(super) most: Vec<f32>,
    /// Numbers of documents, by rank: their place in the order of identifiers.
    pub(super) documents: Vec<u32>,
    /// Documents with at least one term.
    pub(super) filled: u32,
}

impl Index {
    /// Indexes pairs of identifier and text, numbered from 0 in their order. Only the first 2³¹ are taken.
    pub fn build<A: AsRef<str>, C: AsRef<str>>(documents: impl IntoIterator<Item = (A, C)>) -> Self {
        let mut builder = Builder::default();
        for (asin, contents) in documents.into_iter().take(1 << 31) {
            builder.add(asin.as_ref(), contents.as_ref());
        }
        builder.finish()
    }

    /// Indexes the [`contents()`] of products, with their places as numbers.
    pub fn of(products: &[Product]) -> Self {
        Self::build(products.iter().map(|product| (&product.asin, contents(product))))
    }

    /// Number of documents.
    pub fn len(&self) -> usize {
        self.documents.len()
    }

    /// Whether there is no document.
    pub fn is_empty(&self) -> bool {
        self.documents.is_empty()
    }

    /// Memory in bytes.
    pub fn memory(&self) -> usize {
        let fixed = 4 * (self.most.capacity() + self.documents.capacity());
        size_of::<Self>() + self.terms.memory() + self.postings.memory() + fixed
    }

    /// Numbers of the at most `limit` best documents for a query, best first; equal scores by identifier.
    ///
    /// The query may have any case. A query of more than 1024 different terms, which Lucene refuses, is answered.
    pub fn search(&self, query: &str, limit: usize) -> Vec<u32> {
        let mut found = Vec::new();
        self.search_with(&mut Scratch::default(), query, limit, &mut found);
        found
    }

    /// As [`Index::search`], with buffers that are kept for the next search. `found` is overwritten.
    pub fn search_with(&self, scratch: &mut Scratch, query: &str, limit: usize, found: &mut Vec<u32>) {
        self.rank(scratch, query, limit);
        found.clear();
        found.extend(scratch.top.documents().map(|rank| self.documents[rank as usize]));
    }
}

/// Buffers of a search. They serve any index.
#[derive(Debug, Default)]
pub struct Scratch {
    pub(super) analyzer: Analyzer,
    /// Numbers of the query's terms.
    pub(super) terms: Vec<u32>,
    pub(super) clauses: Vec<Clause>,
    /// Scores of the documents of a window, reset after each.
    pub(super) scores: Vec<f64>,
    /// Documents of a window that may be among the best.
    pub(super) candidates: Vec<u32>,
    pub(super) top: Top,
}
