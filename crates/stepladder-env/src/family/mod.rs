//! Environment families: one static per environment that describes everything a program may ask of it.
//!
//! An environment crate exports `pub static FAMILY: Family`; a program holds a list of families and asks them. A capability
//! that a family lacks is `None`, and the accessor of the same name turns that into one error: no family answers with the
//! defaults of another one.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use stepladder_core::codec::Codec;
use stepladder_core::label::{Expert, Perturb, Segmenter};
use stepladder_core::seed::Rng;
use stepladder_core::trace::Episode;

use crate::contract::{EnvError, EnvSpec, TaskSet};
use crate::transcript::Report;

pub mod data;
pub mod options;
pub mod reachable;

pub use data::{Archive, ArchiveFile, DataSet};
pub use options::{OptionSpec, Options, Reader, Values};
pub use reachable::{Reachable, ReachableRequest};

/// Augmentation: a copy of an episode in which things carry other names, drawn from the stream.
pub type Rename = fn(&Episode, &mut Rng) -> Episode;

/// Reads the name of a split.
pub type ReadSplit = fn(&str) -> Result<(), EnvError>;
/// Opens the tasks below a data root.
pub type Open = fn(Option<&Path>, &Options) -> Result<Box<dyn TaskSet>, EnvError>;
/// Measures the speed.
pub type Bench = fn(&BenchRequest<'_>) -> Result<Measured, EnvError>;
/// Replays recorded episodes of the original.
pub type Verify = fn(&VerifyRequest<'_>) -> Result<Report, EnvError>;
/// Counts the tasks of a split that can be solved.
pub type CountReachable = fn(&ReachableRequest<'_>) -> Result<Reachable, EnvError>;
/// Writes new tasks as files; returns a summary of one line.
pub type Generate = fn(&GenerateRequest<'_>) -> Result<String, EnvError>;
/// Compares the distribution of generated tasks with that of official ones below a data root; returns a table.
pub type Compare = fn(Option<&Path>, &Options) -> Result<String, EnvError>;

/// Description of one environment.
///
/// ```
/// use std::sync::Arc;
/// use stepladder_core::{TaskKey, codec::Plain};
/// use stepladder_env::{Env, EnvError, EnvSpec, Family, TaskSet};
///
/// static SPEC: EnvSpec = EnvSpec {
///     id: "toy", summary: "a toy", version: 1, upstream: "none", data_licence: "none needed", splits: &["train"],
///     max_steps: 10, reward_range: (0.0, 1.0), score_range: None, deterministic: true,
/// };
/// /// A list of tasks without a simulator.
/// struct Tasks;
/// impl TaskSet for Tasks {
///     fn spec(&self) -> &EnvSpec {
///         &SPEC
///     }
///     fn tasks(&self, split: &str) -> Result<Vec<TaskKey>, EnvError> {
///         SPEC.known_split(split).map(|()| vec![TaskKey::new("toy", split, "0")])
///     }
///     fn make(&self) -> Result<Box<dyn Env>, EnvError> {
///         Err(EnvError::Backend { env: "toy", reason: "there is no simulator".to_owned() })
///     }
/// }
/// static FAMILY: Family = Family::new(&SPEC, |_root, _options| Ok(Box::new(Tasks)), || Arc::new(Plain));
///
/// assert_eq!(FAMILY.expert().err().unwrap().to_string(), "toy has no expert");
/// assert!(FAMILY.known_split("train").is_ok() && FAMILY.known_split("test").is_err());
/// ```
pub struct Family {
    /// Facts that need no data.
    pub spec: &'static EnvSpec,
    /// Reads the name of a split that `spec` may not list; without it the listed splits are all there are.
    pub splits: Option<ReadSplit>,
    /// Options that commands and configurations may set.
    pub options: &'static [OptionSpec],
    /// Opens the tasks; the data root is read only when it is needed.
    pub open: Open,
    /// Compact encoding of the texts for word-level models.
    pub codec: fn() -> Arc<dyn Codec>,
    /// Rule-based expert.
    pub expert: Option<fn() -> Box<dyn Expert>>,
    /// Demonstrator of mixed quality: solves part of the tasks, by detours.
    pub careless: Option<fn() -> Box<dyn Expert>>,
    /// Demonstrator that issues random valid sub-goals and carries them out; the number selects them.
    pub wanderer: Option<fn(u64) -> Box<dyn Expert>>,
    /// Source of wrong actions for noisy demonstrations.
    pub noise: Option<fn() -> Box<dyn Perturb>>,
    /// Cuts the recorded solutions of tasks into subtasks.
    pub segmenter: Option<fn() -> Box<dyn Segmenter>>,
    /// Renaming as augmentation of demonstrations.
    pub augment: Option<Rename>,
    /// Measures the speed.
    pub bench: Option<Bench>,
    /// Replays recorded episodes of the original.
    pub verify: Option<Verify>,
    /// Counts the tasks of a split that can be solved.
    pub reachable: Option<CountReachable>,
    /// Writes new tasks as files.
    pub generate: Option<Generate>,
    /// Compares generated tasks with official ones.
    pub report: Option<Compare>,
    /// Its environments are driven by child processes, which a fork of this process does not copy.
    pub child_processes: bool,
    /// Official data sets that the environment reads.
    pub data: &'static [DataSet],
}

/// Request of `env bench`.
#[derive(Debug)]
pub struct BenchRequest<'a> {
    /// Split to play; none for the family's own choice.
    pub split: Option<&'a str>,
    /// Steps to play; none for the family's own choice.
    pub steps: Option<u64>,
    /// Seed of the random policy.
    pub seed: u64,
    /// Data root.
    pub data_root: Option<&'a Path>,
    /// Options of the family.
    pub options: &'a Options,
}

/// Result of a benchmark.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Measured {
    /// One JSON object.
    pub json: String,
    /// One line for people.
    pub summary: String,
}

/// Request of `env verify`.
#[derive(Debug)]
pub struct VerifyRequest<'a> {
    /// Transcripts (`.jsonl`, `.jsonl.zst`).
    pub transcripts: &'a [PathBuf],
    /// Data root.
    pub data_root: Option<&'a Path>,
    /// Options of the family.
    pub options: &'a Options,
}

/// Request of `env generate`.
#[derive(Debug)]
pub struct GenerateRequest<'a> {
    /// Split whose tasks are drawn.
    pub split: &'a str,
    /// Number of tasks.
    pub count: u64,
    /// First seed.
    pub seed: u64,
    /// Directory to write to.
    pub output: &'a Path,
    /// Options of the family.
    pub options: &'a Options,
}

