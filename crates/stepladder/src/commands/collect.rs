//! `collect`: plays tasks with a trained agent and writes the trace.

use std::num::NonZeroUsize;
use std::sync::atomic::AtomicBool;

use anyhow::Result;
use stepladder_train::choice::behind;
use stepladder_train::evaluate::{Player, Settings};
use stepladder_train::trace_file;

use super::{sum_up, whole};
use crate::cli::Collect;
use crate::stdout;
use crate::terminal::Terminal;

pub(super) fn run(arguments: &Collect) -> Result<()> {
    let (policy, split) = (&arguments.policy, arguments.split.as_deref());
    let player = Player::open(&policy.source(split), |config| &config.data.split, &Terminal)?;
    let games = player.collection(arguments.count.map_or(0, NonZeroUsize::get), arguments.seed)?;
    let stop_strings = player.policy.stop_strings(&policy.stop)?;
    let writer = trace_file::Writer::to(stdout::open(&arguments.output)?)?;
    let on_stdout = stdout::is_named(&arguments.output);
    let settings = Settings {
        constrained: false,
        max_steps: policy.max_steps,
        sampling: policy.sampling(&player.policy),
        stop_strings,
        slots: 100,
        seed: arguments.seed,
        keep_prompts: true,
        keep_tokens: false,
    };
    let mut episodes = player.play(&games, settings, &Terminal, &AtomicBool::new(false))?.episodes;
    whole(&mut episodes)?;
    writer.write_all(&episodes)?;
    let all = player.env.evaluate(&episodes).all;
    let played = format_args!(
        "{} episodes{}, {:.1} % solved, {:.2} steps on average: {}",
        all.n,
        behind(&games.subset),
        100.0 * all.success,
        all.mean_steps,
        arguments.output.display()
    );
    sum_up(on_stdout, played);
    Ok(())
}
