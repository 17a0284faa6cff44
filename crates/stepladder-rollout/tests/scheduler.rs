//! The scheduler on a scripted environment: order, batching, noise, failures.
#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use common::{Corridors, walker};
use stepladder_agent::AgentKind;
use stepladder_agent::himac::Blueprint;
use stepladder_core::label::Perturb;
use stepladder_core::seed::Rng;
use stepladder_core::trace::Episode;
use stepladder_core::{End, Observation, Query, TaskKey};
use stepladder_env::TaskSet;
use stepladder_rollout::evaluation::{evaluate, evaluate_within};
use stepladder_rollout::generator::{BatchGenerator, Blocking, Completion, GenerateError, Request, Scripted};
use stepladder_rollout::scheduler::{Noise, Options};
use stepladder_rollout::{Job, Scheduler};

fn play(agent: AgentKind, slots: usize) -> Vec<Episode> {
    let jobs = Job::each(&Corridors.tasks("all").unwrap());
    let mut generator = Blocking::new(Scripted(walker));
    let options = Options { slots, ..Options::greedy(agent) };
    Scheduler::new(&Corridors, &mut generator, options).run(&jobs, |_| ()).unwrap()
}

#[test]
fn episodes_do_not_depend_on_the_number_of_slots_and_keep_the_order_of_the_jobs() {
    for agent in [AgentKind::StepHrl, AgentKind::Flat, AgentKind::Himac] {
        let one = play(agent, 1);
        assert_eq!(one, play(agent, 5));
        assert_eq!(one, play(agent, 100));
        for (number, episode) in one.iter().enumerate() {
            assert_eq!(episode.task.id, (number + 1).to_string());
            assert_eq!((episode.len(), episode.won), (number + 1, true));
        }
    }
}

#[test]
fn a_reward_that_is_not_finite_breaks_the_episode() {
    for (action, shown) in [("nan", "NaN"), ("inf", "inf")] {
        let jobs = Job::each(&Corridors.tasks("all").unwrap()[3..4]);
        let mut generator = Blocking::new(Scripted(|query: &Query| match query {
            Query::Flat { history, .. } if history.len() == 2 => Some(action.to_owned()),
            query => walker(query),
        }));
        let options = Options::greedy(AgentKind::Flat);
        let episodes = Scheduler::new(&Corridors, &mut generator, options).run(&jobs, |_| ()).unwrap();
        let expected = format!(
            "corridor: the reward of the action `{action}` is {shown}; a reward must be a finite number"
        );
        assert_eq!(episodes[0].error.as_deref(), Some(expected.as_str()));
        assert_eq!((episodes[0].len(), episodes[0].score, episodes[0].end), (2, 0.0, None));
    }
}

#[test]
fn the_hierarchy_is_in_the_trace() {
    let episode = &play(AgentKind::StepHrl, 8)[4];
    let shape: Vec<_> =
        episode.subtasks.iter().map(|subtask| (subtask.text.as_str(), subtask.steps.len())).collect();
    assert_eq!(shape, [("walk 0", 2), ("walk 1", 2), ("walk 2", 1)]);
    let last = episode.steps().last().unwrap();
    assert_eq!((last.end, last.progress.as_deref()), (Some(End::Terminated), None));
    let evaluation = evaluate(std::slice::from_ref(episode));
    assert_eq!((evaluation.all.success, evaluation.subtasks, evaluation.repeated_subtasks), (1.0, 3.0, 0.0));
}

#[test]
fn a_blueprint_is_written_once_or_given() {
    let tasks = Corridors.tasks("all").unwrap();
    let mut jobs = vec![Job::sampled(&tasks[4], 0), Job::sampled(&tasks[4], 1)];
    jobs[1].blueprint = Blueprint::Follow(vec!["a".into(), "b".into(), "c".into()]);
    let mut generator = Blocking::new(Scripted(walker));
    let options = Options::greedy(AgentKind::Himac);
    let episodes = Scheduler::new(&Corridors, &mut generator, options).run(&jobs, |_| ()).unwrap();
    let shape = |episode: &Episode| -> Vec<(String, usize)> {
        episode.subtasks.iter().map(|subtask| (subtask.text.clone(), subtask.steps.len())).collect()
    };
    assert_eq!(shape(&episodes[0]), [("half".to_owned(), 1), ("rest".to_owned(), 4)]);
    assert_eq!(shape(&episodes[1]), [("a".to_owned(), 1), ("b".to_owned(), 4)]);
    let turns: Vec<usize> = episodes.iter().map(|episode| episode.turns().count()).collect();
    assert_eq!(turns, [6, 5]);
}

