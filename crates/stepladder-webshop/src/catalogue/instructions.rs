//! Attributes of products, and the instructions from which goals are made.

use std::path::Path;

use serde::Deserialize;
use stepladder_env::EnvError;

use super::{Files, stream};
use crate::asin::ByAsin;
use crate::product::Product;

/// What a customer wants of a product.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instruction {
    /// Number of the product.
    pub product: u32,
    /// Text, to which options and price are added.
    pub text: Box<str>,
    /// Attributes that the bought product must have, at least one.
    pub attributes: Box<[Box<str>]>,
    /// Values of options in an instruction written by a person. None in a synthetic one, which stands for every combination of the
    /// product's options.
    pub options: Option<Box<[Box<str>]>>,
}

/// Reads the attributes into the products, and returns the instructions in the order of the products.
pub(super) fn load(
    files: &Files,
    products: &mut [Product],
    by_asin: &ByAsin,
) -> Result<Vec<Instruction>, EnvError> {
    let mut synthetic = attributes(files, products, by_asin)?;
    let (path, mut instructions) = match &files.human {
        Some(path) => (path, human(path, products, by_asin)?),
        None => (&files.attributes, std::mem::take(&mut synthetic)),
    };
    if instructions.is_empty() {
        return Err(foreign(path, "instruction", products.len(), files));
    }
    // Stable: a person's instructions for one product keep their order.
    instructions.sort_by_key(|instruction| instruction.product);
    instructions.shrink_to_fit();
    Ok(instructions)
}

/// Nothing in a file is for the products.
fn foreign(path: &Path, what: &str, products: usize, files: &Files) -> EnvError {
    let reason = format!(
        "no {what} is for any of the {products} products of {}: the files belong to different catalogues, or this one is empty; \
         fetch both files of one catalogue (`stepladder data status` shows where they come from)",
        files.products.display()
    );
    EnvError::Data { path: path.to_owned(), reason }
}

/// An entry of `items_ins_v2.json`.
#[derive(Deserialize)]
struct Annotation {
    attributes: Option<Box<[Box<str>]>>,
    instruction: Option<Box<str>>,
    instruction_attributes: Option<Box<[Box<str>]>>,
}

fn attributes(
    files: &Files,
    products: &mut [Product],
    by_asin: &ByAsin,
) -> Result<Vec<Instruction>, EnvError> {
    let mut found = Vec::new();
    let mut known = false;
    // The products are borrowed by both callbacks, the identifiers and the attributes.
    let products = std::cell::RefCell::new(products);
    let number = |asin: &str| by_asin.exactly(&products.borrow(), asin);
    stream::object(&files.attributes, None, number, |product, annotation: Annotation| {
        known = true;
        if let Some(attributes) = annotation.attributes {
            products.borrow_mut()[product as usize].attributes = attributes;
        }
        let Some(text) = annotation.instruction else { return Ok(()) };
        let attributes = annotation.instruction_attributes.unwrap_or_default();
        if attributes.is_empty() {
            return Err("an instruction needs at least one entry in `instruction_attributes`".to_owned());
        }
        found.push(Instruction { product, text, attributes, options: None });
        Ok(())
    })?;
    if known {
        return Ok(found);
    }
    let count = products.borrow().len();
    Err(foreign(&files.attributes, "entry", count, files))
}

/// An instruction of `items_human_ins.json`.
#[derive(Deserialize)]
struct Written {
    instruction: String,
    instruction_attributes: Box<[Box<str>]>,
    instruction_options: Box<[Box<str>]>,
}

fn human(path: &Path, products: &[Product], by_asin: &ByAsin) -> Result<Vec<Instruction>, EnvError> {
    let mut found = Vec::new();
    let number = |asin: &str| by_asin.exactly(products, asin);
    stream::object(path, None, number, |product, all: Vec<Written>| {
        // An instruction without attributes makes no goal.
        let useful = all.into_iter().filter(|written| !written.instruction_attributes.is_empty());
        found.extend(useful.map(|written| Instruction {
            product,
            text: written.instruction.trim_matches('.').into(),
            attributes: written.instruction_attributes,
            options: Some(written.instruction_options),
        }));
        Ok(())
    })?;
    Ok(found)
}
