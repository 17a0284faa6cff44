//! Catalogues of products, from the files of the original.

mod instructions;
mod row;
pub(crate) mod stream;

use std::path::PathBuf;

use stepladder_env::EnvError;

use crate::asin::ByAsin;
use crate::nouns::{Nouns, Tagger};
use crate::product::Product;

pub use instructions::Instruction;

/// Files of a catalogue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Files {
    /// Products: `items_shuffle.json`, or one of its beginnings. It is read in one pass and never held as a whole.
    pub products: PathBuf,
    /// Attributes and synthetic instructions by identifier: `items_ins_v2.json`.
    pub attributes: PathBuf,
    /// Instructions written by people, by identifier: `items_human_ins.json`. Where it is given, goals are made from these
    /// (`human_goals` of the original), otherwise from the synthetic ones.
    pub human: Option<PathBuf>,
    /// Nouns of the product names.
    pub nouns: Tagger,
}

/// Products and what goals are made from.
#[derive(Debug, Clone, Default)]
pub struct Catalogue {
    /// Products.
    pub products: Vec<Product>,
    /// Products by identifier.
    pub by_asin: ByAsin,
    /// Instructions, in the order of their products.
    pub instructions: Vec<Instruction>,
    /// Nouns of the product names.
    pub nouns: Nouns,
}

impl Catalogue {
    /// Makes a catalogue of products that do not come from files. No two may have the same identifier.
    pub fn new(products: Vec<Product>, instructions: Vec<Instruction>, nouns: Nouns) -> Self {
        let by_asin = ByAsin::new(&products);
        Self { products, by_asin, instructions, nouns }
    }

    /// Reads the files of the original as its `load_products` (`engine.py`) does: products with a long or repeated identifier are
    /// skipped, options are stripped and lower case, a product without listed attributes has the attribute `DUMMY_ATTR`.
    ///
    /// `rows` reads only the first rows of the file of products (`num_products`).
    ///
    /// Unlike the original, a product that the file of attributes lacks has no instruction, where the original ends with a
    /// `KeyError`; and a text that is `null` is empty.
    ///
    /// # Errors
    /// [`EnvError::Data`] if a file is missing, truncated or malformed (with the entry), has no products, if no
    /// instruction is for any of the products, or if the table of nouns lacks a product name.
    pub fn load(files: &Files, rows: Option<usize>) -> Result<Self, EnvError> {
        let (mut products, by_asin) = row::load(&files.products, rows)?;
        let instructions = instructions::load(files, &mut products, &by_asin)?;
        let nouns = Nouns::of(&products, &files.nouns)?;
        Ok(Self { products, by_asin, instructions, nouns })
    }

    /// Finds a product by identifier, in any case.
    pub fn find(&self, asin: &str) -> Option<u32> {
        self.by_asin.find(&self.products, asin)
    }
}
