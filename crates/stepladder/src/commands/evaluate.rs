//! `evaluate`: evaluates a trained agent or a pretrained model on a split.

use std::num::NonZeroUsize;
use std::sync::atomic::AtomicBool;

use crate::stderr::note;
use anyhow::Result;
use stepladder_train::evaluate::{Player, Settings};
use stepladder_train::trace_file;

use super::{all_played, one_on_stdout, say, sum_up};
use crate::cli::Evaluate;
use crate::stdout;
use crate::terminal::Terminal;

pub(super) fn run(arguments: &Evaluate) -> Result<()> {
    let (policy, split) = (&arguments.policy, arguments.split.as_deref());
    let player = Player::open(&policy.source(split), |config| &config.eval.split, &Terminal)?;
    let count = arguments.episodes.map_or(0, NonZeroUsize::get);
    let games = player.evaluation(count, arguments.seeds.get(), policy.temperature)?;
    let output = arguments.trace.as_deref().map(stdout::open).transpose()?;
    if let Some(path) = &arguments.trace {
        one_on_stdout(path, arguments.json)?;
    }
    let on_stdout = arguments.trace.as_deref().is_some_and(stdout::is_named);
    let writer = output.map(trace_file::Writer::to).transpose()?;
    let settings = Settings {
        max_steps: policy.max_steps,
        temperature: policy.temperature,
        slots: arguments.slots.get(),
        seed: 0,
        keep_prompts: arguments.trace.is_some(),
        keep_tokens: arguments.trace_tokens,
    };
    let played = player.play(&games, settings, &Terminal, &AtomicBool::new(false))?;
    note!("{} episodes in {:.2} s", played.episodes.len(), played.seconds);
    if let Some(writer) = writer {
        writer.write_all(&played.episodes)?;
    }
    if arguments.json {
        say(player.json(&games, &played));
    } else {
        sum_up(on_stdout, player.table(&games, &played).trim_end());
    }
    all_played(&played.episodes)
}
