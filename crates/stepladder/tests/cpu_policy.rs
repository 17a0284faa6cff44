//! A policy that was trained by the program plays the same episodes through `stepladder-cpu`, which has no libtorch.
#![allow(clippy::unwrap_used, reason = "the helpers of a test are tests")]

mod common;

use std::path::Path;

use common::{episodes, folder, ok};
use stepladder_core::TaskKey;
use stepladder_core::trace::Episode;
use stepladder_cpu::Policy;
use stepladder_env::Reader;
use stepladder_rollout::scheduler::Options;
use stepladder_rollout::{Job, Scheduler};

/// Plays the tasks of recorded episodes with the policy of a run.
fn replayed(run: &Path, agent: &str, recorded: &[Episode]) -> Vec<Episode> {
    let family = stepladder_families::named("household").unwrap();
    let tasks = family.open(None, &family.options(Reader::Play, []).unwrap()).unwrap();
    let policy = Policy::open(run, Some(agent)).unwrap();
    let mut generator = policy.generator(&(family.codec)(), 2).unwrap();
    let keys: Vec<TaskKey> = recorded.iter().map(|episode| episode.task.clone()).collect();
    let options = Options { max_steps: 6, ..Options::greedy(policy.agent()) };
    Scheduler::new(&*tasks, &mut *generator, options).run(&Job::each(&keys), |_| {}).unwrap()
}

#[test]
fn a_trained_policy_plays_alike_without_libtorch() {
    let temporary = folder();
    let folder = temporary.path();
    let per_role =
        "agents.apart={ kind = \"step_hrl\", algo = \"bc\", weights = \"per_role\", budget = { steps = 2 } }";
    let small = ["--set", "agents.flat.budget={ steps = 3 }", "--set", per_role];
    ok(folder, &[&["train", "tiny.toml", "--run-dir", "run"], &small[..]].concat());
    for agent in ["flat", "step_hrl", "apart"] {
        let file = format!("{agent}.jsonl");
        ok(folder, &["collect", "run", "--agent", agent, "--max-steps", "6", "--count", "5", "-o", &file]);
        let recorded = episodes(&folder.join(&file));
        assert_eq!(recorded.len(), 5, "{agent}");
        let played = replayed(&folder.join("run"), agent, &recorded);
        // Fingerprints differ: those of the program are of trained parameters, these of files.
        let alike = |episode: &Episode| Episode { policy: String::new(), ..episode.clone() };
        for (played, recorded) in played.iter().zip(&recorded) {
            assert_eq!(alike(played), alike(recorded), "{agent}");
        }
    }
}
