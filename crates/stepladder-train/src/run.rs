//! A run: a directory in which a configuration is trained and evaluated, to the end or until it is stopped.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use stepladder_env::clock::unix_seconds;
use stepladder_model::{Device, GeneratorSource, device, version};

use crate::choice::Choice;
use crate::config::{self, Config, Loaded};
use crate::directory::{RunDir, RunInfo, commit};
use crate::envs;
use crate::error::Result;
use crate::generators;
use crate::memory;
use crate::report::Reporter;
pub use crate::session::RunEnding;
use crate::session::Session;
use crate::taken::{self, Source};
use crate::training::check_data;
use crate::tuning;
use crate::unchanged::{check_settings, settings};
use crate::workers;

/// Directories and device of a run.
#[derive(Debug, Clone, Copy, Default)]
pub struct Place<'a> {
    /// Directory of a new run; `None` takes `runs/NAME-1` or the first free number.
    pub directory: Option<&'a Path>,
    /// Directory of data sets, for the environments that need one.
    pub data_root: Option<&'a Path>,
    /// Run whose finished cloned agents a new run takes over in place of training them (docs/reference/cli.md, `train --take`).
    pub take: Option<&'a Path>,
    /// `cpu` or `cuda[:N]`; `None` takes the CPU, or the former device of a resumed run.
    pub device: Option<&'a str>,
}

/// Loads a configuration as [`config::load`]; where the data of its environment are absent, the preset that it names for this
/// case. Returns the name of what was loaded as well.
///
/// # Errors
/// As [`config::load`].
pub fn load(
    source: &str,
    sets: &[String],
    data_root: Option<&Path>,
    reporter: &dyn Reporter,
) -> Result<(Loaded, String)> {
    let loaded = config::load(source, sets)?;
    let Some(other) = &loaded.without_data else { return Ok((loaded, source.to_owned())) };
    match envs::open_for(&loaded.config, &loaded.config.env.id, data_root) {
        Ok(_) => Ok((loaded, source.to_owned())),
        Err(reason) => {
            reporter.warn(&format!("{reason}; {other} is trained instead of {source}"));
            Ok((config::load(other, sets)?, other.clone()))
        }
    }
}

/// A run, locked against other processes for the lifetime of this value.
pub struct Run {
    directory: RunDir,
    config: Config,
    choice: Choice,
    data_root: Option<PathBuf>,
    device: Device,
    generators: Arc<dyn GeneratorSource>,
    _lock: fs_err::File,
}

impl fmt::Debug for Run {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { directory, device, .. } = self;
        formatter
            .debug_struct("Run")
            .field("directory", directory)
            .field("device", device)
            .finish_non_exhaustive()
    }
}

impl Run {
    /// Creates a run of a configuration; `preset` is the name that the user gave, for `run.json`.
    ///
    /// # Errors
    /// If the device or required data are absent, memory does not suffice, agents cannot be taken over, or the directory cannot be
    /// written or holds a run already. No run is begun then.
    pub fn start(loaded: &Loaded, preset: &str, place: Place<'_>) -> Result<Self> {
        memory::enough_to_begin()?;
        let name = place.device.unwrap_or("cpu");
        let device = open_device(name)?;
        check_data(&loaded.config, place.data_root)?;
        if let Some(from) = &loaded.config.model.from {
            tuning::check(&tuning::locate(from, place.data_root)?, &loaded.config, device)?;
        } else if device == Device::Cpu {
            memory::enough_to_train(&loaded.config.model.scratch)?;
        }
        let source = place.take.map(|path| Source::open(path, &loaded.config)).transpose()?;
        let info = RunInfo {
            version: RunInfo::VERSION,
            stepladder: env!("CARGO_PKG_VERSION").to_owned(),
            commit: commit().to_owned(),
            libtorch: version::libtorch(),
            preset: preset.to_owned(),
            seed: loaded.config.seed,
            threads: workers(loaded.config.threads),
            device: name.to_owned(),
            subsets: Choice::Sample,
            settings: Some(settings(&loaded.config)),
            started: unix_seconds(),
        };
        let directory = RunDir::create(place.directory, &loaded.name, &loaded.text, &info, |root| {
            taken::clear(root)?;
            source.as_ref().map_or(Ok(()), |source| source.copy(root))
        })?;
        Self::locked(directory, loaded.config.clone(), Choice::Sample, place.data_root, device)
    }

    /// Opens a run to continue it; reports differences from the earlier session.
    ///
    /// # Errors
    /// If `directory` holds no run, its configuration was changed, another process trains it, or the device is absent.
    pub fn resume(
        directory: &Path,
        data_root: Option<&Path>,
        device: Option<&str>,
        reporter: &dyn Reporter,
    ) -> Result<Self> {
        memory::enough_to_begin()?;
        let before = RunDir::open(directory)?.2.device;
        let name = device.unwrap_or(&before);
        if before != name {
            reporter.note(&format!(
                "the run was started on {before} and continues on {name}: its results will differ"
            ));
        }
        let device = open_device(name)?;
        let (directory, config, info) = RunDir::open(directory)?;
        check_settings(&directory, &config, &info)?;
        let threads = workers(config.threads);
        if threads != info.threads {
            reporter.note(&format!(
                "the run was started with {} threads and continues with {threads}: its results will differ in the last bits",
                info.threads
            ));
        }
        Self::locked(directory, config, info.subsets, data_root, device)
    }

    fn locked(
        directory: RunDir,
        config: Config,
        choice: Choice,
        data_root: Option<&Path>,
        device: Device,
    ) -> Result<Self> {
        let lock = directory.lock()?;
        let generators = generators::local(device, workers(config.threads), Some(&config));
        let data_root = data_root.map(Path::to_owned);
        Ok(Self { directory, config, choice, data_root, device, generators, _lock: lock })
    }

    /// Returns its directory.
    pub fn root(&self) -> &Path {
        &self.directory.root
    }

    /// Returns its configuration.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Returns the source of its generators: by default, generators in this process.
    pub fn generators(&self) -> &Arc<dyn GeneratorSource> {
        &self.generators
    }

    /// Sets the source of all its generators, for rollouts and probes in training and for evaluation.
    pub fn with_generators(self, generators: Arc<dyn GeneratorSource>) -> Self {
        Self { generators, ..self }
    }

    /// Completes the run: demonstrations, training and evaluation of every agent, the table. Skips finished work. Setting `stop`
    /// ends it after the current step.
    ///
    /// # Errors
    /// If the demonstrations do not fit the configuration, a file of the run was changed or cannot be written, or training fails.
    pub fn train(&self, reporter: &dyn Reporter, stop: &AtomicBool) -> Result<RunEnding> {
        let session = Session {
            directory: &self.directory,
            config: &self.config,
            choice: self.choice,
            data_root: self.data_root.as_deref(),
            device: self.device,
            bases: self.config.model.bases(),
            generators: &self.generators,
            reporter,
            stop,
        };
        Ok(session.run()?)
    }
}

/// Opens a device with one libtorch thread per worker (docs/design.md D1), since the workers provide the parallelism.
fn open_device(name: &str) -> Result<Device> {
    let opened = device::open(name)?;
    device::one_thread_each();
    Ok(opened)
}
