//! A replayed trace yields the prompts that the agent sent while it was recorded, and rows hold the same prompts.

#![allow(clippy::unwrap_used, reason = "the helpers of a test are tests")]

use std::collections::BTreeMap;
use std::sync::Arc;

use stepladder_agent::himac::Blueprint;
use stepladder_agent::replay::{drive, replay};
use stepladder_agent::step_hrl::ProgressSlot;
use stepladder_agent::{AgentFactory, AgentKind, AgentSpec};
use stepladder_alfworld::{AlfworldCodec, AlfworldExpert, AlfworldSegmenter, Households, noise};
use stepladder_core::label::{Expert, Perturb};
use stepladder_core::reply::{Profile, clean_progress};
use stepladder_core::seed::Rng;
use stepladder_core::trace::{Episode, Subtask, Turn};
use stepladder_core::{Codec, Observation, Query, Role};
use stepladder_data::divide::divide;
use stepladder_data::rows::{pack, row, texts};
use stepladder_data::samples::{prompts, samples};
use stepladder_data::transitions::transitions;
use stepladder_data::{Budgets, CompactWords, Intrinsic, Labels, PromptEncoder, Sample, Transition};
use stepladder_env::TaskSet;
use stepladder_env::transcript::read_rows;
use stepladder_rollout::generator::{
    BatchGenerator, Blocking, Completion, ExpertGenerator, GenerateError, Request,
};
use stepladder_rollout::scheduler::{Noise, Options};
use stepladder_rollout::{Job, Scheduler};

/// The expert with a record of every prompt and reply, by episode.
struct Recording {
    expert: ExpertGenerator<AlfworldExpert>,
    asked: BTreeMap<u64, Vec<(Query, String)>>,
}

impl BatchGenerator for Recording {
    fn generate(
        &mut self,
        requests: &[Request],
    ) -> Result<Vec<Result<Completion, GenerateError>>, GenerateError> {
        let completions = self.expert.generate(requests)?;
        for (request, completion) in requests.iter().zip(&completions) {
            let asked = self.asked.entry(request.session).or_default();
            asked.push((request.query.clone(), completion.as_ref().unwrap().text.clone()));
        }
        Ok(completions)
    }

    fn policy(&self) -> String {
        self.expert.policy()
    }
}

struct WrongActions;

impl Perturb for WrongActions {
    fn perturb(&self, action: &str, seen: &Observation, rng: &mut Rng) -> Option<String> {
        noise::perturb(action, &seen.feedback, &seen.context, rng)
    }
}

/// An episode with its prompts and replies.
type Rollout = (Episode, Vec<(Query, String)>);

/// Plays episodes of the first `tasks` training households: `passes` of each, the first clean and the others noisy.
///
/// A low step limit truncates some of them, which is a separate case.
fn rollouts(agent: AgentKind, tasks: usize, passes: u64, max_steps: u32) -> Vec<Rollout> {
    let set = Households::default();
    let tasks = &set.tasks("train").unwrap()[..tasks];
    let mut all = Vec::new();
    for sample in 0..passes {
        let jobs: Vec<Job> = tasks.iter().map(|task| Job::sampled(task, sample)).collect();
        let mut generator = Blocking::new(Recording {
            expert: ExpertGenerator::new(AlfworldExpert::default(), "expert"),
            asked: BTreeMap::new(),
        });
        let noise = (sample > 0).then_some(Noise { probability: 0.2, perturb: &WrongActions });
        let options = Options { noise, max_steps, ..Options::greedy(agent) };
        let episodes = Scheduler::new(&set, &mut generator, options).run(&jobs, |_| ()).unwrap();
        let asked = generator.into_inner().asked;
        assert_eq!(episodes.len(), asked.len());
        all.extend(episodes.into_iter().zip(asked.into_values()));
    }
    all
}

fn untrained() -> CompactWords {
    CompactWords::new(Arc::new(AlfworldCodec), Budgets::default())
}

/// Collects the words of all texts in the episodes.
fn encoder<'a>(kind: AgentKind, episodes: impl Iterator<Item = &'a Episode>) -> CompactWords {
    let (bare, mut words) = (untrained(), Vec::new());
    for episode in episodes {
        words.extend(texts(&samples(kind.into(), episode).unwrap(), &bare));
        words.extend(prompts(kind.into(), episode).unwrap().iter().map(|query| bare.render(query).text));
    }
    bare.with_words(words.iter().map(String::as_str))
}

fn substituted(rollouts: &[Rollout]) -> usize {
    rollouts.iter().flat_map(|(episode, _)| episode.steps()).filter(|step| step.expert.is_some()).count()
}

