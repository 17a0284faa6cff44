//! Command line of `cargo xtask`.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Arg, ArgAction, ArgMatches, Command};

/// Task of the command line.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Task {
    /// Build the program and train the demo preset.
    Demo(Vec<OsString>),
    /// Run the tests of these packages, or of the whole workspace if none is named.
    Test(Vec<String>),
    /// Run every check before a merge except the tests, or one of them.
    Check { only: Option<String> },
    /// Write the generated reference pages, or fail if they are out of date.
    Generate { check: bool },
    /// Train tiny seeded runs and compare them with those of another commit.
    Fingerprint { against: Option<String>, json: bool },
    /// Install or find libtorch.
    Libtorch { cuda: bool },
    /// Prepare a folder with the GPU measurements.
    Gpu { out: Option<PathBuf>, tiny: bool },
    /// Build the wheel of the Python package.
    Wheel { out: Option<PathBuf> },
    /// Unpack the official data sets from the folder next to the repository.
    Data,
    /// Print the environment as `export` lines.
    Env,
}

/// Parses the arguments; the error prints itself and has its exit code (2 for wrong usage).
pub(crate) fn parse<I, A>(arguments: I) -> Result<Task, clap::Error>
where
    I: IntoIterator<Item = A>,
    A: Into<OsString> + Clone,
{
    let matches = command().try_get_matches_from(arguments)?;
    Ok(match matches.subcommand() {
        Some(("demo", matches)) => Task::Demo(all(matches, "arguments")),
        Some(("test", matches)) => Task::Test(all(matches, "package")),
        Some(("check", matches)) => Task::Check { only: matches.get_one("only").cloned() },
        Some(("generate", matches)) => Task::Generate { check: matches.get_flag("check") },
        Some(("fingerprint", matches)) => {
            Task::Fingerprint { against: matches.get_one("against").cloned(), json: matches.get_flag("json") }
        }
        Some(("libtorch", matches)) => Task::Libtorch { cuda: matches.get_flag("cuda") },
        Some(("gpu", matches)) => {
            Task::Gpu { out: matches.get_one("out").cloned(), tiny: matches.get_flag("tiny") }
        }
        Some(("wheel", matches)) => Task::Wheel { out: matches.get_one("out").cloned() },
        Some(("data", _)) => Task::Data,
        _ => Task::Env,
    })
}

fn all<T: Clone + Send + Sync + 'static>(matches: &ArgMatches, name: &str) -> Vec<T> {
    matches.get_many(name).into_iter().flatten().cloned().collect()
}

