//! Names of models at the hub.

/// `OWNER/NAME` or `OWNER/NAME@REVISION`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Name {
    /// Owner and model.
    pub(crate) model: String,
    /// Branch, tag or commit.
    pub(crate) revision: Option<String>,
}

impl Name {
    /// Parses a name; `None` for what the hub would not accept as one.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (model, revision) = match text.split_once('@') {
            Some((model, revision)) => (model, Some(revision)),
            None => (text, None),
        };
        let (owner, name) = model.split_once('/')?;
        let valid = |part: &str| {
            let known = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
            part.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_') && part.chars().all(known)
        };
        // A revision becomes a path in the cache.
        let valid_revision = |revision: &str| revision.split('/').all(valid);
        (valid(owner) && valid(name) && revision.is_none_or(valid_revision))
            .then(|| Self { model: model.to_owned(), revision: revision.map(str::to_owned) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn owner_and_name_make_a_name_and_paths_do_not() {
        let parse = |text: &str| Name::parse(text).map(|name| (name.model, name.revision));
        assert_eq!(parse("Qwen/Qwen2.5-0.5B"), Some(("Qwen/Qwen2.5-0.5B".to_owned(), None)));
        assert_eq!(parse("a/b@refs/pr/1"), Some(("a/b".to_owned(), Some("refs/pr/1".to_owned()))));
        for path in [
            "b", "./b", "../b", "/a/b", "a/b/c", "a/", "/b", "a/b@", "a/b@../c", "a/b@x//y", "a b/c", "~/b",
            "",
        ] {
            assert_eq!(parse(path), None, "{path}");
        }
    }
}