struct Counting {
    inner: Scripted<fn(&Query) -> Option<String>>,
    batches: Vec<usize>,
}

impl BatchGenerator for Counting {
    fn generate(
        &mut self,
        requests: &[Request],
    ) -> Result<Vec<Result<Completion, GenerateError>>, GenerateError> {
        self.batches.push(requests.len());
        self.inner.generate(requests)
    }
    fn policy(&self) -> String {
        self.inner.policy()
    }
}

fn batches(agent: AgentKind, tasks: &[TaskKey], slots: usize) -> Vec<usize> {
    let mut generator = Blocking::new(Counting { inner: Scripted(walker), batches: Vec::new() });
    let options = Options { slots, ..Options::greedy(agent) };
    Scheduler::new(&Corridors, &mut generator, options).run(&Job::each(tasks), |_| ()).unwrap();
    generator.into_inner().batches
}

#[test]
fn a_blocking_generator_gets_the_replies_of_all_running_episodes_as_one_batch() {
    let corridor = |length: &str| TaskKey::new("corridor", "all", length);
    assert_eq!(batches(AgentKind::Flat, &vec![corridor("3"); 10], 64), [10, 10, 10]);
    // A freed slot is filled before the next batch.
    let mixed = ["1", "3", "2", "2"].map(corridor);
    assert_eq!(batches(AgentKind::Flat, &mixed, 2), [2, 2, 2, 1, 1]);
    // Planner, executor, progress, executor; no progress after the last step.
    assert_eq!(batches(AgentKind::StepHrl, &vec![corridor("2"); 3], 2), [2, 2, 2, 2, 1, 1, 1, 1]);
}

#[test]
fn a_failing_environment_ends_its_own_episode_only() {
    let mut jobs = Job::each(&Corridors.tasks("all").unwrap()[..3]);
    jobs.push(Job {
        task: TaskKey::new("corridor", "all", "nowhere"),
        seed: 0,
        sample: 0,
        blueprint: Blueprint::Own,
    });
    let mut generator = Blocking::new(Scripted(|query: &Query| match query {
        Query::Flat { history, .. } => Some(if history.len() == 1 { "break" } else { "east" }.to_owned()),
        _ => None,
    }));
    let episodes = Scheduler::new(&Corridors, &mut generator, Options::greedy(AgentKind::Flat))
        .run(&jobs, |_| ())
        .unwrap();
    assert_eq!(episodes.len(), 4);
    assert_eq!(episodes[0].error, None);
    assert_eq!(episodes[1].error.as_deref(), Some("corridor: the floor gave way"));
    assert!(episodes[3].error.as_deref().unwrap().contains("a corridor's id is its length"));
    let evaluation = evaluate(&episodes);
    assert_eq!((evaluation.errors, evaluation.all.n), (3, 4));
    assert_eq!(evaluation.all.success, 0.25);
}

struct Stand;

impl Perturb for Stand {
    fn perturb(&self, _action: &str, _seen: &Observation, _rng: &mut Rng) -> Option<String> {
        Some("stand".to_owned())
    }
}

#[test]
fn noise_is_recorded_with_the_label_and_reproducible() {
    let jobs = Job::each(&vec![TaskKey::new("corridor", "all", "4"); 6]);
    let run = |seed| {
        let mut generator = Blocking::new(Scripted(walker));
        let noise = Some(Noise { probability: 0.5, perturb: &Stand });
        let options = Options { noise, seed, ..Options::greedy(AgentKind::StepHrl) };
        Scheduler::new(&Corridors, &mut generator, options).run(&jobs, |_| ()).unwrap()
    };
    let episodes = run(3);
    assert_eq!(episodes, run(3));
    assert_ne!(episodes, run(4));
    let noisy: Vec<_> =
        episodes.iter().flat_map(Episode::steps).filter(|step| step.action == "stand").collect();
    assert!(!noisy.is_empty());
    assert!(noisy.iter().all(|step| step.expert.as_deref().is_some_and(|label| label.starts_with("east; "))));
}

