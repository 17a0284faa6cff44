use rand::RngExt;
use rand::seq::IndexedRandom;
use stepladder_core::blueprint::{write, write_micro};
use stepladder_core::seed::{Rng, stream};
use stepladder_core::{End, Role, Start, TaskKey};

use super::*;
use crate::factory::AgentFactory;
use crate::himac::{Blueprint, Numbers, Sees};
use crate::spec::AgentKind;
use crate::step_hrl::ProgressSlot;

fn episode() -> Episode {
    let line = include_str!("../../../stepladder-core/tests/trace-v1.jsonl");
    stepladder_core::trace::read(line.as_bytes()).next().unwrap().unwrap()
}

fn specs() -> Vec<AgentSpec> {
    let [flat, whole, himac] = [AgentKind::Flat, AgentKind::StepHrl, AgentKind::Himac].map(AgentSpec::from);
    vec![
        flat,
        AgentSpec { history: Some(2), ..flat },
        whole,
        AgentSpec { planner: false, ..whole },
        AgentSpec { progress: ProgressSlot::Empty, ..whole },
        AgentSpec { progress: ProgressSlot::History, ..whole },
        AgentSpec { planner: false, progress: ProgressSlot::History, ..whole },
        himac,
        AgentSpec { history: Some(1), sub_done: false, ..himac },
        AgentSpec { sees: Sees::Segment, ..himac },
    ]
}

/// Draws a reply, often malformed.
fn babble(role: Role, rng: &mut Rng) -> String {
    let texts: &[&str] = match role {
        Role::Planner => &["find it", " use it \n", ""],
        Role::Executor => &["go; False", "take; True", "\n look ; true and more", "mumble", "; True"],
        Role::Progress => &["been there || [Checked: ]", " saw it", "  ", "a || [Checked: b]"],
        Role::Flat => &["go", "\n take \nand more", " "],
        Role::Macro => &["<plan>\n1. one\n2. two\n3. three\n</plan>", "I do not know"],
        Role::Micro => {
            &["<action>go</action>", "<action>take</action> <sub_done>", "<sub_done>", "mumble", ""]
        }
    };
    (*texts.choose(rng).unwrap()).to_owned()
}

/// Plays an episode with random replies, answers, noise and end; returns it with all prompts and replies.
fn play(agent: &mut dyn Agent, limit: usize, rng: &mut Rng) -> (Episode, Vec<(Query, String)>) {
    let start = Start {
        text: "Welcome.".into(),
        task: "do it".into(),
        context: if rng.random_bool(0.5) { "a room".into() } else { String::new() },
        family: "toy".into(),
    };
    let mut want = agent.start(&start);
    let (mut asked, mut count, mut end) = (Vec::new(), 0, None);
    loop {
        want = match want {
            Want::Reply(query) => {
                let reply = babble(query.role(), rng);
                let turn = Turn::said(query.role(), reply.as_str());
                asked.push((query, reply));
                agent.on_reply(turn)
            }
            Want::Act(_) => {
                if rng.random_bool(0.2) {
                    agent.substitute("wander");
                }
                count += 1;
                end = match () {
                    () if count == limit => Some(End::Truncated),
                    () if rng.random_bool(0.05) => Some(End::Terminated),
                    () => None,
                };
                agent.on_step(&Step {
                    observation: format!("answer {count}"),
                    reward: 0.0,
                    won: false,
                    unknown_action: false,
                    context: rng.random_bool(0.3).then(|| format!("room {count}")),
                    end,
                })
            }
            Want::Finished => break,
        }
    }
    let episode = Episode {
        version: stepladder_core::trace::VERSION,
        task: TaskKey::new("toy", "train", "0"),
        seed: 0,
        agent: "test".into(),
        policy: "babble".into(),
        start,
        subtasks: agent.trace(),
        won: false,
        score: 0.0,
        end,
        error: None,
    };
    (episode, asked)
}

#[test]
fn an_agent_that_is_driven_by_its_trace_asks_what_it_had_asked() {
    for (number, spec) in specs().into_iter().enumerate() {
        for sample in 0..200 {
            let rng = &mut stream(sample, "replay", &[number as u64]);
            let followed = vec!["one".to_owned(), "two".to_owned()];
            let blueprint = [Blueprint::Own, Blueprint::MustParse, Blueprint::Follow(followed)];
            let blueprint = blueprint.choose(rng).unwrap();
            let (episode, asked) = play(&mut *spec.make(12, blueprint), 12, rng);
            let replay = drive(&mut *spec.make(12, blueprint), &episode).unwrap();
            let found: Vec<_> = replay
                .decisions
                .iter()
                .map(|decision| (decision.query.clone(), decision.reply.clone()))
                .collect();
            assert_eq!(found, asked, "{spec} {sample}");
            for Decision { reply, substituted, place, .. } in &replay.decisions {
                let subtask = &episode.subtasks[place.subtask];
                let held = match place.step.map(|step| &subtask.steps[step]) {
                    None => vec![subtask.turn.as_ref().unwrap()],
                    Some(step) => {
                        assert!(!substituted || step.expert.is_some());
                        step.idle.iter().chain([&step.turn]).chain(&step.progress_turn).collect()
                    }
                };
                assert!(held.iter().any(|turn| turn.reply == *reply), "{spec} {sample}");
            }
            let cut_off = episode.end == Some(End::Truncated);
            assert!(!cut_off || replay.next.is_some(), "{spec} {sample}");
        }
    }
}

