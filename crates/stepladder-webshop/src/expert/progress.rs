//! Progress texts of `open a fitting product`: the memory of the comparison.
//!
//! `at B01: to check light weight, easy use || [Checked: B02 no size, B03 lacks 2]`

use std::fmt;

use stepladder_core::query::NO_PROGRESS;

const NOTHING: &str = "no fitting product yet";
const AT: &str = "at ";
const CHECKED: &str = "[Checked: ";
const SEPARATOR: &str = " || ";
const NO: &str = "no ";
const CHECK: &str = "to check ";
const LACKS: &str = "lacks ";
const ALL: &str = "all there";

/// What is known of a product.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// `no NAME`: the wanted value of this option is not offered.
    NoOption(String),
    /// `to check A, B`: has every wanted option; these attributes are not in its name.
    ToCheck(String),
    /// `lacks A, B` of the open product, `lacks 2` of a checked one: number of attributes that neither name nor features tell, and
    /// their names if they are known. `all there`: none.
    Lacks(usize, String),
}

impl Verdict {
    /// Number of attributes that a product with all wanted options lacks, after its features were read.
    pub fn lacking(&self) -> Option<usize> {
        match self {
            Self::Lacks(number, _) => Some(*number),
            _ => None,
        }
    }

    fn parse(text: &str) -> Option<Self> {
        if text == ALL {
            return Some(Self::Lacks(0, String::new()));
        }
        if let Some(name) = text.strip_prefix(NO) {
            return Some(Self::NoOption(name.to_owned()));
        }
        if let Some(names) = text.strip_prefix(CHECK) {
            return Some(Self::ToCheck(names.to_owned()));
        }
        let names = text.strip_prefix(LACKS)?;
        Some(match names.parse() {
            Ok(number) => Self::Lacks(number, String::new()),
            Err(_) => Self::Lacks(names.split(", ").count(), names.to_owned()),
        })
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoOption(name) => write!(f, "{NO}{name}"),
            Self::ToCheck(names) => write!(f, "{CHECK}{names}"),
            Self::Lacks(0, _) => f.write_str(ALL),
            Self::Lacks(number, names) if names.is_empty() => write!(f, "{LACKS}{number}"),
            Self::Lacks(_, names) => write!(f, "{LACKS}{names}"),
        }
    }
}

/// A progress text.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Progress {
    /// Identifier of the open product and what is known of it.
    pub at: Option<(String, Verdict)>,
    /// Identifiers of the products that were left, the first first.
    pub checked: Vec<(String, Verdict)>,
}

impl Progress {
    /// Parses a progress text. Entries of another form are left out.
    pub fn parse(text: &str) -> Self {
        let (note, list) = text.split_once(SEPARATOR).unwrap_or((text, ""));
        let at = note
            .strip_prefix(AT)
            .and_then(|rest| rest.split_once(": "))
            .and_then(|(asin, verdict)| Some((asin.to_owned(), Verdict::parse(verdict)?)));
        let list = list.strip_prefix(CHECKED).and_then(|list| list.strip_suffix(']')).unwrap_or_default();
        let entry = |entry: &str| {
            let (asin, verdict) = entry.split_once(' ')?;
            Some((asin.to_owned(), Verdict::parse(verdict)?))
        };
        Self { at, checked: list.split(", ").filter_map(entry).collect() }
    }

    /// Verdict on a product that was left.
    pub fn verdict(&self, asin: &str) -> Option<&Verdict> {
        self.checked.iter().find(|(other, _)| other == asin).map(|(_, verdict)| verdict)
    }

    /// The product that lacks least among those that were left with all wanted options, and the number of attributes it lacks.
    pub fn best(&self) -> Option<(&str, usize)> {
        let fitting =
            self.checked.iter().filter_map(|(asin, verdict)| Some((asin.as_str(), verdict.lacking()?)));
        fitting.min_by_key(|(_, lacking)| *lacking)
    }

    /// Moves the open product to the list.
    pub fn leave(&mut self) {
        let Some((asin, verdict)) = self.at.take() else { return };
        if self.verdict(&asin).is_none() {
            let verdict = match verdict {
                Verdict::Lacks(number, _) => Verdict::Lacks(number, String::new()),
                other => other,
            };
            self.checked.push((asin, verdict));
        }
    }
}

impl fmt::Display for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.at {
            Some((asin, verdict)) => write!(f, "{AT}{asin}: {verdict}")?,
            None if self.checked.is_empty() => return f.write_str(NO_PROGRESS),
            None => f.write_str(NOTHING)?,
        }
        for (index, (asin, verdict)) in self.checked.iter().enumerate() {
            let before = if index == 0 { format!("{SEPARATOR}{CHECKED}") } else { ", ".to_owned() };
            write!(f, "{before}{asin} {verdict}")?;
        }
        f.write_str(if self.checked.is_empty() { "" } else { "]" })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn texts_are_read_as_written() {
        for text in [
            "None",
            "at B01: no fit type",
            "at B01: to check easy use, light weight || [Checked: B02 no size, B03 lacks 2]",
            "at B01: lacks easy use, light weight",
            "no fitting product yet || [Checked: B02 lacks 1, B04 all there]",
        ] {
            assert_eq!(Progress::parse(text).to_string(), text);
        }
        let progress = Progress::parse("x || [Checked: B01 lacks 2, B02 no size, B03 lacks 1, B04 lacks 1]");
        assert_eq!(progress.best(), Some(("B03", 1)));
    }

    #[test]
    fn a_product_is_listed_once_when_it_is_left() {
        let mut progress = Progress::parse("at B01: lacks easy use, light weight");
        progress.leave();
        assert_eq!(progress.to_string(), "no fitting product yet || [Checked: B01 lacks 2]");
        progress.at = Some(("B01".to_owned(), Verdict::Lacks(2, String::new())));
        progress.leave();
        assert_eq!(progress.checked.len(), 1);
    }

    proptest! {
        #[test]
        fn every_text_has_a_reading(text in "(at |B0|: | \\|\\| |\\[Checked: |, |lacks |no |to check |[0-9a-z\\]]){0,12}") {
            let read = Progress::parse(&text);
            prop_assert_eq!(Progress::parse(&read.to_string()).checked.len(), read.checked.len());
        }
    }
}
