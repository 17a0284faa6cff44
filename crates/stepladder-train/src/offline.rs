//! Offline actor-critic and its controls: the collected episodes that they share, and what each learns from.

use std::borrow::Cow;
use std::collections::BTreeMap;

use anyhow::Result;
use stepladder_algo::offline_ac::OfflineConfig;
use stepladder_algo::ops::actor::ActorMode;
use stepladder_algo::runtime::counters::Counters;
use stepladder_algo::runtime::observer::Ending;
use stepladder_algo::runtime::trainer::Trainer;
use stepladder_core::trace::Episode;
use stepladder_data::offline::{self, Dataset, DatasetConfig, HeldOut};
use stepladder_data::rows::{merge, temper};
use stepladder_data::{Intrinsic, Labels, Row};

use super::learn::{AgentTraining, Play};
use super::rows::{AgentRows, Rows};
use crate::config::Algo;

/// Episodes of the initial policy.
const COLLECTED: &str = "collected.jsonl.zst";

impl AgentTraining<'_> {
    /// Offline actor-critic: the initial policy plays; then policy and critics are trained on the demonstrations and these
    /// episodes.
    pub(crate) fn offline_ac(&self, demonstrated: &AgentRows) -> Result<(Counters, Ending)> {
        let agent = self.model(self.name, &self.directory(), &demonstrated.rows)?;
        let mut trainer = agent.trainer()?;
        let Some(collected) = self.collected(&trainer)? else {
            return Ok((trainer.counters, Ending::Interrupted));
        };
        let (learnt, held) = self.divided(&collected);
        let demonstrations = self.drawn();
        let config = agent.offline_config();
        let dataset = self.dataset_config(&config)?;
        let encoder = &*self.material.encoder;
        let Dataset { rows, transitions, too_long } =
            offline::dataset(demonstrations.iter(), learnt.iter().copied(), encoder, &dataset)?;
        if too_long > 0 {
            self.run.reporter.note(&format!(
                "{}: {too_long} transitions dropped: longer than the context window",
                self.name
            ));
        }
        self.run.reporter.note(&format!(
            "{}: {} of {} collected episodes solved, {} held out, {} demonstrations; {transitions} transitions, {} distinct",
            self.name,
            solved(&collected),
            collected.len(),
            held.len(),
            demonstrations.len(),
            rows.len()
        ));
        let held: Vec<HeldOut> = offline::held_out(held, encoder, &dataset)?;
        let ending = agent.actor_critic(&rows, &held, &mut trainer)?;
        Ok((trainer.counters, ending))
    }

    /// A control: goes on cloning, with the hyperparameters of offline actor-critic, what its algorithm selects.
    pub(crate) fn control(&self, demonstrated: &AgentRows) -> Result<(Counters, Ending)> {
        let agent = self.model(self.name, &self.directory(), &demonstrated.rows)?;
        let mut trainer = agent.trainer()?;
        let config = agent.offline_config();
        let mut own: Vec<Row> = Vec::new();
        let mut chosen = 0;
        if self.agent.algo != Algo::MoreBc {
            let Some(collected) = self.collected(&trainer)? else {
                return Ok((trainer.counters, Ending::Interrupted));
            };
            let (learnt, _) = self.divided(&collected);
            let selected = match self.agent.algo {
                Algo::TopBc => best_quarter(&learnt, config.samples),
                _ => learnt.into_iter().filter(|episode| episode.won).collect(),
            };
            chosen = selected.len();
            // As the actor of offline actor-critic would see them.
            let dataset = DatasetConfig { duplicates: 1.0, oracle: false, ..self.dataset_config(&config)? };
            let found = offline::dataset([], selected, &*self.material.encoder, &dataset)?;
            own = found.rows.into_iter().map(|row| row.row).collect();
        }
        let demonstrations = self.drawn();
        let reader = Rows { duplicates: 1.0, prompt_loss: 0.0, ..self.reader() };
        let mut rows = reader.collect(&demonstrations, &[], self.material.env.expert()?)?.rows;
        rows.extend(own);
        let mut rows = merge(rows);
        temper(&mut rows, config.duplicates);
        self.run.reporter.note(&format!(
            "{}: {} demonstrations, {chosen} collected episodes; {} distinct samples",
            self.name,
            demonstrations.len(),
            rows.len()
        ));
        let ending = agent.clone_behaviour(&rows, self.agent.budget, &mut trainer)?;
        Ok((trainer.counters, ending))
    }

    /// Returns the episodes that the initial policy played; agents with the same initial policy share them. `None` if the caller asked
    /// to stop.
    fn collected(&self, trainer: &Trainer) -> Result<Option<Vec<Episode>>> {
        let OfflineConfig { tasks, games, samples, collect_temperature, .. } =
            &self.run.config.algo.offline_ac;
        let source = self.agent.from.as_deref().unwrap_or(self.name);
        let own = self.directory().join(COLLECTED);
        let path = if own.exists() { own } else { self.run.directory.agent(source).join(COLLECTED) };
        let play = Play {
            tasks: tasks.as_deref(),
            games: *games,
            samples: *samples,
            temperature: *collect_temperature,
        };
        self.kept_or_played(&path, 0, trainer, || self.play_round(0, play, trainer))
    }

    /// Divides the collected episodes into those to learn from and the held-out ones.
    fn divided<'e>(&self, collected: &'e [Episode]) -> (Vec<&'e Episode>, Vec<&'e Episode>) {
        offline::divide(collected, self.run.config.algo.offline_ac.held_out, self.run.config.seed)
    }

    /// Returns the demonstrations that stand beside the collected episodes.
    fn drawn(&self) -> Cow<'_, [Episode]> {
        let count = self.run.config.algo.offline_ac.demonstrations;
        if count == 0 {
            return Cow::Borrowed(self.material.demonstrations);
        }
        let drawn = offline::draw(self.material.demonstrations, count, self.run.config.seed);
        Cow::Owned(drawn.into_iter().cloned().collect())
    }

    fn dataset_config(&self, config: &OfflineConfig) -> Result<DatasetConfig<'_>> {
        let &OfflineConfig { profile, truncation, intrinsic, duplicates, .. } = config;
        let verified = intrinsic == Intrinsic::Verified;
        let expert = if verified { Some(self.material.env.expert()?) } else { None };
        Ok(DatasetConfig {
            agent: self.agent.spec(),
            progress: self.agent.progress,
            labels: Labels { profile, truncation, intrinsic, expert },
            rules: config.rules(),
            duplicates,
            oracle: config.actor_mode == ActorMode::Oracle,
            context: self.material.initial.context(self.run.config) as usize,
        })
    }
}

