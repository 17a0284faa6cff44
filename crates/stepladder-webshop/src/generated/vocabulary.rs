//! Words that generated shops are made of: the tables in `tables`, parsed once.
//!
//! Every phrase is our own. A star before a word marks a noun, so that the nouns of a title are known without a tagger.

use std::sync::LazyLock;

/// Words of all shops.
pub(super) static VOCABULARY: LazyLock<Vocabulary> = LazyLock::new(|| {
    let tables = Tables {
        kinds: include_str!("tables/kinds.txt"),
        phrases: include_str!("tables/phrases.txt"),
        choices: include_str!("tables/choices.txt"),
        sentences: include_str!("tables/sentences.txt"),
    };
    Vocabulary::parse(&tables).expect("the embedded tables are well formed, which a test checks")
});

/// Departments with the part of all products that each has, in percent. Close to the official set of 1000 products.
pub(super) const DEPARTMENTS: [(&str, u32); 5] =
    [("beauty", 24), ("electronics", 23), ("garden", 22), ("fashion", 20), ("grocery", 11)];

/// Texts of the tables.
struct Tables {
    kinds: &'static str,
    phrases: &'static str,
    choices: &'static str,
    sentences: &'static str,
}

/// A phrase.
#[derive(Debug, Clone)]
pub(super) struct Phrase {
    /// Lower case.
    pub text: String,
    /// As in a title.
    pub title: String,
    /// Lower-case nouns in their order.
    pub nouns: Vec<&'static str>,
}

impl Phrase {
    fn parse(marked: &'static str) -> Self {
        let words = marked.split_whitespace();
        Self {
            text: marked.replace('*', ""),
            title: words
                .clone()
                .map(|word| capital(word.trim_start_matches('*')))
                .collect::<Vec<_>>()
                .join(" "),
            nouns: words.filter_map(|word| word.strip_prefix('*')).collect(),
        }
    }
}

/// How an attribute stands in a sentence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// The product is it: machine washable.
    Is,
    /// The product has it: rounded corners.
    Has,
    /// The product is for it: dry skin.
    For,
}

impl Role {
    /// All roles.
    pub(super) const ALL: [Self; 3] = [Self::Is, Self::Has, Self::For];

    /// Name in the tables.
    fn name(self) -> &'static str {
        match self {
            Self::Is => "is",
            Self::Has => "has",
            Self::For => "for",
        }
    }

    /// Word before the attribute in titles and instructions.
    pub(super) fn link(self) -> &'static str {
        match self {
            Self::Is => "",
            Self::Has => "with ",
            Self::For => "for ",
        }
    }
}

/// An attribute that a goal can ask for.
#[derive(Debug, Clone)]
pub(super) struct Attribute {
    pub role: Role,
    pub phrase: Phrase,
}

/// What a customer can choose.
#[derive(Debug, Clone)]
pub(super) struct ChoiceSet {
    /// Name on pages.
    pub name: &'static str,
    /// Whether values are neighbours in the table.
    pub ordered: bool,
    pub values: Vec<&'static str>,
}

/// A kind of product.
#[derive(Debug, Clone)]
pub(super) struct Kind {
    /// Index into [`DEPARTMENTS`].
    pub department: usize,
    pub name: Phrase,
    pub query: &'static str,
    /// Path of categories.
    pub path: &'static str,
    /// Lowest and highest usual price in dollars.
    pub price: (f64, f64),
    pub materials: Vec<Phrase>,
    pub looks: Vec<Phrase>,
    /// Groups of attributes that exclude each other.
    pub features: Vec<Vec<Attribute>>,
    /// Attributes with [`Role::For`] that say where or when.
    pub uses: Vec<Attribute>,
    /// Choices in the order of pages.
    pub choices: Vec<ChoiceSet>,
}

/// All words.
#[derive(Debug)]
pub(super) struct Vocabulary {
    /// Kinds by department.
    pub kinds: [Vec<Kind>; 5],
    /// Colors, for titles of products without a choice of colors.
    pub colors: Vec<&'static str>,
    sentences: Vec<(&'static str, Vec<&'static str>)>,
}

impl Vocabulary {
    /// Sentences with a role; none if the role is unknown.
    pub(super) fn sentences(&self, role: &str) -> &[&'static str] {
        self.sentences.iter().find(|(name, _)| *name == role).map_or(&[], |(_, all)| all)
    }

