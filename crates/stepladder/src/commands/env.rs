//! `env list|play|bench|verify|generate|serve`.

use std::io::BufRead;

use anyhow::{Result, anyhow};
use serde_json::json;
use stepladder_env::family::{BenchRequest, GenerateRequest, ReachableRequest, VerifyRequest};
use stepladder_env::transcript::Report;
use stepladder_env::{Env, Options, Reader};

use super::{Usage, say};
use crate::cli::{EnvCommand, EnvOptions};
use crate::stdout::ask;
use stepladder_train::envs::{self, Registered};

mod expert;
mod serve;

pub(super) fn run(command: EnvCommand) -> Result<()> {
    match command {
        EnvCommand::List { json } => list(json),
        EnvCommand::Play { env, split, task, expert, options, data } => {
            let registered = envs::open_with(None, &env, data.as_deref(), &options.pairs)?;
            play(&registered, &split, task, expert)
        }
        EnvCommand::Bench { env, split, steps, seed, json, options, data } => {
            let family = stepladder_families::named(&env)?;
            let options = read(&options, &env, Reader::Bench)?;
            let (split, data_root) = (split.as_deref(), data.as_deref());
            let measured =
                family.bench(&BenchRequest { split, steps, seed, data_root, options: &options })?;
            say(if json { measured.json } else { measured.summary });
            Ok(())
        }
        EnvCommand::Verify { env, reachable: Some(split), json, options, data, .. } => {
            let family = stepladder_families::named(&env)?;
            let options = read(&options, &env, Reader::Play)?;
            let request = ReachableRequest { split: &split, data_root: data.as_deref(), options: &options };
            let found = family.reachable(&request)?;
            say(if json { serde_json::to_string(&found)? } else { found.to_string() });
            Ok(())
        }
        EnvCommand::Verify { env, transcripts, reachable: None, json, options, data } => {
            let family = stepladder_families::named(&env)?;
            let options = read(&options, &env, Reader::Verify)?;
            let request =
                VerifyRequest { transcripts: &transcripts, data_root: data.as_deref(), options: &options };
            tell(&env, &family.verify(&request)?, json)
        }
        EnvCommand::Generate { env, split, count, seed, output, report, options, data } => {
            let family = stepladder_families::named(&env)?;
            let options = read(&options, &env, Reader::Generate)?;
            let text = match output {
                _ if report => family.report(data.as_deref(), &options)?,
                Some(output) => family.generate(&GenerateRequest {
                    split: &split,
                    count,
                    seed,
                    output: &output,
                    options: &options,
                })?,
                None => return Err(Usage("pass -o DIR".to_owned()).into()),
            };
            say(text.trim_end());
            Ok(())
        }
        EnvCommand::Serve(arguments) => serve::run(&arguments),
    }
}

/// Reads the options of an environment for one command.
fn read(options: &EnvOptions, id: &str, reader: Reader) -> Result<Options> {
    let pairs = options.pairs.iter().map(|(key, value)| (&**key, &**value));
    Ok(stepladder_families::named(id)?.options(reader, pairs)?)
}

fn list(as_json: bool) -> Result<()> {
    let families = stepladder_families::all();
    if as_json {
        let all: Vec<_> = families
            .iter()
            .map(|family| {
                let spec = family.spec;
                json!({
                    "id": spec.id, "version": spec.version, "summary": spec.summary, "upstream": spec.upstream,
                    "splits": spec.splits, "max_steps": spec.max_steps, "data_licence": spec.data_licence,
                })
            })
            .collect();
        say(serde_json::to_string(&all)?);
    } else {
        for family in families {
            let spec = family.spec;
            say(format_args!("{:<12} {}\n{:<12} splits: {}", spec.id, spec.summary, "", spec.split_list()));
            for option in family.options {
                let (value, readers) = (option.values.placeholder(), option.read_by());
                say(format_args!(
                    "{:<12} option: {}={value} ({readers}): {}",
                    "", option.name, option.meaning
                ));
            }
        }
    }
    Ok(())
}

fn play(registered: &Registered, split: &str, number: usize, with_expert: bool) -> Result<()> {
    let tasks = registered.tasks.tasks(split)?;
    let task = tasks.get(number).ok_or_else(|| {
        let place = format!("{}/{split}", registered.spec().id);
        Usage(format!("{place} has {} tasks; --task counts from 0", tasks.len()))
    })?;
    let limit = registered.tasks.max_steps(split);
    let mut env = stepladder_env::TimeLimit::new(registered.tasks.make()?, limit);
    let start = env.reset(task, 0)?;
    say(format_args!("[{task}]\n{}\n", start.text));
    if with_expert {
        return expert::play(registered, &mut env, &start, limit);
    }
    let mut steps = 0;
    let mut input = std::io::stdin().lock();
    loop {
        ask("> ");
        let mut line = Vec::new();
        if input.read_until(b'\n', &mut line)? == 0 {
            return Ok(());
        }
        // A terminal may send other encodings; text that is not UTF-8 is an action that no game knows.
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
