//! Rows of the file of products.

use std::fmt;
use std::path::Path;

use serde::Deserialize;
use serde::de::{MapAccess, SeqAccess, Visitor};
use stepladder_env::EnvError;

use super::stream::{self, Next};
use crate::asin::ByAsin;
use crate::product::{Choice, Product};
use crate::python::strip;

/// Longest identifier that the original takes, in characters.
const LONGEST_ASIN: usize = 10;

/// Attribute of products without listed ones.
const NO_ATTRIBUTES: &str = "DUMMY_ATTR";

/// Reads products, with the attributes of those that the file of attributes lacks.
pub(super) fn load(path: &Path, rows: Option<usize>) -> Result<(Vec<Product>, ByAsin), EnvError> {
    let mut products = Vec::new();
    let mut by_asin = ByAsin::default();
    let mut left = rows.unwrap_or(usize::MAX);
    let data = |reason: &str| EnvError::Data { path: path.to_owned(), reason: reason.to_owned() };
    if left == 0 {
        return Err(data("no products were asked for: at least one row must be read"));
    }
    stream::array(path, |row: Row| {
        left -= 1;
        if row.asin != "nan" && row.asin.chars().count() <= LONGEST_ASIN {
            products.push(row.product()?);
            if !by_asin.add(&products, products.len() - 1) {
                products.pop();
            }
        }
        Ok(if left == 0 { Next::Stop } else { Next::Continue })
    })?;
    if products.is_empty() {
        return Err(data("there is no product in this file"));
    }
    products.shrink_to_fit();
    Ok((products, by_asin))
}

/// The keys of a row that the shop uses.
#[derive(Deserialize)]
struct Row {
    asin: String,
    category: String,
    query: String,
    product_category: String,
    name: String,
    full_description: Option<String>,
    small_description: Lines,
    pricing: Option<String>,
    customization_options: Customization,
}

impl Row {
    fn product(self) -> Result<Product, String> {
        Ok(Product {
            pricing: pricing(self.pricing.as_deref())
                .map_err(|reason| format!("`{}`: {reason}", self.asin))?,
            asin: self.asin.into(),
            category: self.category.into(),
            query: strip(&self.query.to_lowercase()).into(),
            product_category: self.product_category.into(),
            title: self.name.into(),
            description: self.full_description.unwrap_or_default().into(),
            bullets: self.small_description.0.into(),
            options: self.customization_options.choices(),
            attributes: [NO_ATTRIBUTES.into()].into(),
        })
    }
}

/// Reads listed prices: the numbers after dollar signs, of which two count. No text means 100 dollars.
fn pricing(text: Option<&str>) -> Result<Box<[f64]>, String> {
    let Some(text) = text.filter(|text| !text.is_empty()) else { return Ok([100.0].into()) };
    let mut prices = Vec::with_capacity(2);
    for part in text.split('$').skip(1) {
        let digits: String = part.chars().filter(|&c| c.is_ascii_digit() || c == '.').collect();
        let price = digits.parse::<f64>();
        prices.push(price.map_err(|_| format!("`pricing` is `{text}`, and `{part}` is no price"))?);
    }
    if prices.is_empty() {
        return Err(format!("`pricing` is `{text}`, without a price that follows a dollar sign"));
    }
    prices.truncate(2);
    Ok(prices.into())
}

/// Lines, or one line.
struct Lines(Vec<Box<str>>);

impl<'de> Deserialize<'de> for Lines {
    fn deserialize<D: serde::Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        json.deserialize_any(LinesVisitor)
    }
}

struct LinesVisitor;

impl<'de> Visitor<'de> for LinesVisitor {
    type Value = Lines;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("`small_description` to be a text or an array of texts")
    }

    fn visit_str<E>(self, line: &str) -> Result<Lines, E> {
        Ok(Lines(vec![line.into()]))
    }

    fn visit_unit<E>(self) -> Result<Lines, E> {
        Ok(Lines(vec!["".into()]))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut lines: A) -> Result<Lines, A::Error> {
        let mut all = Vec::new();
        while let Some(line) = lines.next_element::<Option<Box<str>>>()? {
            all.push(line.unwrap_or_default());
        }
        Ok(Lines(all))
    }
}

/// Choices by name as they are written, or none of them: a false value of Python.
#[derive(Default)]
struct Customization(Vec<(String, Option<Vec<Content>>)>);

/// A value of a choice.
#[derive(Deserialize)]
struct Content {
    value: String,
}

impl Customization {
    fn choices(self) -> Box<[Choice]> {
        let mut choices: Vec<Choice> = Vec::with_capacity(self.0.len());
        for (name, contents) in self.0 {
            let Some(contents) = contents else { continue };
            let name = name.to_lowercase();
            let value = |content: Content| strip(&content.value).replace('/', " | ").to_lowercase().into();
            let values = contents.into_iter().map(value).collect();
            // A name that only differs in case takes the place of the first, and the values of the last.
            match choices.iter_mut().find(|choice| *choice.name == *name) {
                Some(choice) => choice.values = values,
                None => choices.push(Choice { name: name.into(), values }),
            }
        }
        choices.into()
    }
}

