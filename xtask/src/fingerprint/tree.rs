//! Compared trees: the working tree, and another commit in a git worktree inside the cache.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use fs_err as fs;

use crate::cargo::{cargo, program};
use crate::libtorch;
use crate::settings::Settings;
use crate::stage::{capture, execute};

/// Folder of the run configurations in a tree.
pub(crate) const CONFIGURATIONS: &str = "xtask/fingerprint";

/// Builds the program of the working tree and returns its path.
pub(crate) fn build_here(settings: &Settings) -> Result<PathBuf> {
    // The whole workspace is selected so that features unify as they do for the tests, and one build serves both.
    execute(cargo(settings).args(["build", "--workspace", "--bin", "stepladder"]))?;
    program(settings, "debug")
}

/// Checks out a commit below `cache`, builds its program there and returns the program's path.
///
/// Keeps the target directory, so that the next commit compiles only what differs.
pub(crate) fn build_there(settings: &Settings, cache: &Path, commit: &str) -> Result<PathBuf> {
    let tree = cache.join("tree");
    check_out(settings, &tree, commit)?;
    let target = cache.join("target");
    let mut command = cargo(settings);
    command.current_dir(&tree).args(["build", "--workspace", "--bin", "stepladder"]);
    command.env("CARGO_TARGET_DIR", &target).envs(libtorch::variables(settings)?);
    execute(&mut command)?;
    Ok(target.join("debug").join(format!("stepladder{}", std::env::consts::EXE_SUFFIX)))
}

fn check_out(settings: &Settings, tree: &Path, commit: &str) -> Result<()> {
    let own =
        |place: &Path| answer(git(place).args(["rev-parse", "--path-format=absolute", "--git-common-dir"]));
    // In a folder that is not a worktree of this repository, git would use a surrounding repository or fail.
    if tree.join(".git").is_file() && own(tree).is_some() && own(tree) == own(&settings.workspace) {
        execute(git(tree).args(["checkout", "--quiet", "--force", "--detach", commit]))?;
        return execute(git(tree).args(["clean", "--quiet", "--force", "-d", "-x"]));
    }
    if tree.exists() {
        fs::remove_dir_all(tree)?;
    }
    let add = ["worktree", "add", "--quiet", "--force", "--detach"];
    execute(git(&settings.workspace).args(add).arg(tree).arg(commit))
}

/// Returns the full hash of a commit.
pub(crate) fn commit(settings: &Settings, rev: &str) -> Result<String> {
    let mut command = git(&settings.workspace);
    command.args(["rev-parse", "--verify", "--quiet", "--end-of-options", &format!("{rev}^{{commit}}")]);
    let text = capture(&mut command).with_context(|| format!("this repository has no commit `{rev}`"))?;
    Ok(text.trim().to_owned())
}

/// Returns the working tree's configurations by the name of their run, in order.
pub(crate) fn configurations(settings: &Settings) -> Result<Vec<(String, String)>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(settings.workspace.join(CONFIGURATIONS))? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "toml") {
            let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            found.push((name, fs::read_to_string(&path)?));
        }
    }
    found.sort();
    Ok(found)
}

/// Returns the configuration of a run for another commit, with its origin: the commit's own; for a commit without configurations,
/// the first that was ever committed; without any, that of the working tree.
pub(crate) fn configuration_of(
    settings: &Settings,
    commit: &str,
    name: &str,
    here: &str,
) -> Result<(String, String)> {
    let file = format!("{CONFIGURATIONS}/{name}.toml");
    let show = |commit: &str| answer(git(&settings.workspace).args(["show", &format!("{commit}:{file}")]));
    if let Some(text) = show(commit) {
        return Ok((text, "its own".to_owned()));
    }
    let mut log = git(&settings.workspace);
    let added = capture(log.args(["log", "--diff-filter=A", "--format=%H", "HEAD", "--", &file]))?;
    if let Some(first) = added.lines().last()
        && let Some(text) = show(first)
    {
        return Ok((text, format!("that of {}", first.get(..10).unwrap_or(first))));
    }
    Ok((here.to_owned(), "that of the working tree".to_owned()))
}

