//! Rows of offline RL from episodes: noise, tails of truncated episodes, cut replies, merging, batches.
#![allow(missing_docs, clippy::unwrap_used)]

use std::path::Path;

use stepladder_agent::AgentKind;
use stepladder_agent::step_hrl::outcome_prompt;
use stepladder_core::label::Expert;
use stepladder_core::reply::Profile;
use stepladder_core::trace::{Episode, Subtask, TraceStep, Turn};
use stepladder_core::{End, Query, Role, Start, TaskKey};
use stepladder_data::encoder::EncoderError;
use stepladder_data::labels::{ActorLevels, Intrinsic, Labels, Noise, Returns, Truncation};
use stepladder_data::offline::{Rules, merge, rows, temper};
use stepladder_data::offline_batch::{CriticReads, collate};
use stepladder_data::rows::{Row, Span};
use stepladder_data::tokenizer::WordTokenizer;
use stepladder_data::transitions::{Outcome, Streams};
use stepladder_data::{OfflineRow, PerLevel, PromptEncoder, Rendered, Transition};

/// Encoder with one word per slot of a prompt.
struct Words(WordTokenizer);

fn text(query: &Query) -> String {
    match query {
        Query::Planner { task, earlier, progress, observation } => {
            format!("plan {task} {} {progress} {}", earlier.join(" "), observation.feedback)
        }
        Query::Executor { subtask, observation, progress } => {
            format!("act {subtask} {progress} {}", observation.feedback)
        }
        Query::Progress { subtask, progress, action, observation } => {
            format!("note {subtask} {progress} {action} {}", observation.feedback)
        }
        Query::Flat { .. } | Query::Macro { .. } | Query::Micro { .. } => {
            unreachable!("none of these here")
        }
    }
}

impl PromptEncoder for Words {
    fn id(&self) -> String {
        "words".into()
    }
    fn render(&self, query: &Query) -> Result<Rendered, EncoderError> {
        Ok(Rendered { ids: self.0.encode(&text(query)), text: text(query) })
    }
    fn reply(&self, _role: Role, native: &str, cut: bool) -> Vec<u32> {
        let mut ids = self.0.encode(native);
        ids.extend((!cut).then_some(self.0.end()));
        ids
    }
    fn covers(&self, _ids: &[u32]) -> bool {
        true
    }
    fn decode(&self, _role: Role, ids: &[u32]) -> String {
        self.0.decode(ids)
    }
    fn end(&self) -> &[u32] {
        &[]
    }
    fn pad(&self) -> u32 {
        self.0.pad()
    }
    fn budget(&self, _role: Role) -> u32 {
        1
    }
    fn vocab(&self) -> usize {
        self.0.len()
    }
    fn contents(&self) -> Vec<u8> {
        Vec::new()
    }
    fn is_in(&self, _directory: &Path) -> Result<bool, EncoderError> {
        Ok(false)
    }
    fn save(&self, _directory: &Path, _context: usize) -> Result<(), EncoderError> {
        Ok(())
    }
}

fn transitions<'a>(episode: &Episode, labels: impl Into<Labels<'a>>) -> Streams {
    stepladder_data::transitions::transitions(AgentKind::StepHrl.into(), episode, labels).unwrap()
}

/// Rules of rows as they were before docs/spec/algorithms.md 9.1.
const RULES: Rules =
    Rules { per_step: false, returns: Returns::Td, noise: Noise::Imitated, actor_levels: ActorLevels::All };

fn labels(truncation: Truncation, intrinsic: Intrinsic) -> Labels<'static> {
    Labels { truncation, intrinsic, ..Profile::Fixed.into() }
}

fn turn(role: Role, reply: &str) -> Turn {
    Turn::said(role, reply)
}

/// Returns a step with action `a<n>`, observation `o<n>` and progress text `p<n>`.
fn step(number: usize, reward: f64, finished: bool) -> TraceStep {
    TraceStep {
        idle: Vec::new(),
        turn: turn(Role::Executor, &format!("a{number}; {finished}")),
        action: format!("a{number}"),
        finished,
        unparsable: false,
        observation: format!("o{number}"),
        reward,
        won: false,
        unknown_action: false,
        context: None,
        end: None,
        progress: Some(format!("p{number}")),
        progress_turn: Some(turn(Role::Progress, &format!("p{number}"))),
        expert: None,
    }
}