#[test]
fn an_episode_is_replayed_as_its_own_kind_without_knowing_its_limit() {
    for spec in specs().into_iter().filter(|spec| spec.kind != AgentKind::Himac) {
        for sample in 0..50 {
            let rng = &mut stream(sample, "replay", &[]);
            let (episode, asked) = play(&mut *spec.make(12, &Blueprint::Own), 12, rng);
            let replay = replay(spec, &episode).unwrap();
            let found: Vec<&Query> = replay.decisions.iter().map(|decision| &decision.query).collect();
            assert_eq!(found, asked.iter().map(|(query, _)| query).collect::<Vec<_>>(), "{spec} {sample}");
        }
    }
}

/// Returns the fixture's episode in an environment that shows a new room after every step.
fn walk() -> Episode {
    let mut episode = episode();
    episode.start.context = "room 0".into();
    let steps = episode.subtasks.iter_mut().flat_map(|subtask| &mut subtask.steps);
    for (number, step) in steps.enumerate() {
        step.context = Some(format!("room {}", number + 1));
    }
    episode
}

#[test]
fn every_prompt_shows_the_context_of_its_moment() {
    let episode = walk();
    let room = |query: &Query| match query {
        Query::Executor { observation, .. }
        | Query::Progress { observation, .. }
        | Query::Planner { observation, .. }
        | Query::Macro { observation, .. }
        | Query::Micro { observation, .. } => observation.context.clone(),
        Query::Flat { context, .. } => context.clone(),
    };
    for (kind, expected) in [
        (AgentKind::Flat, &["room 0", "room 1", "room 2"][..]),
        (AgentKind::StepHrl, &["room 0", "room 0", "room 1", "room 1", "room 2"]),
        (AgentKind::Himac, &["room 0", "room 0", "room 1", "room 2"]),
    ] {
        let Replay { decisions, next, .. } = replay(kind.into(), &episode).unwrap();
        let rooms: Vec<String> =
            decisions.iter().map(|decision| &decision.query).chain(&next).map(room).collect();
        assert_eq!(rooms, expected, "{}", kind.name());
    }
}

#[test]
fn what_would_follow_a_cut_off_episode_is_known() {
    let mut episode = episode();
    // The fixture lacks the text after its last step.
    assert!(matches!(
        replay(AgentKind::StepHrl.into(), &episode).unwrap().next,
        Some(Query::Progress { .. })
    ));
    let step = episode.subtasks[0].steps.last_mut().unwrap();
    step.progress_turn = Some(Turn::said(Role::Progress, "have it"));
    let next = replay(AgentKind::StepHrl.into(), &episode).unwrap().next;
    assert!(matches!(next, Some(Query::Planner { earlier, progress, .. })
        if earlier == ["find mug"] && progress == "have it"));
    let step = episode.subtasks[0].steps.last_mut().unwrap();
    (step.finished, step.turn.reply) = (false, "take mug 1 from desk 1; False".into());
    let next = replay(AgentKind::StepHrl.into(), &episode).unwrap().next;
    assert!(matches!(next, Some(Query::Executor { subtask, progress, .. })
        if subtask == "find mug" && progress == "have it"));
}

