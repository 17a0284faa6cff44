//! Nouns of product names, by which the original tells kinds of products apart.

use std::path::{Path, PathBuf};

use rustc_hash::FxHashMap;
use stepladder_env::EnvError;

use crate::catalogue::stream;
use crate::product::Product;

/// Where nouns come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tagger {
    /// A table from names to nouns, in the order of the name, repeated ones kept: `{"nouns": {"Blue lamp": ["lamp"]}}`.
    Table(PathBuf),
    /// Every word of letters that is no function word. The recorded episodes of the original were made with it.
    Stub,
}

/// Words that [`Tagger::Stub`] does not take for nouns.
#[rustfmt::skip]
const FUNCTION_WORDS: [&str; 26] = [
    "a", "an", "and", "the", "of", "for", "with", "in", "on", "to", "by", "from", "at", "or", "is", "are", "be", "as", "it", "its",
    "this", "that", "your", "our", "you", "we",
];

/// What helps where nouns are not known.
pub(crate) const REMEDY: &str = "make the table with parity/webshop_nouns.py from the file of products, or choose the option nouns=stub, \
                                 whose rewards are not those of the original";

/// Place of a name whose nouns are not known.
const UNKNOWN: u32 = u32::MAX;

/// Nouns of the name of every product, as numbers that are equal for equal nouns.
#[derive(Debug, Clone, Default)]
pub struct Nouns {
    /// Place of each product's list in `lists`. Equal names have one list.
    places: Vec<u32>,
    /// Lists: their lengths, followed by their nouns.
    lists: Vec<u32>,
}

impl Nouns {
    /// Finds the nouns of products.
    ///
    /// # Errors
    /// [`EnvError::Data`] if the table cannot be read, or lacks a name.
    pub fn of(products: &[Product], tagger: &Tagger) -> Result<Self, EnvError> {
        match tagger {
            Tagger::Table(path) => table(path, products),
            Tagger::Stub => Ok(Self::new(products.iter().map(|product| stub(&product.title)))),
        }
    }

    /// Takes the nouns of every product.
    pub fn new<W: AsRef<str>>(products: impl IntoIterator<Item = impl IntoIterator<Item = W>>) -> Self {
        let mut nouns = Self::default();
        let mut numbers = Numbers::default();
        for words in products {
            let place = nouns.add(words, &mut numbers);
            nouns.places.push(place);
        }
        nouns
    }

    /// Returns the nouns of a product. One beyond the last has none.
    pub fn get(&self, product: u32) -> &[u32] {
        let list = self.places.get(product as usize).and_then(|&place| self.lists.get(place as usize..));
        match list {
            Some([count, list @ ..]) => &list[..*count as usize],
            _ => &[],
        }
    }

    /// Adds a list and returns its place.
    fn add<W: AsRef<str>>(&mut self, words: impl IntoIterator<Item = W>, numbers: &mut Numbers) -> u32 {
        let place = self.lists.len();
        self.lists.push(0);
        self.lists.extend(words.into_iter().map(|word| numbers.number(word.as_ref())));
        self.lists[place] = (self.lists.len() - place - 1) as u32;
        place as u32
    }
}

/// Numbers of nouns in the order in which they occur.
#[derive(Default)]
struct Numbers(FxHashMap<Box<str>, u32>);

impl Numbers {
    fn number(&mut self, word: &str) -> u32 {
        if let Some(&number) = self.0.get(word) {
            return number;
        }
        let number = self.0.len() as u32;
        self.0.insert(word.into(), number);
        number
    }
}

/// Tags as the stub tagger of the recorded episodes: words of ASCII letters and numbers, without function words and without those
/// that have a number.
pub(crate) fn stub(name: &str) -> impl Iterator<Item = String> {
    name.split(|character: char| !character.is_ascii_alphanumeric())
        .filter(|word| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_alphabetic()))
        .map(str::to_ascii_lowercase)
        .filter(|word| !FUNCTION_WORDS.contains(&&**word))
}

