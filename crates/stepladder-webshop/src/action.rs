//! Actions as texts: `search[red shoes]`, `click[Buy Now]`.

/// An action whose form is right. Whether a page offers what is clicked is another question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Search for these words.
    Search(String),
    /// Click on what the page shows under this text.
    Click(String),
}

impl Action {
    /// Reads an action; `None` for a text of another form.
    ///
    /// This is `parse_action` of `engine.py`, a greedy match of `(.+)\[(.+)\]` at the beginning: a verb, spelled exactly, and an
    /// argument between the last `[` that something follows and the last `]` of the first line. The argument becomes lower case.
    ///
    /// ```
    /// use stepladder_webshop::Action;
    /// assert_eq!(Action::parse("search[Red Shoes] now"), Some(Action::Search("red shoes".to_owned())));
    /// assert_eq!(Action::parse("click[a [b]]"), None); // The verb is `click[a `.
    /// assert_eq!((Action::parse("search[]"), Action::parse("Search[x]")), (None, None));
    /// ```
    pub fn parse(text: &str) -> Option<Self> {
        let line = text.split('\n').next().unwrap_or_default();
        let close = line.rfind(']')?;
        let open = line[..close].char_indices().rev().skip(1).find(|(_, char)| *char == '[')?.0;
        let argument = line[open + 1..close].to_lowercase();
        match &line[..open] {
            "search" => Some(Self::Search(argument)),
            "click" => Some(Self::Click(argument)),
            _ => None,
        }
    }

    /// Writes a click on what a page shows as `text`; `None` where no action can name it, as in the original: texts with `[` or a
    /// line end, and those that are not lower case.
    pub fn click(text: &str) -> Option<String> {
        let action = format!("click[{text}]");
        matches!(Self::parse(&action), Some(Self::Click(argument)) if argument == text).then_some(action)
    }

    /// Writes a search for the words of a text, without what would end the query early.
    pub fn search(text: &str) -> Option<String> {
        let words: String =
            text.chars().map(|char| if matches!(char, '[' | ']' | '\n') { ' ' } else { char }).collect();
        (!words.is_empty()).then(|| format!("search[{words}]"))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What Python's `re.match(r'(.+)\[(.+)\]', text)` gives.
    #[test]
    fn the_form_is_that_of_the_greedy_expression() {
        let search = |words: &str| Some(Action::Search(words.to_owned()));
        let click = |words: &str| Some(Action::Click(words.to_owned()));
        for (text, action) in [
            ("search[a]", search("a")),
            ("search[ ]", search(" ")),
            ("search[a]]", search("a]")),
            ("search[a] and click[b]", None),
            ("click[Next >]", click("next >")),
            ("click[[]", click("[")),
            ("click[b[]", click("b[")),
            ("click[]]", click("]")),
            ("click[a", None),
            ("click a]", None),
            ("[a]", None),
            ("", None),
            ("click[a\n]", None),
            ("click[a]\nclick[b]", click("a")),
            ("\nclick[a]", None),
            (" click[a]", None),
            ("click[ÄÖ ß]", click("äö ß")),
        ] {
            assert_eq!(Action::parse(text), action, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn every_text_without_brackets_and_line_ends_can_be_clicked(text in "[^\\[\\]\n]{1,20}") {
            let text = text.to_lowercase();
            // Two characters have a lower case that changes again: neither stands in a shop.
            prop_assume!(text == text.to_lowercase());
            prop_assert_eq!(Action::click(&text).map(|action| Action::parse(&action)), Some(Some(Action::Click(text))));
        }

        #[test]
        fn every_search_is_one_action(text in ".{1,20}") {
            let action = Action::search(&text).unwrap();
            prop_assert!(matches!(Action::parse(&action), Some(Action::Search(_))), "{}", action);
        }
    }
}
