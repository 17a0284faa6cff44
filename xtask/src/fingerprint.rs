//! `cargo xtask fingerprint`: tiny seeded runs of the working tree and of another commit, compared bit by bit.

mod compare;
mod runs;
mod tensors;
mod tree;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, bail};
use fs_err as fs;
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::run;
use crate::settings::Settings;
use crate::stage::stage;
use compare::short;
use runs::Agents;

/// One tree with its program and the results of its runs.
struct Side {
    /// Name for messages: `working tree`, or the revision on the command line.
    name: String,
    program: PathBuf,
    /// Folder of its configurations, run directories and logs.
    place: PathBuf,
    agents: Agents,
}

/// Trains the fingerprint runs with the working tree and with `against`; prints a line per run and agent.
pub(crate) fn fingerprint(settings: &Settings, against: Option<&str>, as_json: bool) -> Result<()> {
    let commit = against.map(|rev| tree::commit(settings, rev)).transpose()?;
    run::tensors(settings)?;
    // One folder per clone, since a worktree belongs to one repository.
    let clone = Sha256::digest(settings.workspace.as_os_str().as_encoded_bytes());
    let clone: String = clone[..6].iter().map(|byte| format!("{byte:02x}")).collect();
    let cache = settings.cache.join("fingerprint").join(clone);
    fs::create_dir_all(&cache)?;
    let lock = fs::File::create(cache.join("lock"))?;
    if lock.try_lock().is_err() {
        eprintln!("  waiting for another process that takes fingerprints");
        lock.lock()?;
    }
    let side = |name: &str, folder: &str, program: PathBuf| -> Result<Side> {
        let place = cache.join(folder);
        if place.exists() {
            fs::remove_dir_all(&place)?;
        }
        fs::create_dir_all(&place)?;
        Ok(Side { name: name.to_owned(), program, place, agents: Agents::new() })
    };
    let program = stage("build of the working tree", || tree::build_here(settings))?;
    let mut sides = vec![side("working tree", "here", program)?];
    if let (Some(rev), Some(commit)) = (against, &commit) {
        let what = format!("build of {rev} (the first one takes minutes)");
        let program = stage(&what, || tree::build_there(settings, &cache, commit))?;
        sides.push(side(rev, "there", program)?);
    }
    for (name, text) in tree::configurations(settings)? {
        stage(&format!("run {name}"), || {
            let mut children = Vec::new();
            for side in &sides {
                let (text, origin) = match &commit {
                    Some(commit) if side.name != "working tree" => {
                        tree::configuration_of(settings, commit, &name, &text)?
                    }
                    _ => (text.clone(), String::new()),
                };
                if !origin.is_empty() {
                    eprintln!("    configuration of {}: {origin}", side.name);
                }
                children.push(Training::start(side, &name, &text)?);
            }
            for (side, child) in sides.iter_mut().zip(children) {
                child.wait(&side.name)?;
                let found = runs::read(&side.place.join(&name))
                    .with_context(|| format!("run {name} of {}", side.name))?;
                side.agents.extend(found.into_iter().map(|(agent, what)| ((name.clone(), agent), what)));
            }
            Ok(())
        })?;
    }
    match sides.as_slice() {
        [here, there] => report(here, there, as_json),
        [here] => print(here, as_json),
        _ => Ok(()),
    }
}

/// A training process.
struct Training {
    run: String,
    child: Child,
    log: PathBuf,
}

impl Training {
    fn start(side: &Side, run: &str, configuration: &str) -> Result<Self> {
        let file = side.place.join(format!("{run}.toml"));
        fs::write(&file, configuration)?;
        let log = side.place.join(format!("{run}.log"));
        let output = fs::File::create(&log)?;
        let mut command = Command::new(&side.program);
        command.arg("train").arg(&file).arg("--run-dir").arg(side.place.join(run));
        command.current_dir(&side.place).env_remove("STEPLADDER_DATA").stdin(Stdio::null());
        command.stdout(output.file().try_clone()?).stderr(output.into_file());
        let child = command.spawn().with_context(|| format!("cannot run {}", side.program.display()))?;
        Ok(Self { run: run.to_owned(), child, log })
    }

    fn wait(mut self, tree: &str) -> Result<()> {
        let status = self.child.wait()?;
        if status.success() {
            return Ok(());
        }
        let said = last_lines(&self.log);
        bail!("run {} of {tree} failed ({status}): {said}\n  log: {}", self.run, self.log.display())
    }
}

impl Drop for Training {
    /// Ends a run whose partner has failed. Has no effect on a finished run.
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Returns the log from the last error on, or its last line.
fn last_lines(log: &Path) -> String {
    let text = fs::read_to_string(log).unwrap_or_default();
    let text = text.trim_end();
    let start = text.rfind("error: ").or_else(|| text.rfind('\n').map(|at| at + 1)).unwrap_or(0);
    text[start..].to_owned()
}

/// Prints the fingerprints of one tree.
fn print(side: &Side, as_json: bool) -> Result<()> {
    let mut out = std::io::stdout().lock();
    if as_json {
        let rows: Vec<_> = side
            .agents
            .iter()
            .map(|((run, agent), found)| {
                json!({
                    "run": run,
                    "agent": agent,
                    "weights": found.weights,
                    "tensors": found.tensors,
                    "numbers": found.numbers,
                    "losses": found.losses,
                })
            })
            .collect();
        writeln!(out, "{:#}", json!(rows))?;
        return Ok(());
    }
    for ((run, agent), found) in &side.agents {
        let mut line = format!("{run:<10} {agent:<12} weights {}", short(&found.weights));
        for key in ["success", "mean_steps"] {
            if let Some(value) = found.numbers.get(key) {
                line.push_str(&format!(", {key} {value}"));
            }
        }
        for (model, loss) in &found.losses {
            line.push_str(&format!(", loss {model}{}{loss}", if model.is_empty() { "" } else { " " }));
        }
        writeln!(out, "{line}")?;
    }
    Ok(())
}

/// Prints the comparison of two trees; an error if anything differs.
fn report(here: &Side, there: &Side, as_json: bool) -> Result<()> {
    let rows = compare::compare(&here.agents, &there.agents, &there.name);
    let mut out = std::io::stdout().lock();
    if as_json {
        let rows: Vec<_> = rows.iter().map(compare::Row::json).collect();
        writeln!(out, "{:#}", json!(rows))?;
    } else {
        for row in &rows {
            writeln!(out, "{}", row.line())?;
        }
    }
    out.flush()?;
    let differing = rows.iter().filter(|row| !row.same()).count();
    if differing > 0 {
        bail!("{differing} of {} agents differ from {}", rows.len(), there.name);
    }
    eprintln!("==> all {} agents are equal to those of {}", rows.len(), there.name);
    Ok(())
}