impl<'de> Deserialize<'de> for Customization {
    fn deserialize<D: serde::Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        json.deserialize_any(CustomizationVisitor)
    }
}

struct CustomizationVisitor;

impl<'de> Visitor<'de> for CustomizationVisitor {
    type Value = Customization;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("`customization_options` to be an object or empty")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Customization, E> {
        if text.is_empty() {
            return Ok(Customization::default());
        }
        Err(E::invalid_value(serde::de::Unexpected::Str(text), &self))
    }

    fn visit_unit<E>(self) -> Result<Customization, E> {
        Ok(Customization::default())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut values: A) -> Result<Customization, A::Error> {
        match values.next_element::<serde::de::IgnoredAny>()? {
            None => Ok(Customization::default()),
            Some(_) => Err(serde::de::Error::invalid_type(serde::de::Unexpected::Seq, &self)),
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Customization, A::Error> {
        let mut choices: Vec<(String, Option<Vec<Content>>)> = Vec::new();
        while let Some((name, contents)) = map.next_entry()? {
            match choices.iter_mut().find(|(other, _)| *other == name) {
                Some((_, old)) => *old = contents,
                None => choices.push((name, contents)),
            }
        }
        Ok(Customization(choices))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(changes: serde_json::Value) -> Result<Product, String> {
        let mut row = serde_json::json!({
            "asin": "B000000001", "category": "garden", "query": "\u{1f} Desk LAMPS ", "product_category": "Home › Lamps",
            "name": "Lamp", "full_description": "D", "small_description": ["one ", "two"], "pricing": "",
            "customization_options": "", "page": 3, "images": [],
        });
        for (key, value) in changes.as_object().unwrap() {
            row[key] = value.clone();
        }
        serde_json::from_value::<Row>(row).map_err(|error| error.to_string())?.product()
    }

    #[test]
    fn texts_of_a_row() {
        let product = parsed(serde_json::json!({})).unwrap();
        assert_eq!((&*product.query, &*product.bullets[0]), ("desk lamps", "one "));
        assert_eq!((&*product.attributes, &*product.pricing), (&["DUMMY_ATTR".into()][..], &[100.0][..]));
        let product =
            parsed(serde_json::json!({"small_description": "only", "full_description": null})).unwrap();
        assert_eq!((&*product.bullets, &*product.description), (&["only".into()][..], ""));
    }

    #[test]
    fn prices_follow_dollar_signs() {
        let prices = |text| pricing(Some(text)).map(Vec::from);
        assert_eq!(prices("$19.99$27.99"), Ok(vec![19.99, 27.99]));
        assert_eq!(prices("from $1,234.50 to $2,000 or $3"), Ok(vec![1234.5, 2000.0]));
        assert_eq!(prices("$.5"), Ok(vec![0.5]));
        assert_eq!(pricing(None).unwrap(), pricing(Some("")).unwrap());
        for (text, reason) in
            [("12.99", "without a price"), ("$1.2.3", "`1.2.3` is no price"), ("$5$ ", "` ` is no price")]
        {
            assert!(prices(text).unwrap_err().contains(reason), "{text}");
        }
    }

    #[test]
    fn choices_as_in_the_original() {
        let value = |value: &str| serde_json::json!({"value": value, "image": null});
        let options = serde_json::json!({
            "Size": [value(" Large "), value("8/10\" W/L"), value("Large")], "Style": null, "Fit": [], "SIZE": [value("M")],
            "Color": [value("ÄÖ")],
        });
        let product = parsed(serde_json::json!({ "customization_options": options })).unwrap();
        let choices: Vec<_> = product.options.iter().map(|c| (&*c.name, c.values.to_vec())).collect();
        assert_eq!(choices, [("size", vec!["m".into()]), ("fit", vec![]), ("color", vec!["äö".into()])]);
        let one = serde_json::json!({"Size": [value(" Large "), value("8/10\" W/L"), value("Large")]});
        let product = parsed(serde_json::json!({ "customization_options": one })).unwrap();
        assert_eq!(*product.options[0].values, ["large".into(), "8 | 10\" w | l".into(), "large".into()]);
        for empty in [serde_json::json!({}), serde_json::json!([]), serde_json::json!(null)] {
            assert!(
                parsed(serde_json::json!({ "customization_options": empty })).unwrap().options.is_empty()
            );
        }
    }

    #[test]
    fn malformed_rows() {
        for (changes, reason) in [
            (serde_json::json!({"customization_options": "red"}), "`customization_options` to be an object"),
            (serde_json::json!({"customization_options": [1]}), "`customization_options` to be an object"),
            (
                serde_json::json!({"customization_options": {"size": [{"image": ""}]}}),
                "missing field `value`",
            ),
            (serde_json::json!({"small_description": 3}), "`small_description` to be a text"),
            (serde_json::json!({"pricing": "free"}), "`B000000001`: `pricing` is `free`"),
            (serde_json::json!({"name": null}), "expected a string"),
        ] {
            let error = parsed(changes).unwrap_err();
            assert!(error.contains(reason), "{error}");
        }
    }
}
