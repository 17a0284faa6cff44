//! `env list|play|bench|verify|generate`.

use std::io::BufRead;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, anyhow};
use rayon::prelude::*;
use serde_json::json;
use stepladder_alfworld::generate::distribution::{self, Summary};
use stepladder_alfworld::generate::{self, GoalCount, Split};
use stepladder_alfworld::{Alfworld, Game, Households, bench, verify};
use stepladder_env::transcript::Report;
use stepladder_env::{Env, TaskSet};

use super::{Usage, say, scienceworld, sokoban};
use crate::cli::EnvCommand;
use crate::stdout::ask;
use stepladder_train::envs::{self, Family};

mod expert;

pub(super) fn run(command: EnvCommand) -> Result<()> {
    match command {
        EnvCommand::List { json } => list(json),
        EnvCommand::Play { env, split, task, expert, data } => {
            play(&env, &split, task, expert, data.as_deref())
        }
        EnvCommand::Bench { env, split, steps, seed, version, json, data } => {
            let family = Family::named(&env)?;
            scienceworld::only(version.as_deref(), family)?;
            let (split, data) = (split.as_deref(), data.as_deref());
            let many = steps.unwrap_or(2_000_000);
            match family {
                Family::Household | Family::Alfworld => bench_games(family, split, many, seed, json, data),
                Family::Sokoban => sokoban::bench(split, many, seed, json, data),
                Family::ScienceWorld => scienceworld::bench(split, steps, version.as_deref(), json, data),
            }
        }
        EnvCommand::Verify { env, transcripts, tiles, version, json, data } => {
            let family = Family::named(&env)?;
            let report = replay(family, &transcripts, tiles.as_deref(), version.as_deref(), data.as_deref())?;
            tell(&env, &report, json)
        }
        EnvCommand::Generate { env, split, count, seed, goals, output, report, data } => {
            match (Family::named(&env)?, report, output) {
                (Family::ScienceWorld, ..) => {
                    Err(Usage("scienceworld has no games to generate: its simulator makes them".to_owned())
                        .into())
                }
                (Family::Sokoban, true, _) => Err(Usage(
                    "--report compares household games; docs/sokoban.md compares boards".to_owned(),
                )
                .into()),
                (Family::Household | Family::Alfworld, true, _) if goals > 1 => {
                    Err(Usage("--report compares games with one goal; leave out --goals".to_owned()).into())
                }
                (Family::Household | Family::Alfworld, true, _) => compare(data.as_deref()),
                (_, false, None) => Err(Usage("pass -o DIR".to_owned()).into()),
                (Family::Sokoban, false, Some(output)) => {
                    sokoban::generate(&split, count, seed, goals, &output)
                }
                (Family::Household | Family::Alfworld, false, Some(output)) => {
                    write_games(&split, count, seed, goals, &output)
                }
            }
        }
    }
}

fn list(as_json: bool) -> Result<()> {
    let specs = Family::ALL.map(Family::spec);
    if as_json {
        let all: Vec<_> = specs
            .iter()
            .map(|spec| {
                json!({
                    "id": spec.id, "version": spec.version, "summary": spec.summary, "upstream": spec.upstream,
                    "splits": spec.splits, "max_steps": spec.max_steps, "data_licence": spec.data_licence,
                })
            })
            .collect();
        say(serde_json::to_string(&all)?);
    } else {
        for spec in specs {
            say(format_args!("{:<12} {}\n{:<12} splits: {}", spec.id, spec.summary, "", spec.split_list()));
        }
    }
    Ok(())
}

fn play(id: &str, split: &str, number: usize, with_expert: bool, data: Option<&Path>) -> Result<()> {
    let registered = envs::open(id, data)?;
    let tasks = registered.tasks.tasks(split)?;
    let task = tasks
        .get(number)
        .ok_or_else(|| Usage(format!("{id}/{split} has {} tasks; --task counts from 0", tasks.len())))?;
    let limit = registered.tasks.max_steps(split);
    let mut env = stepladder_env::TimeLimit::new(registered.tasks.make()?, limit);
    let start = env.reset(task, 0)?;
    say(format_args!("[{task}]\n{}\n", start.text));
    if with_expert {
        return expert::play(&registered, &mut env, &start, limit);
    }
    let mut steps = 0;
    let mut input = std::io::stdin().lock();
    loop {
        ask("> ");
        let mut line = Vec::new();
        if input.read_until(b'\n', &mut line)? == 0 {
            return Ok(());
        }
        // A terminal may send other encodings; what is no UTF-8 is an action that no game knows.
        let line = String::from_utf8_lossy(&line);
        let action = match line.trim() {
            "?" => {
                let actions = env.admissible().map(|list| list.admissible_actions()).unwrap_or_default();
                say(actions.join("\n"));
                continue;
            }
            text => text,
        };
        let step = env.step(action)?;
        say(format_args!("{}\n", step.observation));
        steps += 1;
        if let Some(end) = step.end {
            say(format_args!("{end:?} after {steps} steps, won: {}", step.won));
            return Ok(());
        }
    }
}