fn episode(subtasks: Vec<Vec<TraceStep>>) -> Episode {
    let subtasks: Vec<Subtask> = subtasks
        .into_iter()
        .enumerate()
        .map(|(k, steps)| Subtask {
            text: format!("g{k}"),
            turn: Some(turn(Role::Planner, &format!("g{k}"))),
            steps,
        })
        .collect();
    let steps = || subtasks.iter().flat_map(|subtask| &subtask.steps);
    Episode {
        version: 1,
        task: TaskKey::new("toy", "train", "0"),
        seed: 0,
        agent: "step_hrl".into(),
        policy: "test".into(),
        start: Start { text: "W".into(), task: "c".into(), context: "room".into(), family: "toy".into() },
        won: steps().any(|step| step.won),
        score: steps().map(|step| step.reward).sum(),
        end: steps().last().and_then(|step| step.end),
        error: None,
        subtasks,
    }
}

/// Turns a step into the last one of an episode that the environment ended, without a progress text.
fn ending(mut step: TraceStep, won: bool) -> TraceStep {
    (step.won, step.end, step.progress, step.progress_turn) = (won, Some(End::Terminated), None, None);
    step
}

fn cut_off(mut step: TraceStep) -> TraceStep {
    step.end = Some(End::Truncated);
    step
}

fn summary(samples: &[Transition]) -> Vec<(&str, f64, bool)> {
    samples.iter().map(|sample| (sample.reply.as_str(), sample.reward(), sample.done())).collect()
}

#[test]
fn noise_is_learnt_as_played_and_earns_nothing_for_a_word_about_another_action() {
    let mut noisy = step(1, 0.0, true);
    noisy.expert = Some("b; True".into());
    let mut unknown = step(2, 0.0, true);
    (unknown.expert, unknown.unknown_action) = (Some("b; True".into()), true);
    let mut lucky = ending(step(3, 1.0, false), true);
    lucky.expert = Some("b; False".into());
    let episode = episode(vec![vec![step(0, 0.0, false), noisy], vec![unknown], vec![lucky]]);
    for profile in [Profile::Fixed, Profile::Code] {
        let streams = transitions(&episode, profile);
        assert_eq!(
            summary(&streams.executor),
            [
                ("a0; False", 0.0, false),
                ("a1; True", 0.0, true),
                ("a2; True", -1.0, true),
                ("a3; True", 1.0, true)
            ]
        );
        // The progress writer's prompt has the played action, and its sample has the executor's reward and done.
        assert!(matches!(&streams.progress[1].query, Query::Progress { action, .. } if action == "a1"));
        assert_eq!(summary(&streams.progress)[..2], [("p0", 0.0, false), ("p1", 0.0, true)]);
    }
}

#[test]
fn a_cut_off_progress_stream_goes_on_behind_its_last_sample() {
    // The open subtask has a single step: its reward must not overwrite that of the closed subtask before it.
    let episode =
        episode(vec![vec![step(0, 0.0, false), step(1, 0.0, true)], vec![cut_off(step(2, 0.0, false))]]);
    let streams = transitions(&episode, Profile::Fixed);
    assert_eq!(summary(&streams.progress), [("p0", 0.0, false), ("p1", 1.0, true)]);
    // A finished subtask still ends its return.
    assert_eq!(streams.progress[1].next, None);
    assert!(matches!(&streams.progress[0].next, Some(Query::Progress { action, .. }) if action == "a1"));
    // The released code overwrites it.
    let streams = transitions(&episode, Profile::Code);
    assert_eq!(summary(&streams.progress), [("p0", 0.0, false), ("p1", 1.0, true)]);
    assert_eq!(summary(&streams.executor)[2], ("a2; True", 1.0, true));
}