#[test]
fn truncated_episodes_are_failures() {
    let jobs = Job::each(&[TaskKey::new("corridor", "all", "12")]);
    let mut generator = Blocking::new(Scripted(walker));
    let options = Options { max_steps: 5, ..Options::greedy(AgentKind::StepHrl) };
    let episodes = Scheduler::new(&Corridors, &mut generator, options).run(&jobs, |_| ()).unwrap();
    assert_eq!((episodes[0].len(), episodes[0].end, episodes[0].won), (5, Some(End::Truncated), false));
    assert!(episodes[0].steps().last().unwrap().progress.is_some());
}

/// Golden case of the group `score` (tests/golden.json): aborted episodes and negative scores count as 0.
#[test]
fn the_score_of_scienceworld_matches() {
    let golden: serde_json::Value = serde_json::from_str(include_str!("../../../tests/golden.json")).unwrap();
    let case =
        golden["cases"].as_array().unwrap().iter().find(|case| case["id"] == "score_sciworld").unwrap();
    let line = include_str!("../../stepladder-core/tests/trace-v1.jsonl");
    let whole = stepladder_core::trace::read(line.as_bytes()).next().unwrap().unwrap();
    let scores =
        case["inputs"]["final_scores"].as_array().unwrap().iter().map(|score| score.as_f64().unwrap());
    let mut episodes: Vec<_> =
        scores.map(|score| Episode { score: score / 100.0, ..whole.clone() }).collect();
    let crashed = case["inputs"]["crashed"].as_u64().unwrap() as usize;
    let aborted = Episode { score: 0.7, error: Some("the simulator died".into()), ..whole };
    episodes.extend(std::iter::repeat_n(aborted, crashed));
    let score = 100.0 * evaluate_within(&episodes, Some((0.0, 1.0)), &|_| false).all.score;
    assert!((score - case["expected"].as_f64().unwrap()).abs() < case["tol"].as_f64().unwrap(), "{score}");
    assert!(evaluate(&episodes).all.score < score / 100.0);
}

/// The replies of `walker`, except for the first two of the executor; the planner's prompt is shortened by two parts.
struct Stumbling {
    executed: usize,
}

impl BatchGenerator for Stumbling {
    fn generate(
        &mut self,
        requests: &[Request],
    ) -> Result<Vec<Result<Completion, GenerateError>>, GenerateError> {
        let reply = |request: &Request| {
            let walked = Completion::text(walker(&request.query).unwrap());
            match request.query {
                Query::Planner { .. } => Ok(Completion { shortened: 2, ..walked }),
                Query::Executor { .. } => {
                    self.executed += 1;
                    Ok(match self.executed {
                        1 => Completion::text("I do not know"),
                        2 => Completion::text("west; False"),
                        _ => walked,
                    })
                }
                _ => Ok(walked),
            }
        };
        Ok(requests.iter().map(reply).collect())
    }

    fn policy(&self) -> String {
        "stumbling".to_owned()
    }
}

#[test]
fn unparsable_replies_invalid_actions_and_shortened_prompts_are_counted() {
    let jobs = Job::each(&Corridors.tasks("all").unwrap()[1..2]);
    let mut generator = Blocking::new(Stumbling { executed: 0 });
    let options = Options::greedy(AgentKind::StepHrl);
    let episodes = Scheduler::new(&Corridors, &mut generator, options).run(&jobs, |_| ()).unwrap();
    let steps: Vec<_> = episodes[0]
        .steps()
        .map(|step| (step.action.as_str(), step.turn.unparsable, step.unparsable, step.unknown_action))
        .collect();
    let expected = [
        ("None", true, true, true),
        ("west", false, false, true),
        ("east", false, false, false),
        ("east", false, false, false),
    ];
    assert_eq!(steps, expected);
    let planners: Vec<u32> =
        episodes[0].subtasks.iter().map(|subtask| subtask.turn.as_ref().unwrap().shortened).collect();
    assert_eq!(planners, [2]);
    // One reply of the planner, four of the executor and three of the progress writer.
    assert_eq!(episodes[0].turns().count(), 8);
    let evaluation = evaluate(&episodes);
    assert_eq!(evaluation.unparsable, 1.0);
    assert_eq!(evaluation.unparsable_share, 1.0 / 8.0);
    assert_eq!(evaluation.invalid_share, 2.0 / 4.0);
    assert_eq!(evaluation.shortened_share, 1.0 / 8.0);
    let none = evaluate(&[]);
    assert_eq!((none.unparsable_share, none.invalid_share, none.shortened_share), (0.0, 0.0, 0.0));
}
