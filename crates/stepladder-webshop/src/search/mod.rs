//! Search that ranks as the original's: Lucene 9's English analysis and BM25, as Anserini sets them up.
//!
//! The original searches through Pyserini's `LuceneSearcher` over an index of Anserini (`engine.py`,
//! `get_top_n_product_from_keywords`). One field per product, [`contents()`], is indexed; a query is a bag of words.
//!
//! ```
//! use stepladder_webshop::search::Index;
//! let shop = [("B2", "red running shoes"), ("B1", "running shoe, red"), ("B3", "blue mug")];
//! let index = Index::build(shop.map(|(asin, text)| (asin, text.to_owned())));
//! // Equal scores are ordered by identifier.
//! assert_eq!(index.search("Red Shoes", 50), [1, 0]);
//! ```

mod analyze;
mod bm25;
mod build;
mod classes;
mod contents;
mod index;
mod porter;
mod postings;
mod rank;
mod terms;
mod top;
mod words;

pub use analyze::{Analyzer, analyze};
pub use contents::contents;
pub use index::{Index, Scratch};