fn command() -> Command {
    let flag = |name: &'static str, help: &'static str| {
        Arg::new(name).long(name).action(ArgAction::SetTrue).help(help)
    };
    Command::new("cargo xtask")
        .bin_name("cargo xtask")
        .about("Developer tasks of Stepladder")
        .after_help("Example: cargo xtask test -p stepladder-core")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .disable_help_subcommand(true)
        .subcommand(
            Command::new("demo")
                .about("Build `stepladder` and train the demo preset")
                .after_help("Example: cargo xtask demo --set seed=1")
                .arg(
                    Arg::new("arguments")
                        .num_args(0..)
                        .trailing_var_arg(true)
                        .allow_hyphen_values(true)
                        .value_parser(clap::value_parser!(OsString))
                        .help("Arguments of `stepladder train demo`"),
                ),
        )
        .subcommand(
            Command::new("test")
                .about("Run the tests, with libtorch and the official data if present")
                .arg(
                    Arg::new("package")
                        .short('p')
                        .long("package")
                        .value_name("CRATE")
                        .action(ArgAction::Append)
                        .help("Run only the tests of this crate; repeatable"),
                ),
        )
        .subcommand(
            Command::new("check")
                .about("Formatting, crate edges, import cycles, terms, links, spelling, dependencies, generated pages, lints and documentation, cheapest first")
                .after_help("Example: cargo xtask check --only cycles")
                .arg(
                    Arg::new("only")
                        .long("only")
                        .value_name("STAGE")
                        .value_parser(crate::check::NAMES)
                        .help("Run one stage"),
                ),
        )
        .subcommand(
            Command::new("generate")
                .about("Write the generated pages of docs/reference")
                .arg(flag("check", "Write nothing; fail where a page is out of date")),
        )
        .subcommand(
            Command::new("fingerprint")
                .about("Train tiny seeded runs; print hashes of the weights and the last losses, or compare them with another commit's")
                .after_help(
                    "Prints one line per run and agent. With --against, exits with 1 if anything differs.\n\
                     Example: cargo xtask fingerprint --against main",
                )
                .arg(
                    Arg::new("against")
                        .long("against")
                        .value_name("REV")
                        .help("Check REV out in the cache, build and run it there, and compare"),
                )
                .arg(flag("json", "Print JSON instead of lines")),
        )
        .subcommand(
            Command::new("libtorch")
                .about("Find libtorch, or install it into the shared cache")
                .arg(flag("cuda", "Install it with the libraries that an NVIDIA GPU needs (several GB)")),
        )
        .subcommand(
            Command::new("gpu")
                .about("Prepare a folder with the measurements for a machine with an NVIDIA GPU (docs/gpu.md)")
                .after_help("Example: cargo xtask gpu --out gpu\nOn that machine: python3 run.py")
                .arg(
                    Arg::new("out")
                        .long("out")
                        .value_name("DIR")
                        .value_parser(clap::value_parser!(PathBuf))
                        .help("Folder to write; `gpu` in the target directory by default"),
                )
                .arg(flag("tiny", "Make everything small enough for a CPU: a dry run in about a minute")),
        )
        .subcommand(
            Command::new("wheel")
                .about("Build the wheel of the Python package `stepladder`")
                .after_help("Example: cargo xtask wheel\nThen: pip install target/wheels/stepladder-*.whl")
                .arg(
                    Arg::new("out")
                        .long("out")
                        .value_name("DIR")
                        .value_parser(clap::value_parser!(PathBuf))
                        .help("Folder to write to; `wheels` in the target directory by default"),
                ),
        )
        .subcommand(Command::new("data").about("Unpack the data sets from ../shared into the cache"))
        .subcommand(
            Command::new("env")
                .about("Print the environment as export lines")
                .after_help("Example: eval \"$(cargo xtask env)\""),
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse_words(words: &str) -> Result<Task, clap::Error> {
        parse(format!("xtask {words}").split_whitespace())
    }

    #[test]
    fn the_definition_is_consistent() {
        command().debug_assert();
    }

    #[test]
    fn a_typo_is_wrong_usage_and_names_the_nearest_command() {
        let error = parse_words("chek").unwrap_err();
        assert_eq!(error.exit_code(), 2);
        assert!(error.to_string().contains("check"), "{error}");
        assert!(error.to_string().contains("Usage"), "{error}");
        assert_eq!(parse_words("").unwrap_err().exit_code(), 2);
        assert_eq!(parse_words("generate --chekc").unwrap_err().exit_code(), 2);
        assert_eq!(parse_words("--help").unwrap_err().exit_code(), 0);
    }

    #[test]
    fn the_demo_passes_flags_on_untouched() {
        let expected = ["--set", "seed=1", "--help"].map(OsString::from).to_vec();
        assert_eq!(parse_words("demo --set seed=1 --help").unwrap(), Task::Demo(expected));
    }

    #[test]
    fn a_fingerprint_is_taken_alone_or_against_a_commit() {
        assert_eq!(parse_words("fingerprint").unwrap(), Task::Fingerprint { against: None, json: false });
        let against = Some("HEAD~1".to_owned());
        let parsed = parse_words("fingerprint --against HEAD~1 --json").unwrap();
        assert_eq!(parsed, Task::Fingerprint { against, json: true });
        assert_eq!(parse_words("fingerprint --against").unwrap_err().exit_code(), 2);
    }

    #[test]
    fn one_stage_of_the_check_can_be_run_alone() {
        assert_eq!(parse_words("check").unwrap(), Task::Check { only: None });
        assert_eq!(parse_words("check --only cycles").unwrap(), Task::Check { only: Some("cycles".into()) });
        assert_eq!(parse_words("check --only tests").unwrap_err().exit_code(), 2);
    }

    #[test]
    fn the_gpu_folder_has_a_place_and_a_size() {
        assert_eq!(parse_words("gpu").unwrap(), Task::Gpu { out: None, tiny: false });
        assert_eq!(
            parse_words("gpu --tiny --out a").unwrap(),
            Task::Gpu { out: Some("a".into()), tiny: true }
        );
    }

    #[test]
    fn the_wheel_has_a_place() {
        assert_eq!(parse_words("wheel").unwrap(), Task::Wheel { out: None });
        assert_eq!(parse_words("wheel --out a").unwrap(), Task::Wheel { out: Some("a".into()) });
    }

    #[test]
    fn packages_may_be_repeated() {
        assert_eq!(parse_words("test -p a -p b").unwrap(), Task::Test(vec!["a".into(), "b".into()]));
        assert_eq!(parse_words("test").unwrap(), Task::Test(vec![]));
    }
}