/// Returns the output of a command if it succeeds; a failure is a valid answer and is not printed.
fn answer(command: &mut Command) -> Option<String> {
    let output = command.output().ok()?;
    if output.status.success() { String::from_utf8(output.stdout).ok() } else { None }
}

/// Prepares git in a folder, without the repository that a hook may have set in the environment.
fn git(folder: &Path) -> Command {
    let mut command = Command::new("git");
    command.arg("-C").arg(folder);
    for name in ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_COMMON_DIR", "GIT_PREFIX"] {
        command.env_remove(name);
    }
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Creates a repository with three commits: without a configuration, with its first, with its second.
    fn repository(root: &Path) -> (Settings, [String; 3]) {
        let settings = Settings::for_tests(root);
        let clone = &settings.workspace;
        fs::create_dir_all(clone.join(CONFIGURATIONS)).unwrap();
        let run = |arguments: &[&str]| {
            let identity = ["-c", "user.name=tester", "-c", "user.email=tester@example.com"];
            execute(git(clone).args(identity).args(arguments)).unwrap();
        };
        run(&["init", "--quiet"]);
        let commits = [None, Some("seed = 1\n"), Some("seed = 2\n")].map(|text| {
            if let Some(text) = text {
                fs::write(clone.join(CONFIGURATIONS).join("tiny.toml"), text).unwrap();
            }
            run(&["add", "--all"]);
            run(&["commit", "--quiet", "--allow-empty", "--message", "a commit"]);
            commit(&settings, "HEAD").unwrap()
        });
        (settings, commits)
    }

    #[test]
    fn a_commit_is_run_with_its_own_configuration_or_the_first_one() {
        let directory = tempfile::tempdir().unwrap();
        let (settings, [before, first, second]) = repository(directory.path());
        let of = |commit: &str, name: &str| configuration_of(&settings, commit, name, "here").unwrap();
        assert_eq!(of(&second, "tiny"), ("seed = 2\n".to_owned(), "its own".to_owned()));
        assert_eq!(of(&before, "tiny"), ("seed = 1\n".to_owned(), format!("that of {}", &first[..10])));
        assert_eq!(of(&second, "new"), ("here".to_owned(), "that of the working tree".to_owned()));
        assert_eq!(configurations(&settings).unwrap(), [("tiny".to_owned(), "seed = 2\n".to_owned())]);
    }

    #[test]
    fn one_worktree_serves_all_commits_and_a_broken_one_is_made_again() {
        let directory = tempfile::tempdir().unwrap();
        let (settings, [before, _, second]) = repository(directory.path());
        let tree = directory.path().join("cache/tree");
        let file = tree.join(CONFIGURATIONS).join("tiny.toml");
        check_out(&settings, &tree, &second).unwrap();
        assert_eq!(fs::read_to_string(&file).unwrap(), "seed = 2\n");
        fs::write(&file, "edited").unwrap();
        fs::write(tree.join("left-over"), "").unwrap();
        check_out(&settings, &tree, &before).unwrap();
        assert!(!file.exists() && !tree.join("left-over").exists());
        fs::remove_file(tree.join(".git")).unwrap();
        check_out(&settings, &tree, &second).unwrap();
        fs::remove_dir_all(&tree).unwrap();
        check_out(&settings, &tree, &second).unwrap();
        assert_eq!(fs::read_to_string(&file).unwrap(), "seed = 2\n");
        // The source tree is unchanged.
        assert_eq!(capture(git(&settings.workspace).args(["status", "--porcelain"])).unwrap(), "");
    }

    #[test]
    fn a_commit_that_is_not_there_is_named() {
        let directory = tempfile::tempdir().unwrap();
        let (settings, _) = repository(directory.path());
        let error = commit(&settings, "no-such-branch").unwrap_err();
        assert_eq!(error.to_string(), "this repository has no commit `no-such-branch`");
    }
}