fn table(path: &Path, products: &[Product]) -> Result<Nouns, EnvError> {
    let data = |reason| EnvError::Data { path: path.to_owned(), reason };
    if !path.exists() {
        return Err(data(format!("no such file: the reward needs the nouns of the product names; {REMEDY}")));
    }
    // Products by name: the first one, and for each the next one of its name.
    let mut first = FxHashMap::<&str, u32>::default();
    let mut next = vec![UNKNOWN; products.len()];
    for (number, product) in products.iter().enumerate() {
        if let Some(before) = first.insert(&product.title, number as u32) {
            next[number] = before;
        }
    }
    let mut nouns = Nouns { places: vec![UNKNOWN; products.len()], lists: Vec::new() };
    let mut numbers = Numbers::default();
    stream::object(
        path,
        Some("nouns"),
        |name| first.get(name).copied(),
        |product, words: Vec<Box<str>>| {
            let place = nouns.add(words, &mut numbers);
            let mut product = product;
            while product != UNKNOWN {
                nouns.places[product as usize] = place;
                product = next[product as usize];
            }
            Ok(())
        },
    )?;
    let lacking = nouns.places.iter().filter(|&&place| place == UNKNOWN).count();
    match nouns.places.iter().position(|&place| place == UNKNOWN) {
        None => {
            nouns.lists.shrink_to_fit();
            Ok(nouns)
        }
        Some(number) => Err(data(format!(
            "{lacking} of {} product names are not in this table, the first one is `{}`; {REMEDY}",
            products.len(),
            products[number].title
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::product;

    fn named(names: &[&str]) -> Vec<Product> {
        let one = |(number, name): (usize, &&str)| Product {
            title: (*name).into(),
            ..product(&format!("B{number}"))
        };
        names.iter().enumerate().map(one).collect()
    }

    fn read(products: &[Product], text: &str) -> Result<Nouns, String> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        let nouns = Nouns::of(products, &Tagger::Table(file.path().to_owned()));
        nouns.map_err(|error| error.to_string().replace(&file.path().display().to_string(), "FILE"))
    }

    #[test]
    fn the_stub_takes_words_of_letters() {
        let words = |name: &str| stub(name).collect::<Vec<_>>();
        assert_eq!(words("The 2Pack LED-Lamp, for YOUR lampé & us (4K)"), ["led", "lamp", "lamp", "us"]);
        assert!(words("of 3 ★ we").is_empty());
    }

    #[test]
    fn equal_nouns_have_equal_numbers() {
        let nouns = Nouns::new([vec!["lamp", "desk", "lamp"], vec![], vec!["desk"]]);
        let first = nouns.get(0);
        assert_eq!((first.len(), first[0] == first[2], first[0] == first[1]), (3, true, false));
        assert_eq!((nouns.get(1), nouns.get(2), nouns.get(3)), (&[][..], &first[1..2], &[][..]));
    }

    #[test]
    fn a_table_serves_every_product_of_a_name() {
        let products = named(&["a lamp", "a desk", "a lamp", "so"]);
        let text = r#"{"model": "x", "nouns": {"a chair": 3, "a lamp": ["lamp"], "so": [], "a desk": ["desk", "lamp"]}, "more": [1]}"#;
        let nouns = read(&products, text).unwrap();
        assert_eq!((nouns.get(0), nouns.get(2), nouns.get(3)), (&nouns.get(1)[1..], nouns.get(0), &[][..]));
        assert_eq!(nouns.get(1).len(), 2);
    }

    #[test]
    fn a_table_of_another_catalogue_is_refused() {
        let products = named(&["a lamp", "a desk", "a chair"]);
        let error = read(&products, r#"{"nouns": {"a lamp": ["lamp"]}}"#).unwrap_err();
        assert!(
            error.starts_with(
                "FILE: 2 of 3 product names are not in this table, the first one is `a desk`; make"
            ),
            "{error}"
        );
        assert!(error.contains("parity/webshop_nouns.py"), "{error}");
        let error = read(&products, "{\"model\": 1}").unwrap_err();
        assert!(error.contains("the key `nouns` is missing"), "{error}");
        let error = read(&products, "{\"nouns\": {\"a lamp\": \"lamp\"}}").unwrap_err();
        assert!(error.contains("entry 1 (`a lamp`): invalid type: string"), "{error}");
        let error = read(&products, "{\"nouns\": {\"a lamp\": [\"lamp\"], \"a").unwrap_err();
        assert!(error.contains("the file ends in entry 2"), "{error}");
        let missing =
            Nouns::of(&products, &Tagger::Table("/nowhere/nouns.json".into())).unwrap_err().to_string();
        assert!(missing.contains("no such file") && missing.contains("parity/webshop_nouns.py"), "{missing}");
    }
}