#[test]
fn an_open_subtask_is_bootstrapped_from_the_prompts_behind_the_limit() {
    let steps = vec![step(0, 0.0, false), cut_off(step(1, 0.0, false))];
    let streams = transitions(&episode(vec![steps.clone()]), Profile::Fixed);
    assert!(matches!(&streams.planner[0].next, Some(Query::Planner { earlier, progress, .. })
        if earlier == &["g0"] && progress == "p1"));
    assert!(matches!(&streams.executor[1].next, Some(Query::Executor { progress, .. }) if progress == "p1"));
    assert_eq!(summary(&streams.progress), [("p0", 0.0, false)]);
    assert!(matches!(&streams.progress[0].next, Some(Query::Progress { action, .. }) if action == "a1"));

    let mut without = steps;
    (without[1].progress, without[1].progress_turn) = (None, None);
    let spec = AgentKind::StepHrl.into();
    let of = |episode: &Episode, spec| {
        stepladder_data::transitions::transitions(spec, episode, Profile::Fixed).unwrap_err().to_string()
    };
    assert_eq!(
        of(&episode(vec![without.clone()]), spec),
        "toy/train/0, subtask 1, step 2: the trace has no reply of the role progress, which the agent asks; \
         the trace is damaged, or another agent recorded it"
    );
    let other = of(&episode(vec![without]), AgentKind::Himac.into());
    assert!(other.starts_with("toy/train/0: the role macro has no stream of transitions"), "{other}");
}

#[test]
fn a_closed_subtask_at_the_limit_keeps_its_last_text() {
    let episode = episode(vec![vec![step(0, 0.0, false), cut_off(step(1, 0.0, true))]]);
    let fixed = transitions(&episode, Profile::Fixed);
    assert_eq!(summary(&fixed.progress), [("p0", 0.0, false), ("p1", 1.0, true)]);
    let code = transitions(&episode, Profile::Code);
    assert_eq!(summary(&code.progress), [("p0", 1.0, true)]);
}

fn all_words(episode: &Episode, profile: Profile) -> (Streams, Words) {
    let streams = transitions(episode, profile);
    let texts: Vec<String> = [&streams.planner, &streams.executor, &streams.progress]
        .into_iter()
        .flatten()
        .flat_map(|sample| [text(&sample.query), sample.reply.clone()])
        .chain(Outcome::Failure.text().split(' ').map(str::to_owned))
        .collect();
    (streams, Words(WordTokenizer::train(&[], texts.iter().map(String::as_str))))
}

#[test]
fn rows_hold_ids_reward_and_what_follows() {
    let episode = episode(vec![
        vec![step(0, 0.25, false), step(1, 0.5, true)],
        vec![step(2, 0.0, false), cut_off(step(3, 0.0, false))],
    ]);
    let (streams, words) = all_words(&episode, Profile::Fixed);
    let found = rows(&streams, &words, RULES).unwrap();
    let read = |ids: &[u32]| words.0.decode(ids);
    assert_eq!(found.len(), 2 + 4 + 3);
    let first = &found[0];
    assert_eq!(read(&first.row.ids), "plan c None g0 <end>");
    assert_eq!(first.row.replies, [Span { start: 3, len: 2 }]);
    assert_eq!((&first.rewards, first.done), (&vec![0.75], false));
    assert_eq!(read(&first.next), "plan c g0 p1 o1");
    // A finished subtask is not bootstrapped.
    assert_eq!(read(&found[3].row.ids), "act g0 p0 o0 a1; True <end>");
    assert_eq!((&found[3].rewards, found[3].done, found[3].next.len()), (&vec![1.0], true, 0));

    let smdp = rows(&streams, &words, Rules { per_step: true, ..RULES }).unwrap();
    assert_eq!(smdp[0].rewards, [0.25, 0.5]);
    assert_eq!(smdp[2..], found[2..]);

    // The released code bootstraps a truncated planner from the outcome's text.
    let (streams, _) = all_words(&episode, Profile::Code);
    let last = &rows(&streams, &words, RULES).unwrap()[1];
    assert!(!last.done);
    assert_eq!(last.next, words.prompt(&outcome_prompt(Outcome::Partial.text())).unwrap());
}

