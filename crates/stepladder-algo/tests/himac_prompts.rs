//! Demonstrations of HiMAC hold the prompts that its agent writes.
#![allow(missing_docs, clippy::unwrap_used)]

use stepladder_agent::himac::{Blueprint, Himac, HimacOptions, Limits};
use stepladder_agent::{Agent, Want};
use stepladder_core::{Role, Step};
use stepladder_data::himac::demonstrated;

/// Plays the demonstration again with an agent that says what the samples say; its prompts are the samples'.
#[test]
fn the_prompts_are_those_of_the_agent() {
    let line = include_str!("../../stepladder-core/tests/trace-v1.jsonl");
    let mut episode = stepladder_core::trace::read(line.as_bytes()).next().unwrap().unwrap();
    let more = episode.subtasks[0].clone();
    episode.subtasks.push(more);
    episode.subtasks[1].text = "again".into();
    let end = episode.subtasks[0].steps.last_mut().unwrap().end.take();
    episode.subtasks[1].steps.last_mut().unwrap().end = end;
    for history in [0, 1, 5] {
        let samples = demonstrated(&episode, history, true);
        let options =
            HimacOptions { limit: 50, history, limits: Limits::Declared, blueprint: Blueprint::Own };
        let mut agent = Himac::new(options);
        let mut want = agent.start(&episode.start);
        let mut steps = episode.steps();
        let mut turn = episode.turns().next().unwrap().clone();
        for sample in &samples {
            assert_eq!(want, Want::Reply(sample.query.clone()));
            (turn.role, turn.reply) = (sample.role(), sample.reply.clone());
            want = agent.on_reply(turn.clone());
            if sample.role() == Role::Macro {
                continue;
            }
            let step = steps.next().unwrap();
            assert_eq!(want, Want::Act(step.action.clone()));
            let (observation, end) = (step.observation.clone(), step.end);
            want = agent.on_step(&Step {
                observation,
                reward: 0.0,
                won: false,
                unknown_action: false,
                context: None,
                end,
            });
        }
        assert_eq!(samples.len(), episode.len() + 1);
        assert_eq!(want, Want::Finished);
    }
}