#[test]
fn a_damaged_trace_is_refused_with_the_place() {
    let fails = |kind: AgentKind, damage: &dyn Fn(&mut Episode), expected: &str| {
        let mut episode = episode();
        damage(&mut episode);
        let error = replay(kind.into(), &episode).unwrap_err().to_string();
        let behind = "; the trace is damaged, or another agent recorded it";
        assert_eq!(error, format!("household/dev/seed-3, {expected}{behind}"));
    };
    let hrl = AgentKind::StepHrl;
    fails(
        hrl,
        &|episode| episode.subtasks[0].turn = None,
        "subtask 1, step 1: the trace holds a reply of the role executor, the agent asks the role planner",
    );
    fails(
        hrl,
        &|episode| {
            (episode.subtasks[0].steps[0].progress, episode.subtasks[0].steps[0].progress_turn) = (None, None)
        },
        "subtask 1, step 2: the trace holds a reply of the role executor, the agent asks the role progress",
    );
    fails(
        hrl,
        &|episode| episode.subtasks[0].steps[1].action = "look".into(),
        "subtask 1, step 2: the reply names the action `take mug 1 from desk 1`, the trace has `look` and no label of an \
         expert",
    );
    fails(
        hrl,
        &|episode| episode.subtasks[0].steps[1].finished = false,
        "subtask 1, step 2: the flag of the reply is `true`, the trace has `false`",
    );
    fails(
        hrl,
        &|episode| episode.subtasks[0].steps[0].progress = Some("x".into()),
        "subtask 1, step 1: the progress text is `mug 1 is at desk 1.`, the trace has `x`",
    );
    fails(
        hrl,
        &|episode| episode.subtasks[0].text = "x".into(),
        "subtask 1: the subtask is `find mug`, the trace has `x`",
    );
    fails(
        hrl,
        &|episode| episode.subtasks[0].steps[0].end = Some(End::Terminated),
        "subtask 1, step 1: the trace goes on after the end of the episode",
    );
    let twice = |episode: &mut Episode| {
        let mut more = episode.subtasks[0].clone();
        more.steps.clear();
        episode.subtasks.insert(0, more);
    };
    fails(
        hrl,
        &twice,
        "subtask 2: the trace holds a reply of the role planner, the agent asks the role executor",
    );
    fails(AgentKind::Himac, &|episode| episode.subtasks[0].text = " ".into(), {
        "subtask 1: the subtask has no text, so it cannot be a sub-goal of a blueprint"
    });
    let idle = |episode: &mut Episode| {
        let step = &mut episode.subtasks[0].steps[1];
        step.idle = vec![Turn::said(Role::Executor, "wait; False")];
    };
    fails(
        hrl,
        &idle,
        "subtask 1, step 2: the trace holds a reply of the role executor, the agent asks nothing",
    );
}

#[test]
fn a_reply_of_every_role_in_every_place_gives_an_answer() {
    for spec in specs() {
        for role in Role::ALL {
            for at in 0..4 {
                let mut episode = episode();
                let subtask = &mut episode.subtasks[0];
                let turn = match at {
                    0 => subtask.turn.as_mut(),
                    1 => Some(&mut subtask.steps[0].turn),
                    2 => subtask.steps[0].progress_turn.as_mut(),
                    _ => Some(&mut subtask.steps[1].turn),
                };
                *turn.unwrap() = Turn::said(role, "go; True");
                // Either the trace fits, or the error names the place.
                if let Err(error) = replay(spec, &episode) {
                    assert!(error.to_string().contains("subtask 1"), "{error}");
                }
                let own = drive(&mut *spec.make(9, &Blueprint::Own), &episode);
                assert!(own.is_err(), "{spec} {role:?} {at}");
            }
        }
    }
}

/// Returns an episode with these progress texts, one list per subtask.
fn with_texts(texts: &[&[&str]]) -> Episode {
    let mut episode = episode();
    let step = episode.subtasks[0].steps[0].clone();
    let subtask = |(number, texts): (usize, &&[&str])| {
        let text = format!("subtask {number}");
        let steps = texts.iter().enumerate().map(|(at, text)| {
            let finished = at + 1 == texts.len();
            let reply = stepladder_core::reply::executor_reply(&step.action, finished);
            TraceStep {
                turn: Turn::said(Role::Executor, reply),
                progress: Some((*text).to_owned()),
                progress_turn: Some(Turn::said(Role::Progress, *text)),
                finished,
                ..step.clone()
            }
        });
        Subtask { turn: Some(Turn::said(Role::Planner, text.as_str())), text, steps: steps.collect() }
    };
    episode.subtasks = texts.iter().enumerate().map(subtask).collect();
    episode
}

#[test]
fn without_progress_only_planner_and_executor_speak() {
    let spec = AgentSpec { progress: ProgressSlot::Empty, ..AgentKind::StepHrl.into() };
    let decisions = replay(spec, &with_texts(&[&["a", "b"], &["c"]])).unwrap().decisions;
    assert_eq!(decisions.len(), 5);
    for decision in decisions {
        let (Query::Executor { progress, .. } | Query::Planner { progress, .. }) = decision.query else {
            panic!("{decision:?}")
        };
        assert_eq!(progress, stepladder_core::query::NO_PROGRESS);
    }
}

