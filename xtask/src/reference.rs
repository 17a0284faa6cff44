//! Generated reference pages, kept in the repository and compared at every check.

use std::path::Path;
use std::process::Command;

use anyhow::{Result, bail};
use fs_err as fs;

use crate::cargo::{cargo, program};
use crate::settings::Settings;
use crate::stage::{capture, execute};

/// Pages of `stepladder reference PAGE` with their files.
const PAGES: [(&str, &str); 4] = [
    ("cli", "docs/reference/cli.md"),
    ("config", "docs/reference/config.md"),
    ("presets", "docs/reference/presets.md"),
    ("metrics", "docs/reference/metrics.md"),
];

/// Builds the program and writes the pages; with `check`, fails on differences instead.
pub(crate) fn generate(settings: &Settings, check: bool) -> Result<()> {
    // The whole workspace is selected so that features unify as they do for the tests, and one build serves both.
    execute(cargo(settings).args(["build", "--workspace", "--bin", "stepladder"]))?;
    let program = program(settings, "debug")?;
    let mut stale = Vec::new();
    for (page, file) in PAGES {
        let text = capture(Command::new(&program).args(["reference", page]))?;
        let path = settings.workspace.join(file);
        match (difference(&path, &text)?, check) {
            (None, _) => {}
            (Some(line), true) => stale.push(format!("{file}, line {line}")),
            (Some(_), false) => {
                if let Some(directory) = path.parent() {
                    fs::create_dir_all(directory)?;
                }
                fs::write(&path, &text)?;
                eprintln!("    wrote {file}");
            }
        }
    }
    if stale.is_empty() {
        return Ok(());
    }
    bail!("out of date: {}; run `cargo xtask generate` and commit the result", stale.join("; "))
}

/// Returns the first line in which the file differs from the page; 1 where there is no file.
fn difference(path: &Path, page: &str) -> Result<Option<usize>> {
    if !path.exists() {
        return Ok(Some(1));
    }
    let found = fs::read_to_string(path)?;
    if found == page {
        return Ok(None);
    }
    let same = found.lines().zip(page.lines()).take_while(|(left, right)| left == right).count();
    Ok(Some(same + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_differing_line_is_named() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("page.md");
        assert_eq!(difference(&path, "a\n").unwrap(), Some(1));
        fs::write(&path, "a\nb\n").unwrap();
        assert_eq!(difference(&path, "a\nb\n").unwrap(), None);
        assert_eq!(difference(&path, "a\nc\n").unwrap(), Some(2));
        assert_eq!(difference(&path, "a\nb\nc\n").unwrap(), Some(3));
    }
}