/// Compiled games of a split of households, all of them.
fn games(family: Family, split: Option<&str>, data: Option<&Path>) -> Result<Vec<Arc<Game>>> {
    let registered = envs::open(family.spec().id, data)?;
    let split = split.unwrap_or(registered.spec().splits[0]);
    let tasks = registered.tasks.tasks(split)?;
    let load: Vec<Result<Arc<Game>, _>> = match (family, data) {
        (Family::Alfworld, Some(root)) => {
            let set = Alfworld::new(root, Default::default());
            tasks.par_iter().map(|task| set.game(task)).collect()
        }
        (Family::Household, _) => {
            let set = Households::default();
            tasks.par_iter().map(|task| set.game(task)).collect()
        }
        (Family::Alfworld, None) | (Family::Sokoban | Family::ScienceWorld, _) => {
            return Err(anyhow!("{} has no household games", registered.spec().id));
        }
    };
    Ok(load.into_iter().collect::<Result<_, _>>()?)
}

fn bench_games(
    family: Family,
    split: Option<&str>,
    steps: u64,
    seed: u64,
    as_json: bool,
    data: Option<&Path>,
) -> Result<()> {
    let id = family.spec().id;
    let games = games(family, split, data)?;
    let mut report = bench::bench(&games, steps, seed).ok_or_else(|| anyhow!("{id}: no games to play"))?;
    report.env = id.to_owned();
    if as_json {
        say(serde_json::to_string(&report)?);
    } else {
        say(format_args!(
            "{id}: {:.0} steps/s, {:.0} resets/s on one core; {} games, {}, checksum {}",
            report.steps_per_second, report.resets_per_second, report.games, report.policy, report.checksum
        ));
    }
    Ok(())
}

fn replay(
    family: Family,
    files: &[PathBuf],
    tiles: Option<&Path>,
    version: Option<&str>,
    data: Option<&Path>,
) -> Result<Report> {
    let id = family.spec().id;
    scienceworld::only(version, family)?;
    if tiles.is_some() && family != Family::Sokoban {
        return Err(Usage(format!("--tiles is for sokoban; {id} draws no pictures")).into());
    }
    match family {
        Family::Sokoban => sokoban::replay(files, tiles),
        Family::ScienceWorld => scienceworld::replay(files, version, data),
        Family::Household | Family::Alfworld => {
            let mut report = Report::new(id);
            for file in files {
                report.merge(verify::verify(file, data)?);
            }
            Ok(report)
        }
    }
}

fn tell(id: &str, report: &Report, as_json: bool) -> Result<()> {
    if as_json {
        say(serde_json::to_string(report)?);
    } else {
        say(format_args!("{id}: {} rows, {} mismatches", report.rows, report.mismatches));
        let compared = report.compared_fields.iter().map(|(field, rows)| match *rows == report.rows {
            true => field.clone(),
            false => format!("{field} (in {rows} rows)"),
        });
        say(format_args!("compared: {}", compared.collect::<Vec<_>>().join(", ")));
        for field in &report.skipped_fields {
            say(format_args!("not compared: {field}"));
        }
        if let Some(difference) = &report.first_difference {
            say(format_args!(
                "first difference: {} row {}, {}, `{}`\n  original: {}\n  ours:     {}",
                difference.file,
                difference.row,
                difference.task,
                difference.field,
                difference.expected,
                difference.found
            ));
        }
    }
    if report.mismatches > 0 {
        return Err(anyhow!("{} of {} rows differ from the original", report.mismatches, report.rows));
    }
    Ok(())
}

fn write_games(split: &str, count: u64, first: u64, goals: u8, output: &Path) -> Result<()> {
    let split: Split = split.parse().map_err(|error| Usage(format!("{error}")))?;
    let goals = GoalCount::new(usize::from(goals))
        .ok_or_else(|| Usage(format!("--goals is {goals}; a game has 1 to 8")))?;
    let options = generate::Options { goals, ..Default::default() };
    let end = first.checked_add(count).ok_or_else(|| Usage("--seed plus --count is too large".to_owned()))?;
    (first..end).into_par_iter().try_for_each(|seed| -> Result<()> {
        let directory = output.join(format!("seed-{seed}"));
        fs_err::create_dir_all(&directory)?;
        let text = generate::generate(split, seed, &options).to_json()?;
        fs_err::write(directory.join("game.tw-pddl"), text)?;
        Ok(())
    })?;
    say(format_args!("{count} games of split {} in {}", split.name(), output.display()));
    Ok(())
}

/// Official and generated training games side by side.
fn compare(data: Option<&Path>) -> Result<()> {
    let root = data.ok_or_else(|| {
        Usage("--report needs the official games: set STEPLADDER_DATA or pass --data".to_owned())
    })?;
    let mut official = Summary::default();
    for task in Alfworld::new(root, Default::default()).tasks("train")? {
        let path = root.join("alfworld/json_2.1.1/").join(&task.id).join("game.tw-pddl");
        let text = fs_err::read_to_string(&path)?;
        let game: serde_json::Value =
            serde_json::from_str(&text).with_context(|| path.display().to_string())?;
        let problem = game["pddl_problem"].as_str().unwrap_or_default();
        official.add(problem, game["walkthrough"].as_array().map_or(0, Vec::len))?;
    }
    let summarise = |seeds: std::ops::Range<u64>| -> Result<Summary> {
        let mut summary = Summary::default();
        for seed in seeds {
            let game = generate::generate(Split::Train, seed, &Default::default());
            summary.add(&game.pddl_problem, game.walkthrough.len())?;
        }
        Ok(summary)
    };
    let number = u64::from(official.games);
    let (generated, again) = (summarise(0..number)?, summarise(number..2 * number)?);
    let text = distribution::report(("official train", &official), ("generated train", &generated), &again);
    say(text.trim_end());
    Ok(())
}
