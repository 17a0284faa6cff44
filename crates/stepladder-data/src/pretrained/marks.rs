//! Marks around control tokens in the texts of messages: they survive a chat template, so that the rendered dialogue shows
//! which control tokens the template wrote.

/// A pair of characters that occur in no text of a dialogue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Marks {
    open: char,
    close: char,
}

/// Part of a marked text.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Piece<'a> {
    /// Text of the template and ordinary text of messages.
    Text(&'a str),
    /// A control token that a message spells out.
    Control(&'a str),
}

impl Marks {
    /// Chooses private-use characters that no text contains.
    pub(super) fn absent_from<'a>(texts: impl IntoIterator<Item = &'a str>) -> Self {
        let mut used: Vec<char> = texts
            .into_iter()
            .flat_map(str::chars)
            .filter(|c| ('\u{f0000}'..='\u{ffffd}').contains(c))
            .collect();
        used.sort_unstable();
        let mut free = ('\u{f0000}'..='\u{ffffd}').filter(|c| used.binary_search(c).is_err());
        let open = free.next().unwrap_or('\u{f0000}');
        Self { open, close: free.next().unwrap_or('\u{f0001}') }
    }

    /// Encloses the control tokens of a text, of which the list has the longest first.
    pub(super) fn mark(self, text: &str, control: &[String]) -> String {
        let mut marked = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(c) = rest.chars().next() {
            let token = control.iter().find(|token| !token.is_empty() && rest.starts_with(token.as_str()));
            match token {
                Some(token) => {
                    marked.extend([self.open]);
                    marked.push_str(token);
                    marked.push(self.close);
                    rest = &rest[token.len()..];
                }
                None => {
                    marked.push(c);
                    rest = &rest[c.len_utf8()..];
                }
            }
        }
        marked
    }

    /// Removes the marks.
    pub(super) fn without(self, text: &str) -> String {
        text.chars().filter(|c| ![self.open, self.close].contains(c)).collect()
    }

    /// Divides a marked text. A mark whose partner the template separated from it divides the text as well, so that the texts
    /// on both sides cannot join to a control token.
    pub(super) fn pieces<'a>(self, text: &'a str, control: &[String]) -> Vec<Piece<'a>> {
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some(at) = rest.find([self.open, self.close]) {
            pieces.push(Piece::Text(&rest[..at]));
            let inside = &rest[at + self.open.len_utf8()..];
            let token = inside.split(self.close).next().unwrap_or_default();
            let is_token = rest[at..].starts_with(self.open)
                && token.len() < inside.len()
                && control.iter().any(|known| known == token);
            rest = if is_token {
                pieces.push(Piece::Control(token));
                &inside[token.len() + self.close.len_utf8()..]
            } else {
                inside
            };
        }
        pieces.push(Piece::Text(rest));
        pieces
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn control() -> Vec<String> {
        ["<|im_end|>", "<s>"].map(str::to_owned).into()
    }

    #[test]
    fn control_tokens_are_found_again() {
        let marks = Marks::absent_from(["a<s>\u{f0000}b"]);
        let marked = marks.mark("a<s>\u{f0000}b<|im_end|>", &control());
        assert_eq!(marks.without(&marked), "a<s>\u{f0000}b<|im_end|>");
        let pieces = marks.pieces(&marked, &control());
        let expected = [
            Piece::Text("a"),
            Piece::Control("<s>"),
            Piece::Text("\u{f0000}b"),
            Piece::Control("<|im_end|>"),
            Piece::Text(""),
        ];
        assert_eq!(pieces, expected);
    }

    #[test]
    fn a_mark_without_its_partner_divides_the_text() {
        let marks = Marks::absent_from([]);
        let marked = marks.mark("<s>", &control());
        let [open, rest @ ..] = &marked.chars().collect::<Vec<_>>()[..] else { panic!("empty") };
        let torn = format!("<{open}{}", rest.iter().collect::<String>().replace("s>", "s"));
        assert_eq!(marks.pieces(&torn, &control())[0], Piece::Text("<"));
        assert!(marks.pieces(&torn, &control()).iter().all(|piece| !matches!(piece, Piece::Control(_))));
    }
}