#[test]
fn a_cut_reply_has_no_end_token() {
    let mut episode = episode(vec![vec![step(0, 0.0, false), ending(step(1, 1.0, true), true)]]);
    episode.subtasks[0].turn.as_mut().unwrap().cut = true;
    episode.subtasks[0].steps[0].progress_turn.as_mut().unwrap().cut = true;
    // A cut executor's reply is rebuilt from its parsed action and flag.
    episode.subtasks[0].steps[0].turn.cut = true;
    let (streams, words) = all_words(&episode, Profile::Fixed);
    let found = rows(&streams, &words, RULES).unwrap();
    let ends: Vec<bool> = found.iter().map(|row| row.row.ids.last() == Some(&words.0.end())).collect();
    assert_eq!(ends, [false, true, true, false]);
    assert!(found.iter().all(OfflineRow::counts));
}

fn example() -> OfflineRow {
    let row = Row {
        role: Role::Executor,
        ids: vec![1, 2, 3],
        replies: vec![Span { start: 2, len: 1 }],
        prompts: Vec::new(),
        weight: 1.0,
    };
    OfflineRow::new(row, vec![0.0], Some(vec![4]))
}

#[test]
fn only_rows_that_agree_in_everything_are_merged() {
    let same = example();
    let change = |edit: &dyn Fn(&mut OfflineRow)| {
        let mut other = example();
        edit(&mut other);
        other
    };
    let others = [
        change(&|row| row.row.role = Role::Progress),
        change(&|row| row.row.ids[0] = 9),
        change(&|row| row.row.replies[0] = Span { start: 1, len: 2 }),
        change(&|row| row.rewards = vec![-1.0]),
        change(&|row| row.done = true),
        change(&|row| row.next = vec![5]),
        change(&|row| row.rewards = vec![0.0, 0.0]),
        change(&|row| row.imitated = false),
        change(&|row| row.oracle = 1.0),
    ];
    let all: Vec<OfflineRow> =
        std::iter::once(same.clone()).chain(others).chain([change(&|row| row.row.weight = 2.5)]).collect();
    let merged = merge(all);
    assert_eq!(merged.len(), 10);
    assert_eq!(merged[0].row.weight, 3.5);
    assert!(merged[1..].iter().all(|row| row.row.weight == 1.0));
}

#[test]
fn a_batch_names_every_position_that_is_read() {
    let make = |role, ids: &[u32], span: (u32, u32), done, next: &[u32]| OfflineRow {
        row: Row {
            role,
            ids: ids.to_vec(),
            replies: vec![Span { start: span.0, len: span.1 }],
            prompts: Vec::new(),
            weight: 1.0,
        },
        rewards: vec![0.5, 0.0, 0.0],
        done,
        next: next.to_vec(),
        imitated: true,
        end: 1,
        oracle: 0.0,
    };
    let mut silent = make(Role::Progress, &[1, 2], (1, 1), true, &[]);
    silent.row.replies.clear();
    let all = [
        make(Role::Executor, &[1, 2, 3], (1, 2), false, &[7]),
        silent,
        make(Role::Flat, &[1, 2], (1, 1), true, &[]),
        make(Role::Planner, &[4, 5, 6, 7], (3, 1), true, &[]),
        make(Role::Executor, &[8, 9], (1, 1), false, &[5, 6]),
    ];
    let mut all = all;
    (all[4].imitated, all[4].oracle, all[0].end) = (false, 0.5, 0);
    let batch = collate(&all.iter().collect::<Vec<_>>(), 0, CriticReads::End);
    assert_eq!(batch.block.ids, [1, 2, 3, 0, 4, 5, 6, 7, 8, 9, 0, 0]);
    assert_eq!((batch.block.rows, batch.block.len, batch.tokens), (3, 4, 9 + 3));
    assert_eq!(batch.targets, [1, 2, 7, 9]);
    assert_eq!(batch.positions, [0, 1, 2, 6, 7, 8, 9]);
    let at = |entries: &[i64]| -> Vec<i64> {
        entries.iter().map(|&entry| batch.positions[entry as usize]).collect()
    };
    assert_eq!(at(&batch.before), [0, 1, 6, 8]);
    assert_eq!(at(&batch.states), [0, 6, 8]);
    assert_eq!(at(&batch.actions), [2, 7, 9]);
    assert_eq!((batch.owners, batch.lens), (vec![0, 0, 1, 2], vec![2.0, 1.0, 1.0]));
    assert_eq!((batch.next.ids, batch.next_ends), (vec![7, 0, 5, 6], vec![0, 3]));
    let PerLevel { planner, executor, progress } = &batch.levels;
    assert_eq!((&planner.rows, &planner.dones), (&vec![1], &vec![true]));
    assert_eq!((&executor.rows, &executor.next), (&vec![0, 2], &vec![0, 1]));
    assert!(progress.rows.is_empty());
    assert_eq!((&executor.imitated, &executor.oracle), (&vec![true, false], &vec![0.0, 0.5]));
    // The first reply was cut and has no END, the last one is nothing but END.
    let last = collate(&all.iter().collect::<Vec<_>>(), 0, CriticReads::Last);
    let at = |entries: &[i64]| -> Vec<i64> {
        entries.iter().map(|&entry| last.positions[entry as usize]).collect()
    };
    assert_eq!((at(&last.actions), at(&last.states)), (vec![2, 6, 8], vec![0, 6, 8]));
    assert_eq!(last.positions, batch.positions);
}

