//! Rejected configurations: all violations at once, each with the origin of its value.

use super::super::tests::{File, message, set_message, with};
use super::super::*;
use stepladder_agent::himac::Blueprint;
use stepladder_agent::{AgentFactory, Want};
use stepladder_core::blueprint::write;
use stepladder_core::trace::Turn;
use stepladder_core::{Query, Role, Start, Step};

#[test]
fn agents_that_do_not_fit_together() {
    let agent = |lines: &str| {
        let numbers = "budget = { steps = 3 }\nbatch_tokens = 64\nlearning_rate = 1e-3\n";
        message(&["preset = \"demo\"\n[agents.new]\n", numbers, lines].concat())
    };
    let sentence = |lines: &str| {
        let text = agent(lines);
        let (_, sentence) = text.split_once("; ").unwrap();
        sentence.to_owned()
    };
    assert_eq!(
        sentence("kind = 'step_hrl'\nalgo = 'bc'\nfrom = 'step_hr'\n"),
        "there is no [agents.step_hr]; did you mean \"step_hrl\"?"
    );
    assert_eq!(
        sentence("kind = 'step_hrl'\nalgo = 'bc'\nfrom = 'new'\n"),
        "an agent cannot start from itself"
    );
    assert_eq!(
        sentence("kind = 'step_hrl'\nalgo = 'dagger'\nfrom = 'flat'\n"),
        "both must be of the same kind, with the same history, planner, progress, weights and sees"
    );
    assert_eq!(
        sentence("kind = 'step_hrl'\nalgo = 'dagger'\nweights = 'per_role'\n"),
        "only the whole method is trained so: leave history, planner, progress and weights out"
    );
    assert_eq!(
        sentence("kind = 'flat'\nalgo = 'bc'\nplanner = false\n"),
        "planner, progress and weights are for kind = \"step_hrl\""
    );
    assert_eq!(
        sentence("kind = 'step_hrl'\nalgo = 'bc'\nhistory = 4\n"),
        "history is for kind = \"flat\" and \"himac\""
    );
    assert_eq!(sentence("kind = 'flat'\nalgo = 'himac'\nfrom = 'flat'\n"), "it is for kind = \"himac\"");
    let own = "sub_done, max_subgoals, max_idle, min_subgoal_steps, coevolution, selection, sees, numbers and phases are for kind = \"himac\"";
    assert_eq!(sentence("kind = 'flat'\nalgo = 'bc'\nsub_done = false\n"), own);
    for kind in ["flat", "step_hrl"] {
        assert_eq!(sentence(&format!("kind = '{kind}'\nalgo = 'bc'\nmax_subgoals = 12\n")), own);
        assert_eq!(sentence(&format!("kind = '{kind}'\nalgo = 'bc'\nmax_idle = 5\n")), own);
        assert_eq!(sentence(&format!("kind = '{kind}'\nalgo = 'bc'\nmin_subgoal_steps = 5\n")), own);
    }
    for line in ["sees = 'segment'", "numbers = 'known'", "phases = 'macro'"] {
        assert_eq!(sentence(&format!("kind = 'flat'\nalgo = 'bc'\n{line}\n")), own);
    }
    assert_eq!(
        sentence("kind = 'himac'\nalgo = 'bc'\ncoevolution = false\nphases = 'micro'\n"),
        "a joint update (coevolution = false) has no phases: leave one of both out"
    );
    let probed = "it is for algo = \"bc\" with one model for all roles, and needs eval.probes above 0";
    assert_eq!(sentence("kind = 'flat'\nalgo = 'dagger'\nuntil = 0.5\n"), probed);
    assert_eq!(sentence("kind = 'step_hrl'\nalgo = 'bc'\nweights = 'per_role'\nuntil = 0.5\n"), probed);
    assert_eq!(
        sentence("kind = 'flat'\nalgo = 'bc'\nalso_flat = 1\n"),
        "it is for kind = \"himac\" with algo = \"bc\""
    );
}