impl GenerateRequest<'_> {
    /// One past the last seed.
    ///
    /// # Errors
    /// [`EnvError::Usage`] if that is no number of 64 bits.
    pub fn end(&self) -> Result<u64, EnvError> {
        let end = self.seed.checked_add(self.count);
        end.ok_or_else(|| EnvError::Usage("--seed plus --count is too large".to_owned()))
    }
}

impl Family {
    /// A family without optional capabilities; others are set by struct update, `Family { expert: …, ..Family::new(…) }`.
    pub const fn new(spec: &'static EnvSpec, open: Open, codec: fn() -> Arc<dyn Codec>) -> Self {
        Self {
            spec,
            splits: None,
            options: &[],
            open,
            codec,
            expert: None,
            careless: None,
            wanderer: None,
            noise: None,
            segmenter: None,
            augment: None,
            bench: None,
            verify: None,
            reachable: None,
            generate: None,
            report: None,
            child_processes: false,
            data: &[],
        }
    }

    /// Checks the name of a split without data.
    ///
    /// # Errors
    /// [`EnvError::UnknownSplit`].
    pub fn known_split(&self, split: &str) -> Result<(), EnvError> {
        match self.splits {
            Some(read) => read(split),
            None => self.spec.known_split(split),
        }
    }

    /// Options for a reader, from `key=value` pairs.
    ///
    /// # Errors
    /// [`EnvError::Usage`] for an option that the family or the reader lacks, or a value that the option does not take.
    pub fn options<'a>(
        &self,
        reader: Reader,
        pairs: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<Options, EnvError> {
        Options::read(self.spec.id, self.options, reader, pairs)
    }