fn solved(episodes: &[Episode]) -> usize {
    episodes.iter().filter(|episode| episode.won).count()
}

/// Returns the best quarter of the episodes of each task, rounded up, in the order of `episodes`: those with the largest return, of
/// equal ones the shorter. Tasks that were played fewer than four times have no quarters: then kinds of tasks take their place.
fn best_quarter<'e>(episodes: &[&'e Episode], samples: u64) -> Vec<&'e Episode> {
    let mut groups: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for (index, episode) in episodes.iter().enumerate() {
        let group = if samples >= 4 { episode.task.to_string() } else { episode.start.family.clone() };
        groups.entry(group).or_default().push(index);
    }
    let mut kept = Vec::new();
    for mut members in groups.into_values() {
        let order = |a: &usize, b: &usize| {
            let (a, b) = (episodes[*a], episodes[*b]);
            b.score.total_cmp(&a.score).then(a.len().cmp(&b.len()))
        };
        members.sort_by(order);
        members.truncate(members.len().div_ceil(4));
        kept.extend(members);
    }
    kept.sort_unstable();
    kept.into_iter().map(|index| episodes[index]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use stepladder_core::TaskKey;

    #[test]
    fn the_best_quarter_of_each_task_is_kept() {
        let line = include_str!("../../stepladder-core/tests/trace-v1.jsonl");
        let episode = stepladder_core::trace::read(line.as_bytes()).next().unwrap().unwrap();
        let of = |task: &str, family: &str, score: f64, seed: u64, steps: usize| {
            let mut one =
                Episode { task: TaskKey::new("toy", "train", task), score, seed, ..episode.clone() };
            one.start.family = family.to_owned();
            one.subtasks.iter_mut().for_each(|subtask| subtask.steps.truncate(steps));
            one
        };
        let all = [
            of("a", "x", 0.0, 0, 2),
            of("a", "x", 1.0, 1, 2),
            of("a", "x", 1.0, 2, 1),
            of("a", "x", 0.5, 3, 1),
            of("b", "x", 0.0, 4, 2),
            of("b", "x", 0.25, 5, 2),
            of("b", "y", -1.0, 6, 2),
            of("b", "y", 0.25, 7, 2),
            of("b", "y", 0.25, 8, 2),
        ];
        let all: Vec<&Episode> = all.iter().collect();
        let seeds = |samples| best_quarter(&all, samples).iter().map(|one| one.seed).collect::<Vec<_>>();
        // One of four episodes of a, two of five of b; equal ones in the order of play.
        assert_eq!(seeds(4), [2, 5, 7]);
        // By kind: two of six of x, one of three of y.
        assert_eq!(seeds(1), [1, 2, 7]);
    }
}
