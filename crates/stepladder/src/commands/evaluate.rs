//! `evaluate`: evaluates a trained agent or a pretrained model on a split.

use std::num::NonZeroUsize;
use std::sync::atomic::AtomicBool;

use crate::stderr::note;
use anyhow::Result;
use stepladder_core::trace::Episode;
use stepladder_train::evaluate::{Played, Player, Settings};
use stepladder_train::trace_file;

use super::{all_played, one_on_stdout, say, sum_up};
use crate::cli::Evaluate;
use crate::stdout;
use crate::terminal::Terminal;

pub(super) fn run(arguments: &Evaluate) -> Result<()> {
    let (policy, split) = (&arguments.policy, arguments.split.as_deref());
    let player = Player::open(&policy.source(split), |config| &config.eval.split, &Terminal)?;
    let count = arguments.episodes.map_or(0, NonZeroUsize::get);
    if arguments.constrained {
        player.can_constrain()?;
    }
    let games = player.evaluation(count, arguments.seeds.get(), policy.temperature)?;
    let stop_strings = player.policy.stop_strings(&policy.stop)?;
    let output = arguments.trace.as_deref().map(stdout::open).transpose()?;
    if let Some(path) = &arguments.trace {
        one_on_stdout(path, arguments.json)?;
    }
    let on_stdout = arguments.trace.as_deref().is_some_and(stdout::is_named);
    let writer = output.map(trace_file::Writer::to).transpose()?;
    let settings = Settings {
        max_steps: policy.max_steps,
        sampling: policy.sampling(&player.policy),
        stop_strings,
        slots: arguments.slots.get(),
        seed: arguments.seed,
        keep_prompts: arguments.trace.is_some(),
        keep_tokens: arguments.trace_tokens,
        constrained: false,
    };
    let stop = AtomicBool::new(false);
    let games = player.with_blueprints(games, arguments.blueprints, &settings, &Terminal, &stop)?;
    let play = |constrained: bool| -> Result<Played> {
        let settings = Settings { constrained, ..settings.clone() };
        let played = player.play(&games, settings, &Terminal, &stop)?;
        let how = if constrained { ", constrained" } else { "" };
        note!("{} episodes in {:.2} s{how}", played.episodes.len(), played.seconds);
        Ok(played)
    };
    let free = play(false)?;
    let constrained = arguments.constrained.then(|| play(true)).transpose()?;
    let again: &[Episode] = constrained.as_ref().map_or(&[], |played| &played.episodes);
    if let Some(writer) = writer {
        writer.write_all(free.episodes.iter().chain(again))?;
    }
    if arguments.json {
        say(player.json(&games, &free, constrained.as_ref()));
    } else {
        sum_up(on_stdout, player.table(&games, &free, constrained.as_ref()).trim_end());
    }
    all_played(&free.episodes)?;
    all_played(again)
}