    /// Opens the tasks.
    ///
    /// # Errors
    /// As the family's `open`.
    pub fn open(&self, data_root: Option<&Path>, options: &Options) -> Result<Box<dyn TaskSet>, EnvError> {
        (self.open)(data_root, options)
    }

    /// The rule-based expert.
    ///
    /// # Errors
    /// [`EnvError::Usage`] without one.
    pub fn expert(&self) -> Result<Box<dyn Expert>, EnvError> {
        self.expert.map(|make| make()).ok_or_else(|| self.lacks("expert"))
    }

    /// The demonstrator of mixed quality.
    ///
    /// # Errors
    /// [`EnvError::Usage`] without one.
    pub fn careless(&self) -> Result<Box<dyn Expert>, EnvError> {
        self.careless.map(|make| make()).ok_or_else(|| self.lacks("careless demonstrator"))
    }

    /// The demonstrator of random valid sub-goals; another number selects other ones.
    ///
    /// # Errors
    /// [`EnvError::Usage`] without one.
    pub fn wanderer(&self, number: u64) -> Result<Box<dyn Expert>, EnvError> {
        self.wanderer.map(|make| make(number)).ok_or_else(|| self.lacks("random sub-goals"))
    }

    /// The source of wrong actions.
    ///
    /// # Errors
    /// [`EnvError::Usage`] without one.
    pub fn noise(&self) -> Result<Box<dyn Perturb>, EnvError> {
        self.noise.map(|make| make()).ok_or_else(|| self.lacks("noise: no wrong actions to play"))
    }

    /// The segmenter of recorded solutions.
    ///
    /// # Errors
    /// [`EnvError::Usage`] without one.
    pub fn segmenter(&self) -> Result<Box<dyn Segmenter>, EnvError> {
        self.segmenter.map(|make| make()).ok_or_else(|| self.lacks("segmenter"))
    }

    /// The augmentation of demonstrations.
    ///
    /// # Errors
    /// [`EnvError::Usage`] without one.
    pub fn augment(&self) -> Result<Rename, EnvError> {
        self.augment.ok_or_else(|| self.lacks("augmentation: its things cannot be renamed"))
    }

    /// Measures the speed.
    ///
    /// # Errors
    /// [`EnvError::Usage`] without a benchmark, and the errors of the benchmark.
    pub fn bench(&self, request: &BenchRequest<'_>) -> Result<Measured, EnvError> {
        self.bench.ok_or_else(|| self.lacks("benchmark"))?(request)
    }

    /// Replays recorded episodes of the original.
    ///
    /// # Errors
    /// [`EnvError::Usage`] if the family cannot, [`EnvError::Data`] and [`EnvError::Backend`] of the replay.
    pub fn verify(&self, request: &VerifyRequest<'_>) -> Result<Report, EnvError> {
        let replay = self.verify.ok_or_else(|| self.lacks("recorded episodes to compare with"))?;
        Ok(Report { env: self.spec.id.to_owned(), ..replay(request)? })
    }

    /// Counts the tasks of a split that can be solved.
    ///
    /// # Errors
    /// [`EnvError::Usage`] if the family cannot, [`EnvError::UnknownSplit`], and the errors of the tasks.
    pub fn reachable(&self, request: &ReachableRequest<'_>) -> Result<Reachable, EnvError> {
        let count = self.reachable.ok_or_else(|| self.lacks("check of which tasks can be solved"))?;
        self.known_split(request.split)?;
        Ok(Reachable { env: self.spec.id.to_owned(), split: request.split.to_owned(), ..count(request)? })
    }