#[test]
fn the_limits_of_sub_goals_and_idle_replies_reach_the_agent() {
    let lines = "kind = 'himac'\nalgo = 'bc'\nmax_subgoals = 2\nmax_idle = 1\nbudget = { steps = 3 }\n";
    let text = ["preset = \"demo\"\n[agents.new]\nbatch_tokens = 64\nlearning_rate = 1e-3\n", lines].concat();
    let loaded = File::new(&text).load().unwrap();
    let mut agent = loaded.config.agents["new"].spec().make(9, &Blueprint::Own);
    let start =
        Start { text: String::new(), task: "t".into(), context: String::new(), family: String::new() };
    agent.start(&start);
    let want = agent.on_reply(Turn::said(Role::Macro, write(&["a", "b", "c"])));
    let Want::Reply(Query::Micro { blueprint, .. }) = &want else { panic!("{want:?}") };
    assert_eq!(*blueprint, ["a", "b"]);
    // The first reply that only declares a sub-goal done is invalid already, and takes a step.
    let want = agent.on_reply(Turn::said(Role::Micro, "<sub_done>"));
    assert_eq!(want, Want::Act("<sub_done>".to_owned()));
}

/// Two of two steps are the first sub-goal's 1.5 · 2 / 2, unless its minimum is larger.
#[test]
fn the_minimum_budget_of_a_sub_goal_reaches_the_agent() {
    let active_after_two_steps = |line: &str| {
        let lines = format!("kind = 'himac'\nalgo = 'bc'\n{line}");
        let text = ["preset = \"demo\"\n[agents.new]\n", &lines].concat();
        let loaded = File::new(&text).load().unwrap();
        let mut agent = loaded.config.agents["new"].spec().make(2, &Blueprint::Own);
        let start =
            Start { text: String::new(), task: "t".into(), context: String::new(), family: String::new() };
        agent.start(&start);
        let mut want = agent.on_reply(Turn::said(Role::Macro, write(&["a", "b"])));
        for _ in 0..2 {
            assert!(matches!(want, Want::Reply(_)), "{want:?}");
            assert_eq!(
                agent.on_reply(Turn::said(Role::Micro, "<action>up</action>")),
                Want::Act("up".to_owned())
            );
            want = agent.on_step(&Step {
                observation: "o".into(),
                reward: 0.0,
                won: false,
                unknown_action: false,
                context: None,
                end: None,
            });
        }
        let Want::Reply(Query::Micro { active, .. }) = want else { panic!("{want:?}") };
        active
    };
    assert_eq!(active_after_two_steps("min_subgoal_steps = 1\n"), 1);
    assert_eq!(active_after_two_steps("min_subgoal_steps = 3\n"), 0);
    assert_eq!(active_after_two_steps(""), 0);
}