#[test]
fn without_a_planner_finished_facts_stay_in_the_progress_text() {
    let spec = AgentSpec { planner: false, ..AgentKind::StepHrl.into() };
    let episode = with_texts(&[&["looking || [Checked: x]", "took it || [Checked: x]"], &["put it"]]);
    let Replay { decisions, next, .. } = replay(spec, &episode).unwrap();
    let mut flags = Vec::new();
    let mut texts = Vec::new();
    for decision in &decisions {
        match &decision.query {
            Query::Executor { subtask, progress, .. } => {
                assert_eq!(*subtask, episode.start.task);
                texts.push(progress.as_str());
                flags.push(decision.reply.ends_with("True"));
            }
            query => assert_eq!(query.role(), Role::Progress),
        }
    }
    assert_eq!(texts, ["None", "looking || [Checked: x]", "took it || [Checked: x]"]);
    assert_eq!(flags, [false, false, true]);
    assert!(matches!(next, Some(Query::Executor { progress, .. }) if progress == "took it ; put it"));
}

#[test]
fn subtasks_beyond_the_eighth_belong_to_the_eighth() {
    let whole = with_texts(&[&["a"][..]; 10]);
    for sub_done in [true, false] {
        let spec = AgentSpec { history: Some(2), sub_done, ..AgentKind::Himac.into() };
        let decisions = replay(spec, &whole).unwrap().decisions;
        let goals: Vec<String> = (0..8).map(|number| format!("subtask {number}")).collect();
        assert_eq!(decisions[0].reply, write(&goals));
        let mut shown = Vec::new();
        for decision in &decisions[1..] {
            let Query::Micro { blueprint, active, history, .. } = &decision.query else { panic!() };
            assert_eq!(*blueprint, goals);
            assert_eq!(decision.reply, write_micro(Some("go to desk 1"), sub_done));
            shown.push((*active, history.len()));
        }
        assert_eq!(shown[..8], [0, 1, 2, 3, 4, 5, 6, 7].map(|active| (active, 0)));
        assert_eq!(shown[8..], [(7, 1), (7, 2)]);
    }
}

#[test]
fn blueprints_keep_the_numbers_that_the_start_shows() {
    let mut episode = with_texts(&[&["a"], &["b"], &["c"]]);
    episode.start.text = "You see a shelf 1, and a shelf 2.".into();
    for (subtask, text) in
        episode.subtasks.iter_mut().zip(["find mug", "clean mug 2", "put mug 2 in shelf 1"])
    {
        subtask.text = text.into();
    }
    let written = |numbers| {
        let spec = AgentSpec { numbers, ..AgentKind::Himac.into() };
        let decisions = replay(spec, &episode).unwrap().decisions;
        let Query::Micro { blueprint, .. } = &decisions[1].query else { panic!() };
        assert_eq!(decisions[0].reply, write(blueprint));
        blueprint.clone()
    };
    assert_eq!(written(Numbers::All), ["find mug", "clean mug 2", "put mug 2 in shelf 1"]);
    assert_eq!(written(Numbers::Known), ["find mug", "clean mug", "put mug in shelf 1"]);
}

#[test]
fn of_given_sub_goals_only_their_execution_is_learnt() {
    let mut given = with_texts(&[&["a"], &["b", "c"], &["d"]]);
    for subtask in &mut given.subtasks {
        subtask.turn = None;
    }
    let spec = AgentSpec { max_subgoals: 2, ..AgentKind::Himac.into() };
    let decisions = replay(spec, &given).unwrap().decisions;
    let shown: Vec<(usize, usize, String)> = decisions
        .iter()
        .map(|decision| {
            let Query::Micro { blueprint, active, .. } = &decision.query else { panic!("{decision:?}") };
            (blueprint.len(), *active, decision.reply.clone())
        })
        .collect();
    let said = |done| write_micro(Some("go to desk 1"), done);
    // Steps towards the third sub-goal would be labelled with the second.
    assert_eq!(shown, [(2, 0, said(true)), (2, 1, said(false)), (2, 1, said(true))]);
}

#[test]
fn noise_is_labelled_and_no_blueprint_is_learnt_from_it() {
    let mut noisy = with_texts(&[&["a", "b"], &["c"]]);
    noisy.subtasks[0].steps[1].expert = Some("take it; True".into());
    let of = |kind: AgentKind| {
        let decisions = replay(kind.into(), &noisy).unwrap().decisions;
        let labels: Vec<String> = decisions
            .iter()
            .filter(|decision| decision.substituted)
            .map(|decision| decision.reply.clone())
            .collect();
        (decisions, labels)
    };
    let (_, labels) = of(AgentKind::StepHrl);
    assert_eq!(labels, ["take it; True"]);
    let (decisions, labels) = of(AgentKind::Himac);
    assert_eq!(labels, ["<action>take it</action> <sub_done>"]);
    assert!(decisions.iter().all(|decision| decision.query.role() == Role::Micro));
    let (decisions, labels) = of(AgentKind::Flat);
    assert_eq!(labels, ["take it"]);
    // The history shows the played action.
    assert!(matches!(&decisions[2].query, Query::Flat { history, .. } if history[1].0 == "go to desk 1"));
}