#[test]
fn hierarchical_samples_are_what_the_three_roles_were_asked_and_said() {
    let rollouts = rollouts(AgentKind::StepHrl, 60, 3, 12);
    assert!(substituted(&rollouts) > 100);
    let cut_off = rollouts.iter().filter(|(episode, _)| !episode.won).count();
    assert!((10..100).contains(&cut_off), "{cut_off} episodes cut off");
    let episodes = rollouts.iter().map(|(episode, _)| episode);
    let encoder = encoder(AgentKind::StepHrl, episodes);
    for (episode, asked) in &rollouts {
        let expected: Vec<Sample> = asked
            .iter()
            .map(|(query, said)| {
                // The agents store cleaned progress texts.
                let reply = if query.role() == Role::Progress { clean_progress(said) } else { said.clone() };
                Sample { query: query.clone(), reply }
            })
            .collect();
        let samples = samples(AgentKind::StepHrl.into(), episode).unwrap();
        assert_eq!(samples, expected, "{}", episode.task);
        for sample in &samples {
            let row = row(sample, &encoder).unwrap();
            let [span] = row.replies.as_slice() else { panic!("{} replies in one row", row.replies.len()) };
            let (prompt, reply) = row.ids.split_at(span.start as usize);
            assert_eq!(prompt, encoder.prompt(&sample.query));
            assert!(encoder.covers(prompt) && encoder.covers(reply));
            let native = encoder.decode(sample.role(), reply);
            assert_eq!(native, sample.reply);
            assert_eq!(reply.last(), encoder.end().first());
        }
    }
}

#[test]
fn packed_flat_rows_hold_every_prompt_the_flat_agent_was_asked() {
    let rollouts = rollouts(AgentKind::Flat, 60, 3, 12);
    assert!(substituted(&rollouts) > 100);
    let episodes = rollouts.iter().map(|(episode, _)| episode);
    let encoder = encoder(AgentKind::Flat, episodes);
    for (episode, asked) in &rollouts {
        let row = pack(&samples(AgentKind::Flat.into(), episode).unwrap(), &encoder).unwrap().unwrap();
        // Where noise replaced the action, its prompt is in the row, but its reply is not a target.
        let learnt: Vec<_> = asked
            .iter()
            .zip(episode.steps())
            .filter(|(_, step)| step.expert.is_none())
            .map(|(asked, _)| asked)
            .collect();
        assert_eq!(row.replies.len(), learnt.len(), "{}", episode.task);
        for (span, (query, said)) in row.replies.iter().zip(learnt) {
            let (start, end) = (span.start as usize, (span.start + span.len) as usize);
            assert_eq!(row.ids[..start], encoder.prompt(query), "{}", episode.task);
            assert_eq!(row.ids[start..end], encoder.reply(Role::Flat, said, false), "{}", episode.task);
            assert!(encoder.covers(&row.ids[..end]));
        }
    }
}

fn blank(turn: &Turn) -> Turn {
    Turn { reply: String::new(), ..turn.clone() }
}

/// Returns the actions and observations of an episode, without the hierarchy.
fn bare(episode: &Episode) -> Episode {
    let steps = episode.steps().cloned().map(|mut step| {
        step.turn = blank(&step.turn);
        step.finished = false;
        (step.progress, step.progress_turn, step.expert) = (None, None, None);
        step
    });
    let subtask = Subtask { text: String::new(), turn: None, steps: steps.collect() };
    Episode { agent: "flat".to_owned(), subtasks: vec![subtask], ..episode.clone() }
}

#[test]
fn dividing_a_bare_demonstration_gives_back_the_experts_hierarchy_and_transitions() {
    let rollouts = rollouts(AgentKind::StepHrl, 200, 1, 50);
    let won: Vec<&Episode> =
        rollouts.iter().map(|(episode, _)| episode).filter(|episode| episode.won).collect();
    assert!(won.len() >= 190, "{}", won.len());
    for episode in won {
        let divided = divide(&bare(episode), &AlfworldSegmenter, &AlfworldExpert::default()).unwrap();
        assert_eq!(&divided, episode);
        for profile in [Profile::Fixed, Profile::Code] {
            let of = |episode| transitions(AgentKind::StepHrl.into(), episode, profile).unwrap();
            assert_eq!(of(&divided), of(episode));
        }
    }
}

/// The expert, whose executor says of every action that it finishes the subtask.
struct Hasty(ExpertGenerator<AlfworldExpert>);

impl BatchGenerator for Hasty {
    fn generate(
        &mut self,
        requests: &[Request],
    ) -> Result<Vec<Result<Completion, GenerateError>>, GenerateError> {
        let mut completions = self.0.generate(requests)?;
        for (request, completion) in requests.iter().zip(&mut completions) {
            if let (Role::Executor, Ok(completion)) = (request.query.role(), completion) {
                completion.text = completion.text.replace("; False", "; True");
            }
        }
        Ok(completions)
    }

    fn policy(&self) -> String {
        "hasty".to_owned()
    }
}