    /// Sentences about an attribute with a role.
    pub(super) fn about(&self, role: Role) -> &[&'static str] {
        self.sentences(role.name())
    }

    fn parse(tables: &Tables) -> Result<Self, String> {
        let phrases: Vec<[&'static str; 3]> = rows(tables.phrases)?;
        let choices: Vec<[&'static str; 4]> = rows(tables.choices)?;
        let mut kinds: [Vec<Kind>; 5] = Default::default();
        for row in rows::<10>(tables.kinds)? {
            let kind = parse_kind(row, &phrases, &choices)
                .map_err(|reason| format!("kind `{}`: {reason}", row[1]))?;
            kinds[kind.department].push(kind);
        }
        let mut sentences: Vec<(&'static str, Vec<&'static str>)> = Vec::new();
        for [role, sentence] in rows::<2>(tables.sentences)? {
            match sentences.iter_mut().find(|(name, _)| *name == role) {
                Some((_, all)) => all.push(sentence),
                None => sentences.push((role, vec![sentence])),
            }
        }
        let colors = choice(&choices, "color")?.values;
        Ok(Self { kinds, colors, sentences })
    }
}

/// Splits a table into rows of `N` cells.
fn rows<const N: usize>(table: &'static str) -> Result<Vec<[&'static str; N]>, String> {
    let lines = table.lines().filter(|line| !line.starts_with('#') && !line.trim().is_empty());
    lines
        .map(|line| {
            let cells: Vec<&str> = line.split('|').map(str::trim).collect();
            cells.try_into().map_err(|_| format!("`{line}` has not {N} cells"))
        })
        .collect()
}

fn parse_kind(
    row: [&'static str; 10],
    phrases: &[[&'static str; 3]],
    choices: &[[&'static str; 4]],
) -> Result<Kind, String> {
    let [department, name, query, path, price, materials, looks, features, uses, chosen] = row;
    let department = DEPARTMENTS
        .iter()
        .position(|(known, _)| *known == department)
        .ok_or_else(|| format!("no department `{department}`"))?;
    let (low, high) = price.split_once(' ').ok_or("two prices are needed")?;
    let number = |text: &str| text.parse::<f64>().map_err(|_| format!("`{text}` is no price"));
    let words = |set: &str, role: &str| -> Result<Vec<Phrase>, String> {
        let found = phrases.iter().find(|row| row[0] == set && row[1] == role);
        let [_, _, all] = found.ok_or_else(|| format!("no `{set}` with role `{role}`"))?;
        Ok(list(all, ';').map(Phrase::parse).collect())
    };
    let mut groups: Vec<Vec<Attribute>> = Vec::new();
    for set in list(features, ',') {
        let before = groups.len();
        for role in Role::ALL {
            for [_, _, all] in phrases.iter().filter(|row| row[0] == set && row[1] == role.name()) {
                for group in list(all, ';') {
                    // Two sets may name the same attribute.
                    let new: Vec<Attribute> = list(group, '/')
                        .map(|text| Attribute { role, phrase: Phrase::parse(text) })
                        .filter(|one| {
                            !groups.iter().flatten().any(|known| known.phrase.text == one.phrase.text)
                        })
                        .collect();
                    if !new.is_empty() {
                        groups.push(new);
                    }
                }
            }
        }
        if groups.len() == before {
            return Err(format!("no attributes `{set}`"));
        }
    }
    Ok(Kind {
        department,
        name: Phrase::parse(name),
        query,
        path,
        price: (number(low)?, number(high)?),
        materials: words(materials, "made")?,
        looks: words(looks, "look")?,
        features: groups,
        uses: words(uses, "for")?.into_iter().map(|phrase| Attribute { role: Role::For, phrase }).collect(),
        choices: list(chosen, ',').map(|set| choice(choices, set)).collect::<Result<_, _>>()?,
    })
}

fn choice(table: &[[&'static str; 4]], set: &str) -> Result<ChoiceSet, String> {
    let [_, name, order, values] =
        table.iter().find(|row| row[0] == set).ok_or_else(|| format!("no choice `{set}`"))?;
    let ordered = match *order {
        "run" => true,
        "some" => false,
        other => return Err(format!("choice `{set}` has the order `{other}`")),
    };
    Ok(ChoiceSet { name, ordered, values: list(values, ';').collect() })
}

/// Cells of a list.
fn list(text: &'static str, separator: char) -> impl Iterator<Item = &'static str> {
    text.split(separator).map(str::trim).filter(|cell| !cell.is_empty())
}

/// Makes the first letter of an ASCII word a capital.
pub(super) fn capital(word: &str) -> String {
    let mut word = word.to_owned();
    if let Some(first) = word.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    word
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::Goal;
    use crate::reward::{Kind, Reward};

    #[test]
    fn every_kind_has_words_of_each_sort() {
        let mut queries = BTreeSet::new();
        for (number, kinds) in VOCABULARY.kinds.iter().enumerate() {
            assert!((20..=25).contains(&kinds.len()), "{}", kinds.len());
            for kind in kinds {
                assert_eq!(kind.department, number);
                assert!(queries.insert(kind.query), "{} twice", kind.query);
                assert!(!kind.name.nouns.is_empty() && kind.features.len() >= 7, "{}", kind.query);
                assert!(kind.uses.len() >= 4 && !kind.choices.is_empty(), "{}", kind.query);
                assert!(kind.price.0 > 1.0 && kind.price.1 > 1.5 * kind.price.0, "{}", kind.query);
                assert_eq!(kind.path.split(" › ").count(), 4, "{}", kind.path);
                assert!(kind.path.is_ascii() || kind.path.replace('›', "").is_ascii());
            }
        }
        assert_eq!(DEPARTMENTS.iter().map(|(_, percent)| percent).sum::<u32>(), 100);
    }

    #[test]
    fn attributes_have_two_words_and_choices_no_separator() {
        for kind in VOCABULARY.kinds.iter().flatten() {
            for attribute in kind.features.iter().flatten().chain(&kind.uses) {
                assert_eq!(attribute.phrase.text.split(' ').count(), 2, "{}", attribute.phrase.text);
            }
            let names: BTreeSet<_> = kind.choices.iter().map(|choice| choice.name).collect();
            assert_eq!(names.len(), kind.choices.len(), "{}", kind.query);
            let values = kind.choices.iter().flat_map(|choice| &choice.values);
            let different: BTreeSet<_> = values.clone().collect();
            assert_eq!(different.len(), values.count(), "a click must say which choice: {}", kind.query);
            for choice in &kind.choices {
                assert!(choice.values.iter().collect::<BTreeSet<_>>().len() >= 4, "{}", choice.name);
                for value in &choice.values {
                    assert!(!value.contains([',', ':', ';']) && value.is_ascii(), "{value}");
                    assert_eq!(value.to_lowercase(), **value);
                }
            }
        }
    }

    #[test]
    fn sentences_name_their_attribute() {
        for role in Role::ALL {
            assert!(VOCABULARY.about(role).len() >= 7);
            assert!(VOCABULARY.about(role).iter().all(|one| one.contains("{a}") || one.contains("{A}")));
        }
        for role in ["opening", "closing", "bullet", "short"] {
            assert!(VOCABULARY.sentences(role).len() >= 6, "{role}");
        }
        assert!(DEPARTMENTS.iter().all(|(name, _)| VOCABULARY.sentences(name).len() == 5));
    }

    #[test]
    fn the_reward_counts_every_value_that_is_chosen_as_asked() {
        let bought = crate::testing::product("B01");
        for choice in VOCABULARY.kinds.iter().flatten().flat_map(|kind| &kind.choices) {
            for value in &choice.values {
                let goal = Goal {
                    product: 0,
                    instruction: "".into(),
                    attributes: ["none such".into()].into(),
                    price_upper: 10.0,
                    options: [(choice.name.into(), (*value).into())].into(),
                    weight: 1.0,
                };
                let kind = Kind::new(&bought, &[], &bought, &[]);
                // The original takes `sandalwood` for `sand`, which is then not the word that was asked for.
                assert_eq!(Reward::new(kind, &goal, &bought, 1.0, [*value]).r_option, Some(1.0), "{value}");
            }
        }
    }

    #[test]
    fn a_malformed_table_is_refused_by_name() {
        assert_eq!(rows::<3>("a | b").unwrap_err(), "`a | b` has not 3 cells");
        let tables = Tables {
            kinds: "beauty | *a | as | A › B | 1 2 | none | plain | x | y | color",
            phrases: "none | made |\nplain | look | b",
            choices: "color | color | some | red",
            sentences: "",
        };
        assert_eq!(Vocabulary::parse(&tables).unwrap_err(), "kind `*a`: no attributes `x`");
    }
}
