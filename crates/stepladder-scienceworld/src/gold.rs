//! Cache of the simulator's gold paths on disk. Generating one takes a second or more.

use std::collections::HashMap;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use fs_err as fs;
use serde::{Deserialize, Serialize};

use crate::failure::Failure;
use crate::java;
use crate::named::Named;
use crate::pool::{Pool, lock};

/// Version of the file format.
pub const VERSION: u32 = 1;

/// First line of a file.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Header {
    stepladder_gold_paths: u32,
    simulator: String,
    simplification: String,
}

/// Gold path of one task, or the message of the exception that the simulator threw.
#[derive(Debug, Serialize, Deserialize)]
struct Line {
    task: String,
    variation: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    gold: Option<Vec<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

type Known = HashMap<(String, u32), Result<Vec<String>, String>>;

/// Cache of gold paths; missing ones are generated on request.
///
/// There is one file per simplification, in the directory of the simulator, or in the user's cache directory
/// if that is not writable. Each path is appended as soon as it is known, so an interrupted [`Self::fill`]
/// resumes where it stopped. Several processes may append to one file.
#[derive(Debug)]
pub struct Cache {
    pool: Pool,
    places: Vec<PathBuf>,
    /// Known gold paths by simplification.
    known: Mutex<HashMap<String, Known>>,
    writing: Mutex<()>,
}

impl Cache {
    /// Creates a cache for a pool's simulator in the default directories.
    pub fn new(pool: &Pool) -> Self {
        let read = |name: &str| java::variable(name).map(PathBuf::from);
        let home = read("XDG_CACHE_HOME").or_else(|| Some(read("HOME")?.join(".cache")));
        let version = pool.jar().version();
        let of_user = home.map(|home| home.join("stepladder/scienceworld").join(version));
        Self::at(pool, [pool.jar().directory().to_owned()].into_iter().chain(of_user).collect())
    }

    /// Creates a cache in the given directories. All are read; the first writable one is written.
    pub fn at(pool: &Pool, places: Vec<PathBuf>) -> Self {
        Self { pool: pool.clone(), places, known: Mutex::default(), writing: Mutex::default() }
    }

    /// Returns the gold path of a task, generated if it is not known.
    ///
    /// # Errors
    /// [`Failure`] if it cannot be generated. An unwritable file is not an error: the path is then kept in
    /// memory only.
    pub fn get(&self, task: &Named) -> Result<Vec<String>, Failure> {
        if let Some(known) = self.known(task) {
            return known.map_err(Failure::Simulator);
        }
        let found = match self.pool.gold(task.task.name, task.variation, &task.simplification) {
            Ok(gold) => Ok(gold),
            // Exceptions are cached too, since the simulator would throw the same again.
            Err(Failure::Simulator(what)) => Err(what),
            Err(failure) => return Err(failure),
        };
        self.add(task, &found);
        found.map_err(Failure::Simulator)
    }

    /// Generates all missing gold paths on all JVMs in parallel. Calls `report` with the number of known
    /// paths.
    ///
    /// # Errors
    /// [`Failure`] of a JVM. Tasks for which the simulator throws ([`Failure::Simulator`]) count as known.
    pub fn fill(&self, tasks: &[Named], report: &(dyn Fn(usize) + Sync)) -> Result<(), Failure> {
        let missing: Vec<&Named> = tasks.iter().filter(|task| self.known(task).is_none()).collect();
        let done = AtomicUsize::new(tasks.len() - missing.len());
        let next = AtomicUsize::new(0);
        report(done.load(Ordering::Relaxed));
        let work = || {
            while let Some(task) = missing.get(next.fetch_add(1, Ordering::Relaxed)) {
                match self.get(task) {
                    Ok(_) | Err(Failure::Simulator(_)) => report(done.fetch_add(1, Ordering::Relaxed) + 1),
                    Err(failure) => {
                        next.store(missing.len(), Ordering::Relaxed);
                        return Err(failure);
                    }
                }
            }
            Ok(())
        };
        std::thread::scope(|scope| {
            let threads: Vec<_> = (0..self.pool.jvms()).map(|_| scope.spawn(work)).collect();
            let lost = |_| Err(Failure::Broken("a thread that generates gold paths panicked".to_owned()));
            threads.into_iter().try_for_each(|thread| thread.join().unwrap_or_else(lost))
        })
    }

    fn known(&self, task: &Named) -> Option<Result<Vec<String>, String>> {
        let mut known = lock(&self.known);
        let of_kind =
            known.entry(task.simplification.clone()).or_insert_with(|| self.read(&task.simplification));
        of_kind.get(&(task.task.name.to_owned(), task.variation)).cloned()
    }

    fn header(&self, simplification: &str) -> Header {
        Header {
            stepladder_gold_paths: VERSION,
            simulator: self.pool.jar().version().to_owned(),
            simplification: simplification.to_owned(),
        }
    }

    fn file(place: &Path, simplification: &str) -> PathBuf {
        let name =
            if simplification.is_empty() { "none".to_owned() } else { simplification.replace(',', "+") };
        place.join(format!("gold-{name}.jsonl"))
    }

    /// Reads the files of all directories. Files of another version are ignored, and so are truncated lines,
    /// whose paths are generated again.
    fn read(&self, simplification: &str) -> Known {
        let mut known = Known::new();
        for place in &self.places {
            let Ok(text) = fs::read_to_string(Self::file(place, simplification)) else { continue };
            let mut lines = text.lines();
            let header = lines.next().and_then(|line| serde_json::from_str::<Header>(line).ok());
            if header != Some(self.header(simplification)) {
                continue;
            }
            for line in lines.filter_map(|line| serde_json::from_str::<Line>(line).ok()) {
                let found = match (line.gold, line.error) {
                    (Some(gold), _) => Ok(gold),
                    (None, Some(error)) => Err(error),
                    (None, None) => continue,
                };
                known.insert((line.task, line.variation), found);
            }
        }
        known
    }

    fn add(&self, task: &Named, found: &Result<Vec<String>, String>) {
        let line = Line {
            task: task.task.name.to_owned(),
            variation: task.variation,
            gold: found.as_ref().ok().cloned(),
            error: found.as_ref().err().cloned(),
        };
        {
            let _one_at_a_time = lock(&self.writing);
            let _ = self.places.iter().any(|place| self.append(place, &task.simplification, &line).is_ok());
        }
        let mut known = lock(&self.known);
        known
            .entry(task.simplification.clone())
            .or_default()
            .insert((line.task, line.variation), found.clone());
    }

    fn append(&self, place: &Path, simplification: &str, line: &Line) -> io::Result<()> {
        let path = Self::file(place, simplification);
        let header = serde_json::to_string(&self.header(simplification))? + "\n";
        fs::create_dir_all(place)?;
        let ours = fs::File::open(&path).is_ok_and(|file| {
            let mut first = String::new();
            let read = file.take(header.len() as u64).read_to_string(&mut first);
            read.is_ok() && first == header
        });
        if !ours {
            // No file yet, or one of another version. Renaming replaces it atomically.
            let new = path.with_extension(format!("partial-{}", std::process::id()));
            fs::write(&new, header)?;
            fs::rename(&new, &path)?;
        }
        let mut file = fs::OpenOptions::new().read(true).append(true).open(&path)?;
        let mut text = serde_json::to_string(line)? + "\n";
        let mut last = [0];
        file.seek(SeekFrom::End(-1))?;
        file.read_exact(&mut last)?;
        if last != *b"\n" {
            // The previous writer was killed within a line.
            text.insert(0, '\n');
        }
        file.write_all(text.as_bytes())
    }
}