#[test]
fn all_violations_come_at_once_with_their_origins() {
    assert_eq!(set_message(&["env.max_steps=0"]), "demo: env.max_steps is 0 (--set); it must be at least 1");
    let file = File::new("preset = \"demo\"\n[model]\nwidth = 130\n\n[data]\nnoise = nan\n");
    let sets = [
        "threads=1025",
        "env.max_steps=0",
        "algo.bc.warmup=1",
        "algo.bc.floor=-0.1",
        "algo.bc.beta1=1.0",
        "algo.bc.beta2=-1",
        "algo.bc.eps=0",
        "algo.bc.weight_decay=-1e-9",
        "algo.bc.clip=inf",
        "algo.bc.batch_rows=0",
        "algo.bc.planner_every=0",
        "algo.bc.duplicates=1.5",
        "agents.step_hrl.budget={ steps = 0 }",
        "agents.flat.budget={ tokens = 0, minutes = -1.5 }",
        "agents.step_hrl.batch_tokens=15",
        "agents.flat.batch_tokens=4194305",
        "agents.step_hrl.learning_rate=0.0",
        "agents.flat.learning_rate=nan",
        "eval.slots=0",
        "eval.probe_episodes=0",
        "eval.transfer=['alfworld', 'a/b/c', '/dev', 'alfworld/valid_seen']",
        "log.every_seconds=0",
        "log.checkpoint_seconds=-3.5",
        "log.keep=0",
    ];
    let sets: Vec<String> = sets.iter().map(|set| (*set).to_owned()).collect();
    let text = load(&file.path(), &sets).unwrap_err().to_string().replace(&file.path(), "run.toml");
    let expected = "run.toml: 29 problems
  threads is 1025 (--set); it must be at most 1024
  env.max_steps is 0 (--set); it must be at least 1
  data.noise is NaN (run.toml:6); it must be from 0 to below 1
  algo.adamw.beta1 is 1.0 (--set); it must be from 0 to below 1
  algo.adamw.beta2 is -1.0 (--set); it must be from 0 to below 1
  algo.adamw.eps is 0.0 (--set); it must be above 0, and finite
  algo.adamw.weight_decay is -1e-9 (--set); it must be 0 or above, and finite
  algo.adamw.clip is inf (--set); it must be above 0, and finite
  algo.bc.warmup is 1.0 (--set); it must be from 0 to below 1
  algo.bc.floor is -0.1 (--set); it must be from 0 to 1
  algo.bc.batch_rows is 0 (--set); it must be at least 1
  algo.bc.planner_every is 0 (--set); it must be at least 1
  algo.bc.duplicates is 1.5 (--set); it must be from 0 to 1
  agents.step_hrl.budget is 0 steps (--set); it must be above 0, and finite
  agents.step_hrl.batch_tokens is 15 (--set); it must be from 16 to 4194304
  agents.step_hrl.learning_rate is 0.0 (--set); it must be above 0, and finite
  agents.flat.budget is 0 tokens (--set); it must be above 0, and finite
  agents.flat.budget is -1.5 minutes (--set); it must be above 0, and finite
  agents.flat.batch_tokens is 4194305 (--set); it must be from 16 to 4194304
  agents.flat.learning_rate is NaN (--set); it must be above 0, and finite
  eval.slots is 0 (--set); it must be at least 1
  log.every_seconds is 0.0 (--set); it must be above 0, and finite
  log.checkpoint_seconds is -3.5 (--set); it must be above 0, and finite
  log.keep is 0 (--set); it must be at least 1
  [model.scratch]: width 130 is not a multiple of heads 4; nearest are 128 and 132 (width from run.toml:3, heads from default)
  eval.probe_episodes is 0 (--set); it must be at least 1 while eval.probes is above 0
  eval.transfer is a list with \"alfworld\" (--set); expected ENV/SPLIT, for example alfworld/valid_seen
  eval.transfer is a list with \"a/b/c\" (--set); expected ENV/SPLIT, for example alfworld/valid_seen
  eval.transfer is a list with \"/dev\" (--set); expected ENV/SPLIT, for example alfworld/valid_seen";
    assert_eq!(text, expected);
}

#[test]
fn a_value_that_agents_inherit_is_refused_once_where_it_was_written() {
    let text = "agents = { a = { kind = 'flat', algo = 'bc' }, b = { kind = 'flat', algo = 'bc', learning_rate = 0 } }\n\
                [algo.bc]\nlearning_rate = -1\n";
    assert_eq!(
        message(text),
        "run.toml: 2 problems\n  algo.bc.learning_rate is -1.0 (run.toml:3); it must be above 0, and finite\
         \n  agents.b.learning_rate is 0.0 (run.toml:1); it must be above 0, and finite"
    );
}

#[test]
fn a_run_that_was_begun_beyond_a_bound_is_read() {
    let text = load("demo", &[]).unwrap().text;
    let beyond =
        text.replacen("noisy_passes = 1", "noisy_passes = 1001", 1).replace("agents.flat", "agents.expert");
    assert_eq!(from_resolved(&beyond, "config.toml").unwrap().data.noisy_passes, 1001);
    let refused = message(&beyond);
    let both = ["data.noisy_passes is 1001 (run.toml:13); it must be at most 1000", "[agents.expert]: "];
    assert!(both.iter().all(|part| refused.contains(part)), "{refused}");
}

#[test]
fn values_at_the_edge_are_fine() {
    with(&[
        "threads=1024",
        "data.noise=0",
        "algo.bc.floor=1",
        "algo.bc.warmup=0",
        "algo.bc.weight_decay=0",
        "agents.flat.batch_tokens=16",
        "agents.step_hrl.batch_tokens=4194304",
        "eval.probes=0",
        "eval.probe_episodes=0",
    ])
    .unwrap();
}

#[test]
fn a_run_needs_an_agent() {
    assert_eq!(
        set_message(&["agents.flat=false", "agents.step_hrl=false"]),
        "demo: there is no agent to train; write a table [agents.NAME]"
    );
}
