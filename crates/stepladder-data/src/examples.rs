//! Choice of worked examples for prompts of pretrained models ([`crate::instruct`]) from demonstrations.

use std::collections::BTreeMap;

use stepladder_agent::AgentSpec;
use stepladder_agent::replay::ReplayError;
use stepladder_core::Role;
use stepladder_core::trace::Episode;

use crate::instruct::{Examples, Instruct};
use crate::samples::{Sample, samples};

/// Chooses `count` examples for every role of an agent of `spec`: of different episodes, the first from the beginning of its
/// episode and the last from the end. An example has at most `limit` tokens, unless its episode has none that is so short.
///
/// A role has fewer examples where fewer episodes have a reply of it, and none if no episode has one.
///
/// # Errors
/// [`ReplayError`] if an episode does not fit the agent.
pub fn choose(
    spec: AgentSpec,
    episodes: &[Episode],
    encoder: &Instruct,
    (count, limit): (usize, usize),
) -> Result<Examples, ReplayError> {
    // Samples of each role by episode.
    let mut by_role: BTreeMap<Role, Vec<Vec<Sample>>> = BTreeMap::new();
    for episode in episodes {
        let mut of_episode: BTreeMap<Role, Vec<Sample>> = BTreeMap::new();
        for sample in samples(spec, episode)? {
            of_episode.entry(sample.role()).or_default().push(sample);
        }
        for (role, samples) in of_episode {
            by_role.entry(role).or_default().push(samples);
        }
    }
    let mut chosen = Examples::new();
    for (role, episodes) in by_role {
        let slots = count.min(episodes.len());
        let pick = |(slot, mut samples): (usize, Vec<Sample>)| {
            let wanted = ((2 * slot + 1) * samples.len()) / (2 * slots);
            let size = |sample: &Sample| encoder.example_size(&sample.query, &sample.reply);
            let mut order: Vec<usize> = (0..samples.len()).collect();
            order.sort_by_key(|place| place.abs_diff(wanted));
            let short = order.iter().copied().find(|place| size(&samples[*place]) <= limit);
            let place = short.or_else(|| order.into_iter().min_by_key(|place| size(&samples[*place])))?;
            let Sample { query, reply } = samples.swap_remove(place);
            Some((query, reply))
        };
        chosen.insert(role, episodes.into_iter().take(slots).enumerate().filter_map(pick).collect());
    }
    Ok(chosen)
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Arc;

    use stepladder_agent::AgentKind;
    use stepladder_core::codec::Plain;

    use super::*;
    use crate::encoder::{Budgets, PromptEncoder};
    use crate::encoders;
    use crate::instruct::Form;

    /// Two episodes of four replies each: planner, executor, progress, executor.
    fn episodes() -> Vec<Episode> {
        let line = include_str!("../../stepladder-core/tests/trace-v1.jsonl");
        let episode = stepladder_core::trace::read(line.as_bytes()).next().unwrap().unwrap();
        vec![episode.clone(), episode]
    }

    fn encoder(form: Form) -> Instruct {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/pretrained/gpt2");
        encoders::instruct(&folder, Arc::new(Plain), 1 << 20, Budgets::default(), form).unwrap()
    }

    #[test]
    fn examples_come_from_different_episodes_and_steps_and_are_short_where_possible() {
        let spec = AgentKind::StepHrl.into();
        let encoder = encoder(Form::Plain);
        let all = samples(spec, &episodes()[0]).unwrap();
        let executors: Vec<&Sample> = all.iter().filter(|sample| sample.role() == Role::Executor).collect();
        let chosen = choose(spec, &episodes(), &encoder, (2, 1000)).unwrap();
        let replies = |role: Role| chosen[&role].iter().map(|(_, reply)| reply.as_str()).collect::<Vec<_>>();
        assert_eq!(replies(Role::Executor), [executors[0].reply.as_str(), executors[1].reply.as_str()]);
        assert_eq!((replies(Role::Planner).len(), replies(Role::Progress).len()), (2, 2));
        assert_eq!(chosen.len(), 3);
        let sizes: Vec<usize> =
            executors.iter().map(|sample| encoder.example_size(&sample.query, &sample.reply)).collect();
        assert!(sizes[0] < sizes[1], "{sizes:?}");
        let short = choose(spec, &episodes(), &encoder, (2, sizes[0])).unwrap();
        assert_eq!(short[&Role::Executor][1].1, executors[0].reply);
        assert_eq!(choose(spec, &episodes(), &encoder, (5, 1000)).unwrap()[&Role::Planner].len(), 2);
    }

    #[test]
    fn all_prompts_of_a_role_begin_with_its_examples() {
        let spec = AgentKind::StepHrl.into();
        let samples = samples(spec, &episodes()[0]).unwrap();
        for form in [Form::Plain, Form::Chat] {
            let bare = encoder(form);
            let chosen = choose(spec, &episodes(), &bare, (2, 1000)).unwrap();
            let encoder = bare.clone().with_examples(chosen.clone()).unwrap();
            assert_eq!(encoder.id(), bare.id() + "+examples/2");
            for sample in &samples {
                let role = sample.role();
                let (short, long) =
                    (bare.render(&sample.query).unwrap(), encoder.render(&sample.query).unwrap());
                assert_eq!(long.ids.len() - short.ids.len(), encoder.example_tokens(role));
                for (encoder, prompt) in [(&bare, &short), (&encoder, &long)] {
                    let begin = encoder.shared(role);
                    assert!(prompt.ids.starts_with(&begin));
                    assert!(begin.len() > encoder.example_tokens(role) + 10, "{} tokens", begin.len());
                }
                for (_, reply) in &chosen[&role] {
                    assert!(long.text.contains(reply), "{reply} is not in {}", long.text);
                }
            }
        }
    }
}
