//! Descriptions of things; only deviations from the usual description are encoded.
//!
//! ```text
//! thing    = [article] name {tag} [state] [temperature] [door] [style] [contents] ["loose" | "joined:" end end] [tail]
//! contents = ">" run | "(" {run} ")"
//! end      = "nothing" | name name          (`terminal_1 red_wire`)
//! run      = thing ["*" number]
//! ```

mod printed;
mod words;

use super::lexicon::{Article, LEXICON, Profile, Style};

pub(super) use words::{read_run, write_runs};

/// Maximum nesting of things, far deeper than in the simulator.
const DEEPEST: usize = 16;
const NOTHING: &str = "nothing";
/// Texts that may directly follow a name, and their words.
const TAGS: [(&str, &str); 10] = [
    (" in the seed stage", "stage:seed"),
    (" in the seedling stage", "stage:seedling"),
    (" in the adult stage", "stage:adult"),
    (" in the reproducing stage", "stage:reproducing"),
    (" in the dead stage", "stage:dead"),
    (" with a tall height", "height:tall"),
    (" with a short height", "height:short"),
    (" (on fire)", "on_fire"),
    (" (that looks unwell)", "unwell"),
    (", that is covered in pollen", "pollinated"),
];
/// Prefix of a state; alone if the usual state is not printed.
const STATE: &str = "is:";

/// Thing with its description.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Thing {
    article: Article,
    pub(super) name: String,
    /// Positions in [`TAGS`].
    tags: Vec<usize>,
    state: Option<String>,
    reading: Option<String>,
    door: Option<bool>,
    contents: Option<(Style, Vec<Self>)>,
    /// Connections of both ends: the end of another thing and that thing's name, or nothing.
    ends: Option<[Option<(String, String)>; 2]>,
    tail: bool,
}

impl Thing {
    fn profile(&self) -> Profile {
        LEXICON.profile(&self.name)
    }

    /// Returns the style of its contents if they are usually printed: closed things print none, plants do.
    fn usual_style(&self) -> Option<Style> {
        match self.door {
            Some(false) => None,
            _ => self.profile().style,
        }
    }

    /// Returns the style of its contents if there are any.
    fn contents_style(&self) -> Style {
        let bears = [" tree", " plant"].iter().any(|end| self.name.ends_with(end));
        self.profile().style.unwrap_or(if bears { Style::See } else { Style::Containing })
    }

    /// Whether a run may repeat it. Repeating things with contents could exhaust memory.
    fn simple(&self) -> bool {
        self.contents.as_ref().is_none_or(|(_, things)| things.is_empty())
    }
}

/// Returns the factors of a word that may follow a name.
pub(super) fn factors(word: &str) -> Option<Vec<String>> {
    if let Some(state) = word.strip_prefix(STATE).or_else(|| word.strip_prefix("is_")) {
        let last = state.rsplit('_').next().unwrap_or_default();
        let same = match last {
            "activated" => "on",
            "deactivated" => "off",
            other => other,
        };
        return Some(vec![format!("is:{same}")]);
    }
    let (_, value) = TAGS.iter().find(|(_, tag)| *tag == word)?.1.split_once(':')?;
    Some(vec![value.to_owned()])
}
