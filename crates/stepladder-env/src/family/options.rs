//! Options that a family declares: `--option key=value` on the command line, `[env] options` in a configuration.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use crate::contract::EnvError;

/// One option of a family.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OptionSpec {
    /// Key.
    pub name: &'static str,
    /// Values that it takes.
    pub values: Values,
    /// Meaning, as one phrase.
    pub meaning: &'static str,
    /// Value without the option; none if the option does nothing then.
    pub default: Option<&'static str>,
    /// Commands that read it.
    pub readers: &'static [Reader],
}

impl OptionSpec {
    /// The commands that read it, in words.
    pub fn read_by(&self) -> String {
        self.readers.iter().map(Reader::to_string).collect::<Vec<_>>().join(", ")
    }
}

/// Values that an option takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Values {
    /// `true` or `false`.
    Flag,
    /// A whole number from the first to the last, both included.
    Whole(u64, u64),
    /// One of these words.
    OneOf(&'static [&'static str]),
    /// A directory.
    Directory,
}

impl Values {
    /// Values as help texts list them, or a word that stands for one.
    pub fn placeholder(self) -> String {
        match self {
            Self::Flag => "true|false".to_owned(),
            Self::Whole(..) => "N".to_owned(),
            Self::OneOf(words) => words.join("|"),
            Self::Directory => "DIR".to_owned(),
        }
    }

    fn takes(self, value: &str) -> bool {
        match self {
            Self::Flag => matches!(value, "true" | "false"),
            Self::Whole(least, most) => {
                value.parse().is_ok_and(|number: u64| (least..=most).contains(&number))
            }
            Self::OneOf(words) => words.contains(&value),
            Self::Directory => !value.is_empty(),
        }
    }
}

impl fmt::Display for Values {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag => f.write_str("true or false"),
            Self::Whole(least, most) => write!(f, "a whole number from {least} to {most}"),
            Self::OneOf(words) => f.write_str(&words.join(" or ")),
            Self::Directory => f.write_str("a directory"),
        }
    }
}

/// Kind of command that reads an option.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reader {
    /// Commands that play: `train`, `evaluate`, `demonstrate`, `collect`, `env play`.
    Play,
    /// `env bench`.
    Bench,
    /// `env verify`.
    Verify,
    /// `env generate`.
    Generate,
    /// `data get`.
    Get,
}

impl fmt::Display for Reader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Play => "playing",
            Self::Bench => "env bench",
            Self::Verify => "env verify",
            Self::Generate => "env generate",
            Self::Get => "data get",
        })
    }
}

/// Options as given, over the declared defaults. Every value is one that its option takes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Options {
    declared: &'static [OptionSpec],
    given: BTreeMap<String, String>,
}

impl Options {
    /// Reads `key=value` pairs for one reader; the last of equal keys counts.
    pub(super) fn read<'a>(
        id: &str,
        declared: &'static [OptionSpec],
        reader: Reader,
        pairs: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<Self, EnvError> {
        let mut given = BTreeMap::new();
        for (key, value) in pairs {
            let Some(option) = declared.iter().find(|option| option.name == key) else {
                return Err(EnvError::Usage(format!("{id} has no option `{key}`; {}", known(id, declared))));
            };
            if !option.readers.contains(&reader) {
                return Err(EnvError::Usage(format!(
                    "option `{key}` of {id} is for {}, not for {reader}",
                    option.read_by()
                )));
            }
            if !option.values.takes(value) {
                return Err(EnvError::Usage(format!(
                    "option `{key}` of {id} is `{value}`; it takes {}",
                    option.values
                )));
            }
            given.insert(key.to_owned(), value.to_owned());
        }
        Ok(Self { declared, given })
    }

    /// Value of an option: as given, else its default.
    pub fn get(&self, name: &str) -> Option<&str> {
        let default = || self.declared.iter().find(|option| option.name == name)?.default;
        self.given.get(name).map(String::as_str).or_else(default)
    }

    /// Options whose value differs from the default, with their values, by name: a result names them.
    pub fn chosen(&self) -> impl Iterator<Item = (&str, &str)> {
        let default = |name: &str| self.declared.iter().find(|option| option.name == name)?.default;
        let given = self.given.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        given.filter(move |(name, value)| default(name) != Some(*value))
    }

