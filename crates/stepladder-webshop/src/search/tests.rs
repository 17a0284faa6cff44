use super::*;
use crate::Product;

/// Words and terms of Lucene 9.5 for made-up texts (`parity/webshop/compare.py`).
#[test]
fn analysis_is_lucenes() {}