/// A chain of three subtasks that the step limit cuts off.
fn failure() -> Episode {
    episode(vec![
        vec![step(0, 0.0, false), step(1, 0.0, true)],
        vec![step(2, 0.0, true)],
        vec![step(3, 0.0, false), cut_off(step(4, 0.0, false))],
    ])
}

#[test]
fn the_step_limit_ends_every_return_of_a_failure() {
    let ended = transitions(&failure(), labels(Truncation::Terminal, Intrinsic::Declared));
    assert_eq!(summary(&ended.planner), [("g0", 0.0, false), ("g1", 0.0, false), ("g2", 0.0, true)]);
    assert_eq!(
        summary(&ended.executor)[3..],
        [("a3; False", 0.0, false), ("a4; False", 0.0, true)],
        "the flag is not rewritten, and the limit pays nothing"
    );
    // The text behind the last action needs no successor any more.
    assert_eq!(summary(&ended.progress)[3..], [("p3", 0.0, false), ("p4", 0.0, true)]);
    assert!(matches!(&ended.progress[3].next, Some(Query::Progress { action, .. }) if action == "a4"));
    // Without the key no transition says that the episode failed.
    let bootstrapped = transitions(&failure(), Profile::Fixed);
    for stream in [&bootstrapped.planner, &bootstrapped.executor, &bootstrapped.progress] {
        assert!(!stream.last().unwrap().done());
    }
    // The labels of the released code with the other key.
    let code = Labels { profile: Profile::Code, ..labels(Truncation::Terminal, Intrinsic::Declared) };
    assert_eq!(summary(&transitions(&failure(), code).planner)[2], ("g2", 0.0, true));
    // A subtask that was finished at the limit is as it was, but for the planner's end.
    let closed = episode(vec![vec![step(0, 0.5, false), cut_off(step(1, 0.0, true))]]);
    let closed = transitions(&closed, labels(Truncation::Terminal, Intrinsic::Declared));
    assert_eq!(summary(&closed.planner), [("g0", 0.5, true)]);
    assert_eq!(summary(&closed.progress), [("p0", 0.0, false), ("p1", 1.0, true)]);
    // An aborted episode is no failure at the limit.
    let mut broken = failure();
    broken.subtasks[2].steps[1].end = None;
    broken.end = None;
    let broken = transitions(&broken, labels(Truncation::Terminal, Intrinsic::Declared));
    assert!(!broken.planner[2].done() && !broken.executor[4].done());
}

#[test]
fn a_missing_last_text_takes_nothing_from_the_subtask_before() {
    let mut episode =
        episode(vec![vec![step(0, 0.0, false), step(1, 0.0, true)], vec![cut_off(step(2, 0.0, false))]]);
    let last = &mut episode.subtasks[1].steps[0];
    (last.progress, last.progress_turn) = (None, None);
    let streams = transitions(&episode, labels(Truncation::Terminal, Intrinsic::Declared));
    assert_eq!(summary(&streams.progress), [("p0", 0.0, false), ("p1", 1.0, true)]);
}

/// Plans the same subtask again unless the answer was `o1`.
struct Strict;

impl Expert for Strict {
    fn reply(&self, query: &Query) -> Option<String> {
        match query {
            // It reads the answer, not the agent's own text.
            Query::Progress { observation, .. } => Some(format!("seen {}", observation.feedback)),
            Query::Planner { earlier, progress, .. } if progress == "seen o1" => {
                Some(format!("after {}", earlier.len()))
            }
            Query::Planner { earlier, .. } => earlier.last().cloned(),
            _ => None,
        }
    }