    /// Writes new tasks as files.
    ///
    /// # Errors
    /// [`EnvError::Usage`] if the family cannot, and the errors of the generator.
    pub fn generate(&self, request: &GenerateRequest<'_>) -> Result<String, EnvError> {
        self.generate.ok_or_else(|| self.lacks("generator"))?(request)
    }

    /// Compares generated tasks with official ones.
    ///
    /// # Errors
    /// [`EnvError::Usage`] if the family cannot, and the errors of the comparison.
    pub fn report(&self, data_root: Option<&Path>, options: &Options) -> Result<String, EnvError> {
        self.report.ok_or_else(|| self.lacks("report of its distribution"))?(data_root, options)
    }

    fn lacks(&self, capability: &str) -> EnvError {
        EnvError::Usage(format!("{} has no {capability}", self.spec.id))
    }
}

impl std::fmt::Debug for Family {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Family").field("id", &self.spec.id).finish_non_exhaustive()
    }
}

/// Families are equal if they describe the same environment.
impl PartialEq for Family {
    fn eq(&self, other: &Self) -> bool {
        self.spec.id == other.spec.id
    }
}

impl Eq for Family {}

#[cfg(test)]
mod tests {
    use super::*;
    use stepladder_core::codec::Plain;

    static SPEC: EnvSpec = EnvSpec {
        id: "toy",
        summary: "",
        version: 1,
        upstream: "",
        data_licence: "",
        splits: &["train", "dev"],
        max_steps: 1,
        reward_range: (0.0, 1.0),
        score_range: None,
        deterministic: true,
    };

    static BARE: Family =
        Family::new(&SPEC, |_, _| Err(EnvError::Usage("opened".to_owned())), || Arc::new(Plain));

    #[test]
    fn an_absent_capability_is_an_error_that_names_the_environment() {
        let options = BARE.options(Reader::Bench, []).unwrap();
        let bench = BenchRequest { split: None, steps: None, seed: 0, data_root: None, options: &options };
        let verify = VerifyRequest { transcripts: &[], data_root: None, options: &options };
        let reachable = ReachableRequest { split: "train", data_root: None, options: &options };
        let generate =
            GenerateRequest { split: "train", count: 1, seed: 0, output: Path::new("x"), options: &options };
        let said = [
            BARE.expert().err(),
            BARE.careless().err(),
            BARE.wanderer(0).err(),
            BARE.noise().err(),
            BARE.segmenter().err(),
            BARE.augment().err(),
            BARE.bench(&bench).err(),
            BARE.verify(&verify).err(),
            BARE.reachable(&reachable).err(),
            BARE.generate(&generate).err(),
            BARE.report(None, &options).err(),
        ]
        .map(|error| error.unwrap().to_string());
        assert_eq!(
            said,
            [
                "toy has no expert",
                "toy has no careless demonstrator",
                "toy has no random sub-goals",
                "toy has no noise: no wrong actions to play",
                "toy has no segmenter",
                "toy has no augmentation: its things cannot be renamed",
                "toy has no benchmark",
                "toy has no recorded episodes to compare with",
                "toy has no check of which tasks can be solved",
                "toy has no generator",
                "toy has no report of its distribution",
            ]
        );
        assert_eq!(BARE.open(None, &options).err().unwrap().to_string(), "opened");
        let far = GenerateRequest { seed: u64::MAX, ..generate };
        assert_eq!(far.end().unwrap_err().to_string(), "--seed plus --count is too large");
    }

    #[test]
    fn splits_are_those_of_the_spec_unless_the_family_reads_them() {
        let error = BARE.known_split("test").unwrap_err().to_string();
        assert_eq!(error, "toy has no split `test`; it has train, dev");
        let any = Family { splits: Some(|_| Ok(())), ..Family::new(&SPEC, BARE.open, BARE.codec) };
        assert!(any.known_split("test").is_ok());
    }
}