    /// Whether a flag is set.
    pub fn flag(&self, name: &str) -> bool {
        self.get(name) == Some("true")
    }

    /// Value of a whole number.
    pub fn whole(&self, name: &str) -> Option<u64> {
        self.get(name)?.parse().ok()
    }

    /// Value of a directory.
    pub fn directory(&self, name: &str) -> Option<&Path> {
        self.get(name).map(Path::new)
    }
}

/// List of the options of a family, in words.
fn known(id: &str, declared: &[OptionSpec]) -> String {
    if declared.is_empty() {
        return format!("{id} takes no options");
    }
    let options: Vec<String> = declared
        .iter()
        .map(|option| format!("{}={} ({})", option.name, option.values.placeholder(), option.read_by()))
        .collect();
    format!("it has {}", options.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    const DECLARED: &[OptionSpec] = &[
        OptionSpec {
            name: "tiles",
            values: Values::Directory,
            meaning: "pictures",
            default: None,
            readers: &[Reader::Verify],
        },
        OptionSpec {
            name: "version",
            values: Values::OneOf(&["2", "1"]),
            meaning: "version",
            default: Some("2"),
            readers: &[Reader::Verify, Reader::Play],
        },
        OptionSpec {
            name: "goals",
            values: Values::Whole(1, 8),
            meaning: "goals",
            default: Some("1"),
            readers: &[Reader::Generate],
        },
        OptionSpec {
            name: "strict",
            values: Values::Flag,
            meaning: "strictness",
            default: Some("false"),
            readers: &[Reader::Play],
        },
    ];

    #[test]
    fn values_stand_over_defaults() {
        let read = |reader, pairs: &[(&str, &str)]| {
            Options::read("toy", DECLARED, reader, pairs.iter().copied()).unwrap()
        };
        let options = read(Reader::Verify, &[]);
        assert_eq!((options.get("version"), options.directory("tiles")), (Some("2"), None));
        assert_eq!(
            (options.whole("goals"), options.flag("strict"), options.get("x")),
            (Some(1), false, None)
        );
        let options = read(Reader::Verify, &[("version", "1"), ("tiles", "a/b"), ("version", "2")]);
        assert_eq!((options.get("version"), options.directory("tiles")), (Some("2"), Some(Path::new("a/b"))));
        assert!(read(Reader::Play, &[("strict", "true")]).flag("strict"));
        // A default that is given is not a choice.
        let options = read(Reader::Verify, &[("version", "2"), ("tiles", "a")]);
        assert_eq!(options.chosen().collect::<Vec<_>>(), [("tiles", "a")]);
        let options = read(Reader::Play, &[("version", "1"), ("strict", "true")]);
        assert_eq!(options.chosen().collect::<Vec<_>>(), [("strict", "true"), ("version", "1")]);
        assert_eq!(read(Reader::Generate, &[("goals", "8")]).whole("goals"), Some(8));
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let refused = |reader, pair| Options::read("toy", DECLARED, reader, [pair]).unwrap_err().to_string();
        assert_eq!(
            refused(Reader::Verify, ("tile", "x")),
            "toy has no option `tile`; it has tiles=DIR (env verify), version=2|1 (env verify, playing), \
             goals=N (env generate), strict=true|false (playing)"
        );
        assert_eq!(
            refused(Reader::Bench, ("version", "1")),
            "option `version` of toy is for env verify, playing, not for env bench"
        );
        assert_eq!(
            refused(Reader::Verify, ("version", "3")),
            "option `version` of toy is `3`; it takes 2 or 1"
        );
        assert_eq!(
            refused(Reader::Verify, ("tiles", "")),
            "option `tiles` of toy is ``; it takes a directory"
        );
        for wrong in ["0", "9", "-1", "x"] {
            let error = refused(Reader::Generate, ("goals", wrong));
            assert!(error.ends_with("it takes a whole number from 1 to 8"), "{error}");
        }
        let error = Options::read("bare", &[], Reader::Play, [("a", "b")]).unwrap_err().to_string();
        assert_eq!(error, "bare has no option `a`; bare takes no options");
    }
}
