//! Validation of the names in a configuration: environments, splits, agents. Needs no data.

use stepladder_env::{EnvError, Family, Reader};

use super::{Config, Findings};
use crate::config::Demonstrator;
use stepladder_env::names::{nearest, shorten};

/// Reserved names, in any case: agents are directories of a run and rows of its table.
const TAKEN: [(&str, &str); 2] =
    [("lock", "a run directory has a file of this name"), ("expert", "tables have a row of this name")];

/// File systems allow 255 bytes; tables should stay readable.
const LONGEST_NAME: usize = 64;

impl Findings<'_> {
    /// Checks the environment of the run, its splits, and further splits that are played.
    pub(super) fn names(&mut self, config: &Config) {
        let id = &config.env.id;
        let Ok(family) = stepladder_families::named(id) else {
            let ids = stepladder_families::ids();
            return self.unless(false, "env.id", quoted(id), &one_of("known are", &ids.join(", "), id, ids));
        };
        self.capabilities(config, family);
        self.split("data.split", family, &config.data.split, quoted(&config.data.split));
        if let Some(split) = &config.data.practice {
            self.split("data.practice", family, split, quoted(split));
        }
        self.split("eval.split", family, &config.eval.split, quoted(&config.eval.split));
        if let Some(split) = &config.eval.r#final {
            self.split("eval.final", family, split, quoted(split));
            self.is_final(config, split);
        }
        for entry in &config.eval.transfer {
            let value = format!("a list with {}", quoted(entry));
            self.target("eval.transfer", family, entry, value, "alfworld/valid_seen");
        }
        for (algo, tasks) in config.tasks() {
            self.target(&format!("algo.{algo}.tasks"), family, tasks, quoted(tasks), "household/train");
        }
    }

    /// Checks that the final split is used for nothing else.
    fn is_final(&mut self, config: &Config, split: &str) {
        let target = format!("{}/{split}", config.env.id);
        let mut used: Vec<&str> = Vec::new();
        let own =
            [("data.split", Some(&config.data.split)), ("data.practice", config.data.practice.as_ref())];
        let own = own.into_iter().chain([("eval.split", Some(&config.eval.split))]);
        used.extend(own.filter(|(_, other)| other.is_some_and(|other| other == split)).map(|(key, _)| key));
        used.extend(config.eval.transfer.contains(&target).then_some("eval.transfer"));
        used.extend(config.tasks().any(|(_, tasks)| tasks == target).then_some("the tasks of an algorithm"));
        let allowed = format!("it must be a split that nothing else uses, but it is in {}", used.join(", "));
        self.unless(used.is_empty(), "eval.final", quoted(split), &allowed);
    }

    /// Checks the options of the environment, and the capabilities that the demonstrations need.
    fn capabilities(&mut self, config: &Config, family: &Family) {
        for (key, value) in config.env.options() {
            if let Err(error) = family.options(Reader::Play, [(&*key, &*value)]) {
                let entry = format!("{key}={value}");
                match config.env.options.iter().any(|given| *given == entry || *given == key) {
                    true => {
                        let value = format!("a list with {}", quoted(&entry));
                        self.unless(false, "env.options", value, &error.to_string());
                    }
                    false => self.unless(false, &format!("env.{key}"), value, &error.to_string()),
                }
            }
        }
        let data = &config.data;
        if data.renamed > 0
            && let Err(error) = family.augment()
        {
            self.unless(false, "data.renamed", data.renamed, &error.to_string());
        }
        if !self.new {
            return;
        }
        if let Err(error) = family.expert() {
            self.unless(false, "env.id", quoted(&config.env.id), &format!("{error} to play demonstrations"));
        }
        if data.demonstrator == Demonstrator::Careless
            && let Err(error) = family.careless()
        {
            self.unless(false, "data.demonstrator", "\"careless\"", &error.to_string());
        }
        if data.wander > 0
            && let Err(error) = family.wanderer(0)
        {
            self.unless(false, "data.wander", data.wander, &error.to_string());
        }
        let noisy = data.noise > 0.0 && (data.noisy_passes > 0 || data.practice.is_some());
        if noisy && let Err(error) = family.noise() {
            self.unless(false, "data.noise", data.noise, &error.to_string());
        }
    }

    fn split(&mut self, key: &str, family: &Family, split: &str, value: String) {
        let Err(error) = family.known_split(split) else { return };
        let spec = family.spec;
        let known = match error {
            EnvError::UnknownSplit { known, .. } => known,
            _ => spec.split_list(),
        };
        let allowed = one_of(&format!("{} has", spec.id), &known, split, spec.splits.iter().copied());
        self.unless(false, key, value, &allowed);
    }

    /// Checks an `ENV/SPLIT` that agents of the run play.
    fn target(&mut self, key: &str, run: &Family, target: &str, value: String, example: &str) {
        let pair = target.split_once('/').filter(|(id, split)| !id.is_empty() && !split.is_empty());
        let Some((id, split)) = pair.filter(|(_, split)| !split.contains('/')) else {
            let allowed = format!("expected ENV/SPLIT, for example {example}");
            return self.unless(false, key, value, &allowed);
        };
        let Ok(family) = stepladder_families::named(id) else {
            let ids = stepladder_families::ids();
            return self.unless(
                false,
                key,
                value,
                &one_of("known environments are", &ids.join(", "), id, ids),
            );
        };
        let alike = (family.codec)().id() == (run.codec)().id();
        let allowed = format!(
            "agents of {} cannot play it: prompts of {} are of another style",
            run.spec.id, family.spec.id
        );
        self.unless(alike, key, value.clone(), &allowed);
        self.split(key, family, split, value);
    }

    /// Checks names of agents, which become directories.
    pub(super) fn agent_names(&mut self, config: &Config) {
        let mut before: Vec<&str> = Vec::new();
        for name in config.agents.keys() {
            let mut wrong = |reason: String| {
                self.sentences.push(format!("[agents.{}]: {reason}; choose another name", shorten(name)));
            };
            if let Some((_, why)) = TAKEN.iter().find(|(taken, _)| name.eq_ignore_ascii_case(taken)) {
                wrong((*why).to_owned());
            }
            if let Some(twin) = before.iter().find(|other| name.eq_ignore_ascii_case(other)) {
                wrong(format!(
                    "[agents.{twin}] differs in case alone, which not every file system can tell apart"
                ));
            }
            if name.len() > LONGEST_NAME {
                wrong(format!("the name has {} characters, and may have {LONGEST_NAME}", name.len()));
            }
            if name.starts_with('-') {
                wrong("on the command line it would be an option".to_owned());
            }
            before.push(name);
        }
    }
}

fn quoted(name: &str) -> String {
    format!("{:?}", shorten(name))
}

/// Renders the allowed names and a suggestion.
fn one_of<'a>(lead: &str, list: &str, name: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    let meant = nearest(name, known).map(|name| format!("; did you mean {name}?")).unwrap_or_default();
    format!("{lead} {list}{meant}")
}
