//! Golden cases of the groups `transitions` and `mixing` (tests/golden.json).
#![allow(missing_docs, clippy::unwrap_used)]

use serde_json::{Value, json};
use stepladder_agent::AgentKind;
use stepladder_core::query::Role;
use stepladder_core::reply::{Profile, executor_reply};
use stepladder_core::trace::{Episode, Subtask, TraceStep, Turn};
use stepladder_core::{End, Start, TaskKey};
use stepladder_data::mixing::{epoch_len, level_row};
use stepladder_data::transitions::transitions;

fn cases(group: &str) -> Vec<Value> {
    let golden: Value = serde_json::from_str(include_str!("../../../tests/golden.json")).unwrap();
    let cases: Vec<Value> =
        golden["cases"].as_array().unwrap().iter().filter(|case| case["group"] == group).cloned().collect();
    assert!(!cases.is_empty(), "no golden case of group {group}");
    cases
}

fn numbers(value: &Value) -> Vec<usize> {
    value.as_array().unwrap().iter().map(|number| number.as_u64().unwrap() as usize).collect()
}

fn episode(inputs: &Value) -> Episode {
    let lengths = numbers(&inputs["group_lengths"]);
    let texts = numbers(&inputs["progress_counts"]);
    let closed = inputs["tail"] == "closed";
    let total: usize = lengths.iter().sum();
    let mut subtasks = Vec::new();
    let mut index = 0;
    for (k, (&length, &count)) in lengths.iter().zip(&texts).enumerate() {
        let last_subtask = k + 1 == lengths.len();
        let steps = (0..length)
            .map(|j| {
                let terminated = inputs["env_done"][index].as_bool().unwrap();
                let end = match (terminated, index + 1 == total) {
                    (true, _) => Some(End::Terminated),
                    (false, true) => Some(End::Truncated),
                    _ => None,
                };
                // `progress_counts` counts the initial None, so count - 1 steps have a text after them.
                let progress = (j + 1 < count).then(|| format!("p{k}.{j}"));
                let finished = j + 1 == length && (!last_subtask || closed);
                let action = format!("a{index}");
                let step = TraceStep {
                    idle: Vec::new(),
                    turn: Turn::said(Role::Executor, executor_reply(&action, finished)),
                    action,
                    finished,
                    unparsable: false,
                    observation: format!("o{index}"),
                    reward: inputs["env_reward"][index].as_f64().unwrap(),
                    won: terminated && closed,
                    unknown_action: inputs["unknown_action"][index].as_bool().unwrap(),
                    context: None,
                    end,
                    progress_turn: progress.as_ref().map(|text| Turn::said(Role::Progress, text.as_str())),
                    progress,
                    expert: None,
                };
                index += 1;
                step
            })
            .collect();
        let text = format!("g{k}");
        subtasks.push(Subtask { turn: Some(Turn::said(Role::Planner, text.as_str())), text, steps });
    }
    let won = subtasks.iter().flat_map(|subtask: &Subtask| &subtask.steps).any(|step| step.won);
    let score = subtasks.iter().flat_map(|subtask: &Subtask| &subtask.steps).map(|step| step.reward).sum();
    Episode {
        version: 1,
        task: TaskKey::new("toy", "train", "0"),
        seed: 0,
        agent: "step_hrl".into(),
        policy: "golden".into(),
        start: Start { text: "W".into(), task: "c".into(), context: "room".into(), family: "toy".into() },
        subtasks,
        won,
        score,
        end: Some(if won { End::Terminated } else { End::Truncated }),
        error: None,
    }
}

#[test]
fn transitions_match_every_golden_case() {
    for case in cases("transitions") {
        let profiles: Vec<Profile> = match &case["inputs"]["profile"] {
            Value::Array(both) => {
                both.iter().map(|one| serde_json::from_value(one.clone()).unwrap()).collect()
            }
            one => vec![serde_json::from_value(one.clone()).unwrap()],
        };
        for profile in profiles {
            let streams = transitions(AgentKind::StepHrl.into(), &episode(&case["inputs"]), profile).unwrap();
            let show = |samples: &[stepladder_data::Transition], flags: bool| -> Vec<Value> {
                samples
                    .iter()
                    .map(|sample| {
                        // Golden rewards have fewer digits than a sum of f64.
                        let reward = (sample.reward() * 1e9).round() / 1e9;
                        let mut value = json!({ "reward": reward, "done": sample.done() });
                        if flags {
                            value["flag_text"] = json!(sample.reply.rsplit("; ").next().unwrap());
                        }
                        value
                    })
                    .collect()
            };
            let found = json!({
                "high": show(&streams.planner, false),
                "low": show(&streams.executor, true),
                "progress": show(&streams.progress, false),
            });
            assert_eq!(found, case["expected"], "{} {profile:?}", case["id"]);
        }
    }
}

#[test]
fn what_follows_a_sample_is_the_next_prompt_of_its_role() {
    let case =
        cases("transitions").into_iter().find(|case| case["id"] == "transitions_truncated_fixed").unwrap();
    let streams = transitions(AgentKind::StepHrl.into(), &episode(&case["inputs"]), Profile::Fixed).unwrap();
    for samples in [&streams.planner, &streams.executor, &streams.progress] {
        let mut followed = 0;
        for pair in samples.windows(2).filter(|pair| !pair[0].done()) {
            assert_eq!(pair[0].next.as_ref(), Some(&pair[1].query));
            followed += 1;
        }
        assert!(followed > 0);
    }
    let Some(stepladder_core::Query::Executor { progress, observation, .. }) =
        &streams.executor.last().unwrap().next
    else {
        panic!("a cut-off executor bootstraps from its next prompt")
    };
    assert_eq!((progress.as_str(), observation.feedback.as_str()), ("p1.2", "o4"));
    assert!(matches!(&streams.planner.last().unwrap().next,
        Some(stepladder_core::Query::Planner { earlier, progress, .. })
        if earlier.len() == 2 && progress == "p1.2"));
}

#[test]
fn level_mixing_matches() {
    for case in cases("mixing") {
        let input = |name: &str| case["inputs"][name].as_u64().unwrap() as usize;
        let lens = [input("n_high"), input("n_low"), input("n_progress")];
        assert_eq!(json!(epoch_len(lens)), case["expected"]["epoch_len"]);
        let rows: Vec<_> = numbers(&case["inputs"]["i"])
            .into_iter()
            .map(|i| level_row(lens, i).map(|index| index.expect("no level is empty")))
            .collect();
        assert_eq!(json!(rows), case["expected"]["rows"]);
    }
}