    fn answers(&self, role: Role) -> bool {
        matches!(role, Role::Planner | Role::Progress)
    }
}

#[test]
fn a_true_that_the_environment_contradicts_earns_nothing() {
    let episode = failure();
    let rewards = |labels: Labels<'_>| -> Vec<f64> {
        let streams = transitions(&episode, labels);
        // The progress writer earns what the executor does.
        assert_eq!(streams.progress.iter().map(Transition::reward).collect::<Vec<_>>()[..3], {
            let executor: Vec<f64> = streams.executor.iter().map(Transition::reward).collect();
            executor[..3].to_vec()
        });
        streams.executor.iter().map(Transition::reward).collect()
    };
    let verified = labels(Truncation::Terminal, Intrinsic::Verified);
    assert_eq!(rewards(labels(Truncation::Terminal, Intrinsic::Declared)), [0.0, 1.0, 1.0, 0.0, 0.0]);
    // No label contradicts.
    assert_eq!(rewards(verified), [0.0, 1.0, 1.0, 0.0, 0.0]);
    assert_eq!(rewards(Labels { expert: Some(&Strict), ..verified }), [0.0, 1.0, 0.0, 0.0, 0.0]);
    // The released labels pay for an open subtask, which was never declared.
    let code = Labels { profile: Profile::Code, ..labels(Truncation::Bootstrap, Intrinsic::Verified) };
    let streams = transitions(&episode, code);
    assert_eq!(summary(&streams.executor)[4], ("a4; True", 0.0, true));

    // The planner of the episode asks for the same again.
    let mut again = failure();
    again.subtasks[1].text = "g0".into();
    again.subtasks[1].turn = Some(turn(Role::Planner, "g0"));
    let found: Vec<f64> = transitions(&again, verified).executor.iter().map(Transition::reward).collect();
    assert_eq!(found, [0.0, 0.0, 1.0, 0.0, 0.0]);

    // A solved task is no contradiction.
    let solved = self::episode(vec![vec![ending(step(0, 1.0, true), true)]]);
    let streams = transitions(&solved, Labels { expert: Some(&Strict), ..verified });
    assert_eq!(summary(&streams.executor), [("a0; True", 1.0, true)]);
}

#[test]
fn the_task_pays_executor_and_progress_writer_the_rest_of_the_episode() {
    let solved = episode(vec![
        vec![step(0, 0.0, false), step(1, 0.25, true)],
        vec![step(2, 0.0, false), ending(step(3, 0.75, false), true)],
    ]);
    for truncation in [Truncation::Terminal, Truncation::Bootstrap] {
        let streams = transitions(&solved, labels(truncation, Intrinsic::Task));
        assert_eq!(
            summary(&streams.executor),
            [
                ("a0; False", 0.0, false),
                ("a1; True", 0.25, false),
                ("a2; False", 0.0, false),
                ("a3; True", 0.75, true)
            ]
        );
        assert!(
            matches!(&streams.executor[1].next, Some(Query::Executor { subtask, .. }) if subtask == "g1")
        );
        // What the last step earned, behind the last text, is not lost.
        assert_eq!(summary(&streams.progress), [("p0", 0.0, false), ("p1", 0.25, false), ("p2", 0.75, true)]);
        assert_eq!(summary(&streams.planner), [("g0", 0.25, false), ("g1", 0.75, true)]);
    }
    let ended = transitions(&failure(), labels(Truncation::Terminal, Intrinsic::Task));
    assert!(ended.executor[..4].iter().all(|sample| !sample.done()) && ended.executor[4].done());
    assert!(ended.executor.iter().all(|sample| sample.reward() == 0.0), "a failure is not paid");
    assert!(ended.progress[..4].iter().all(|sample| !sample.done()) && ended.progress[4].done());
    let bootstrapped = transitions(&failure(), labels(Truncation::Bootstrap, Intrinsic::Task));
    assert!(!bootstrapped.executor[4].done());
    // No executor's prompt follows a subtask that was finished at the limit.
    let closed = episode(vec![vec![step(0, 0.5, false), cut_off(step(1, 0.0, true))]]);
    let closed = transitions(&closed, labels(Truncation::Bootstrap, Intrinsic::Task));
    assert_eq!(summary(&closed.executor), [("a0; False", 0.5, false), ("a1; True", 0.0, true)]);
}