/// A "True" after which the expert's planner asks for the same subtask again is contradicted, also by the expert alone, where the trace
/// ends before its own planner speaks.
#[test]
fn the_expert_contradicts_a_true_of_an_unfinished_subtask_and_no_other() {
    let expert = AlfworldExpert::default();
    let verified = Labels { intrinsic: Intrinsic::Verified, expert: Some(&expert), ..Profile::Fixed.into() };
    let spec = AgentSpec::from(AgentKind::StepHrl);
    // It contradicts no demonstration of its own.
    for (episode, _) in rollouts(AgentKind::StepHrl, 40, 1, 50).iter().filter(|(episode, _)| episode.won) {
        let [declared, found] = [Profile::Fixed.into(), verified]
            .map(|labels: Labels<'_>| transitions(spec, episode, labels).unwrap().executor);
        assert_eq!(declared, found, "{}", episode.task);
    }
    let set = Households::default();
    let jobs = Job::each(&set.tasks("train").unwrap()[..60]);
    let mut generator = Blocking::new(Hasty(ExpertGenerator::new(AlfworldExpert::default(), "expert")));
    let options = Options { max_steps: 30, ..Options::greedy(AgentKind::StepHrl) };
    let episodes = Scheduler::new(&set, &mut generator, options).run(&jobs, |_| ()).unwrap();
    let (mut contradicted, mut confirmed) = (0, 0);
    for episode in &episodes {
        let rewards: Vec<f64> =
            transitions(spec, episode, verified).unwrap().executor.iter().map(Transition::reward).collect();
        for (number, pair) in episode.subtasks.windows(2).enumerate() {
            let again = pair[0].text == pair[1].text;
            assert_eq!(rewards[number], f64::from(u8::from(!again)), "{} {number}", episode.task);
            let mut part = episode.clone();
            part.subtasks.truncate(number + 1);
            let alone = transitions(spec, &part, verified).unwrap().executor[number].reward();
            assert_eq!(alone, rewards[number], "{} {number}", episode.task);
            contradicted += u32::from(again);
            confirmed += u32::from(!again);
        }
    }
    assert!(contradicted > 100 && confirmed > 5, "{contradicted} and {confirmed}");
}

#[test]
fn no_compact_prompt_has_two_replies() {
    let rollouts = rollouts(AgentKind::StepHrl, 100, 3, 50);
    let encoder = untrained();
    let mut replies: BTreeMap<String, (String, String)> = BTreeMap::new();
    let mut seen = 0;
    let mut learn = |task: &str, query: &Query, reply: &str| {
        let reply = encoder.written(query.role(), reply);
        let known =
            replies.entry(encoder.render(query).text).or_insert_with(|| (reply.clone(), task.to_owned()));
        assert_eq!(known.0, reply, "{} and {task} disagree on {query:?}", known.1);
        seen += 1;
    };
    for (episode, _) in &rollouts {
        let task = episode.task.to_string();
        for kind in [AgentKind::StepHrl, AgentKind::Flat] {
            for sample in samples(kind.into(), episode).unwrap() {
                learn(&task, &sample.query, &sample.reply);
            }
        }
    }
    assert!(seen > 9_000 && replies.len() * 4 < seen * 3, "{seen} samples, {} prompts", replies.len());
}

/// A policy that keeps its prompts: the expert where it answers the role, else a cycle of fixed replies.
struct Speaker {
    expert: Box<dyn Expert>,
    encoder: CompactWords,
    dealt: usize,
}

/// Replies in HiMAC's roles, which no expert answers.
const DEALT: [(&str, &str); 5] = [
    ("<plan>\n1. look around\n2. find it\n3. use it\n</plan>", "<action>look</action>"),
    ("no plan", "<action>up</action> <sub_done>"),
    ("<plan>\n1. open it\n</plan>", "<sub_done>"),
    ("<plan>\n1. look around\n2. find it\n</plan>", "mumble"),
    ("<plan>\n1. look around\n2. find it\n</plan>", "<action>inventory</action>"),
];

impl BatchGenerator for Speaker {
    fn generate(
        &mut self,
        requests: &[Request],
    ) -> Result<Vec<Result<Completion, GenerateError>>, GenerateError> {
        let mut speak = |request: &Request| {
            self.dealt += 1;
            let (plan, act) = DEALT[self.dealt % DEALT.len()];
            let dealt = if request.query.role() == Role::Macro { plan } else { act };
            let text = self.expert.reply(&request.query).unwrap_or_else(|| dealt.to_owned());
            Ok(Completion { prompt: self.encoder.render(&request.query).text, ..Completion::text(text) })
        };
        Ok(requests.iter().map(&mut speak).collect())
    }

    fn policy(&self) -> String {
        "speaker".to_owned()
    }
}

#[test]
fn every_kind_of_agent_asks_in_a_replay_what_stands_in_the_trace() {
    let [flat, whole, himac] = [AgentKind::Flat, AgentKind::StepHrl, AgentKind::Himac].map(AgentSpec::from);
    let specs = [
        flat,
        AgentSpec { history: Some(2), ..flat },
        whole,
        AgentSpec { planner: false, ..whole },
        AgentSpec { progress: ProgressSlot::Empty, ..whole },
        AgentSpec { progress: ProgressSlot::History, ..whole },
        himac,
        AgentSpec { history: Some(1), sub_done: false, ..himac },
    ];
    const LIMIT: u32 = 25;
    let webshop = stepladder_families::named("webshop").unwrap();
    let families = [
        (&stepladder_alfworld::HOUSEHOLD, "train", 30),
        (&stepladder_sokoban::FAMILY, "train-6x6-1", 30),
        // Its episodes are short.
        (webshop, "train", 60),
    ];
    for (family, split, count) in families {
        let set = (family.open)(None, &stepladder_env::Options::default()).unwrap();
        let tasks = &set.tasks(split).unwrap()[..count];
        let perturb = (family.noise.unwrap())();
        let encoder = CompactWords::new((family.codec)(), Budgets::default());
        for spec in specs {
            let expert = (family.expert.unwrap())();
            let mut speaker = Blocking::new(Speaker { expert, encoder: encoder.clone(), dealt: 0 });
            let noise = Some(Noise { probability: 0.2, perturb: &*perturb });
            let options = Options { noise, max_steps: LIMIT, ..Options::greedy(spec) };
            let episodes =
                Scheduler::new(&*set, &mut speaker, options).run(&Job::each(tasks), |_| ()).unwrap();
            let mut labelled = 0;
            for episode in &episodes {
                let driven = drive(&mut *spec.make(LIMIT, &Blueprint::Own), episode).unwrap();
                let found: Vec<(String, &str)> = driven
                    .decisions
                    .iter()
                    .map(|decision| (encoder.render(&decision.query).text, decision.reply.as_str()))
                    .collect();
                let kept: Vec<(String, &str)> =
                    episode.turns().map(|turn| (turn.prompt.clone(), turn.reply.as_str())).collect();
                assert_eq!(found, kept, "{spec} {}", episode.task);
                labelled += driven.decisions.iter().filter(|decision| decision.substituted).count();
                if spec.kind != AgentKind::Himac {
                    let replayed = replay(spec, episode).unwrap();
                    let queries = |decisions: &[stepladder_agent::replay::Decision]| -> Vec<Query> {
                        decisions.iter().map(|decision| decision.query.clone()).collect()
                    };
                    assert_eq!(queries(&replayed.decisions), queries(&driven.decisions));
                    assert_eq!(replayed.next, driven.next);
                }
            }
            // What is dealt for HiMAC is no action of a shop.
            let foreign = spec.kind == AgentKind::Himac && family.spec.id == "webshop";
            assert!(labelled > 20 || foreign, "{spec}: noise replaced {labelled} actions");
        }
    }
}

/// Collects every string in a value.
fn strings(value: &serde_json::Value, into: &mut std::collections::BTreeSet<String>) {
    match value {
        serde_json::Value::String(text) => {
            into.insert(text.clone());
        }
        serde_json::Value::Array(items) => items.iter().for_each(|item| strings(item, into)),
        serde_json::Value::Object(fields) => fields.values().for_each(|field| strings(field, into)),
        _ => {}
    }
}

#[test]
fn what_the_originals_say_stands_in_prompts_as_the_codec_has_it() {
    let Some(root) = stepladder_testing::data_root("transcripts/sokoban_verl_agent.jsonl.zst") else {
        return;
    };
    let recorded: [(&str, Arc<dyn Codec>); 3] = [
        ("alfworld_train_seen", Arc::new(AlfworldCodec)),
        ("scienceworld_hashcode2", Arc::new(stepladder_scienceworld::ScienceWorldCodec)),
        ("sokoban_verl_agent", Arc::new(stepladder_sokoban::SokobanCodec)),
    ];
    for (name, codec) in recorded {
        let rows = read_rows(&root.join(format!("transcripts/{name}.jsonl.zst"))).unwrap();
        let mut texts = std::collections::BTreeSet::new();
        rows.iter().for_each(|row| strings(row, &mut texts));
        assert!(texts.len() > 100, "{name}");
        let encoder = CompactWords::new(codec.clone(), Budgets::default());
        for text in texts.into_iter().filter(|text| !text.is_empty()) {
            let query = Query::Flat { task: "t".into(), context: text.clone(), history: Vec::new() };
            assert_eq!(encoder.render(&query).text, format!("{} <fl> t <a>", codec.encode(&text)));
        }
    }
}