#[test]
fn monte_carlo_returns_are_those_of_the_rest_of_the_stream() {
    let solved = episode(vec![
        vec![step(0, 0.25, false), step(1, 0.0, true)],
        vec![step(2, 0.0, false), ending(step(3, 0.75, false), true)],
    ]);
    let (streams, words) = all_words(&solved, Profile::Fixed);
    let rules = Rules { returns: Returns::MonteCarlo, ..RULES };
    let found = rows(&streams, &words, rules).unwrap();
    assert!(found.iter().all(|row| row.done && row.next.is_empty()));
    let rewards: Vec<&[f64]> = found.iter().map(|row| row.rewards.as_slice()).collect();
    // Planner: two decisions. Executor: each subtask is a return of its own.
    assert_eq!(rewards[..2], [&[0.25, 0.75][..], &[0.75]]);
    assert_eq!(rewards[2..6], [&[0.0, 1.0][..], &[1.0], &[0.0, 1.0], &[1.0]]);
    let smdp = rows(&streams, &words, Rules { per_step: true, ..rules }).unwrap();
    assert_eq!(smdp[0].rewards, [0.25, 0.0, 0.0, 0.75]);
    // A failure returns nothing, however long it takes.
    let (streams, words) = all_words(&failure(), Profile::Fixed);
    let found = rows(&streams, &words, rules).unwrap();
    assert_eq!(found[0].rewards, [0.0]);
    assert_eq!((found[0].rewards.len(), found[0].done), (1, true));
    // The reply and its prompt do not change.
    let plain = rows(&streams, &words, RULES).unwrap();
    assert!(found.iter().zip(&plain).all(|(one, other)| one.row == other.row));
}

#[test]
fn only_critics_learn_from_noise() {
    let mut noisy = step(1, 0.0, false);
    noisy.expert = Some("b; False".into());
    let episode = episode(vec![vec![step(0, 0.0, false), noisy, ending(step(2, 1.0, true), true)]]);
    let (streams, words) = all_words(&episode, Profile::Fixed);
    let imitated = |noise| -> Vec<bool> {
        rows(&streams, &words, Rules { noise, ..RULES }).unwrap().iter().map(|row| row.imitated).collect()
    };
    // Planner, three steps, two texts: that about the noise is the expert's own.
    assert_eq!(imitated(Noise::Critics), [true, true, false, true, true, true]);
    assert_eq!(imitated(Noise::Imitated), [true; 6]);
    let planner = Rules { actor_levels: ActorLevels::Planner, ..RULES };
    let found = rows(&streams, &words, planner).unwrap();
    assert!(found.iter().all(|row| row.imitated == (row.row.role == Role::Planner)));
    assert_eq!(found.iter().filter(|row| row.imitated).count(), 1);
}

#[test]
fn a_loop_weighs_as_one_reply_and_keeps_the_proportions_of_what_followed() {
    // 30 times round the same prompt, of which 6 were rewarded; one other row; one that only critics learn from.
    let weighted = |reward: f64, weight: f32| {
        let mut row = example();
        (row.rewards, row.row.weight) = (vec![reward], weight);
        row
    };
    let mut other = weighted(0.0, 1.0);
    other.row.ids[0] = 9;
    let mut noise = weighted(0.0, 2.0);
    noise.imitated = false;
    let all = [weighted(0.0, 24.0), weighted(1.0, 6.0), other, noise];
    let weights = |power: f64| -> Vec<f32> {
        let mut rows = all.clone();
        temper(&mut rows, power);
        rows.iter().map(|row| row.row.weight).collect()
    };
    assert_eq!(weights(1.0), [24.0, 6.0, 1.0, 2.0]);
    assert_eq!(weights(0.0), [0.8, 0.2, 1.0, 1.0]);
    let root: f32 = weights(0.5)[..2].iter().sum();
    assert!((root - 30f32.sqrt()).abs() < 1e-5);
}
