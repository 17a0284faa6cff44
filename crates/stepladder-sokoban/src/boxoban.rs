//! Level files of boxoban-levels (Boxoban, arXiv:1901.03559): up to 1000 boards of 10 × 10 per file.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use rustc_hash::FxHashMap;
use stepladder_core::TaskKey;
use stepladder_env::EnvError;

use crate::board::{Board, BoardError, Tile};
use crate::env::Level;
use crate::text::from_rows;

/// Directory of the level files below the data root.
pub const DIRECTORY: &str = "boxoban";

/// Splits as (name, folder of the level files, family in result tables).
pub const SPLITS: [(&str, &str, &str); 6] = [
    ("boxoban-unfiltered-train", "unfiltered/train", "boxoban-unfiltered"),
    ("boxoban-unfiltered-valid", "unfiltered/valid", "boxoban-unfiltered"),
    ("boxoban-unfiltered-test", "unfiltered/test", "boxoban-unfiltered"),
    ("boxoban-medium-train", "medium/train", "boxoban-medium"),
    ("boxoban-medium-valid", "medium/valid", "boxoban-medium"),
    ("boxoban-hard", "hard", "boxoban-hard"),
];

/// Capacity of the file cache; the cache is cleared when full.
const KEPT_FILES: usize = 64;

/// Parses the boards of one file, in order. `name` is the file name in error messages.
///
/// # Errors
/// [`EnvError::Data`] with the file and the number of the invalid board.
pub fn parse(name: &Path, text: &str) -> Result<Vec<Board>, EnvError> {
    let mut boards = Vec::new();
    let mut levels = text.split(';');
    // Text before the first semicolon belongs to no board.
    let before = levels.next().unwrap_or_default();
    let data = |reason: String| EnvError::Data { path: name.to_owned(), reason };
    if !before.trim().is_empty() {
        return Err(data("a level file begins with `; 0`".to_owned()));
    }
    for level in levels {
        let mut lines = level.lines();
        let number = lines.next().unwrap_or_default().trim();
        let rows = lines.map(|line| line.trim_end_matches('\r')).filter(|line| !line.is_empty());
        let board = from_rows(rows, |symbol| match symbol {
            '#' => Ok(Some(Tile::Wall)),
            ' ' => Ok(Some(Tile::Floor)),
            '.' => Ok(Some(Tile::Target)),
            '$' => Ok(Some(Tile::Box)),
            '@' => Ok(Some(Tile::Player)),
            '*' => Ok(Some(Tile::BoxOnTarget)),
            '+' => Ok(Some(Tile::PlayerOnTarget)),
            other => Err(BoardError::Unknown(other.to_string())),
        });
        boards.push(board.map_err(|error| data(format!("level {number}: {error}")))?);
    }
    Ok(boards)
}

/// Formats boards as a level file.
///
/// ```
/// use stepladder_sokoban::{Board, boxoban};
/// let board: Board = "#####\n#PXO#\n#####".parse()?;
/// assert_eq!(boxoban::write(&[board]), "; 0\n#####\n#@$.#\n#####\n\n");
/// # Ok::<(), stepladder_sokoban::BoardError>(())
/// ```
pub fn write(boards: &[Board]) -> String {
    let mut text = String::new();
    for (number, board) in boards.iter().enumerate() {
        text.push_str(&format!("; {number}"));
        for (cell, tile) in board.tiles().enumerate() {
            if cell % board.cols() == 0 {
                text.push('\n');
            }
            text.push(match tile {
                Tile::Wall => '#',
                Tile::Floor => ' ',
                Tile::Target => '.',
                Tile::BoxOnTarget => '*',
                Tile::Box => '$',
                Tile::Player => '@',
                Tile::PlayerOnTarget => '+',
            });
        }
        text.push_str("\n\n");
    }
    text
}

/// Level files below a data root, read on first use and cached.
pub(crate) struct Boxoban {
    root: Option<PathBuf>,
    files: Mutex<FxHashMap<PathBuf, Arc<Vec<Board>>>>,
}

impl Boxoban {
    pub(crate) fn new(root: Option<&Path>) -> Self {
        Self { root: root.map(|root| root.join(DIRECTORY)), files: Mutex::default() }
    }

    fn folder(&self, folder: &str) -> Result<PathBuf, EnvError> {
        match &self.root {
            Some(root) => Ok(root.join(folder)),
            None => Err(EnvError::Data {
                path: Path::new(DIRECTORY).join(folder),
                reason: "Boxoban levels need a data root: set STEPLADDER_DATA or pass --data DIR (`stepladder data status` shows where the levels come from)".to_owned(),
            }),
        }
    }

    /// Lists all tasks of a split: `000/17` is level 17 of file `000.txt`, both counted from 0.
    pub(crate) fn tasks(&self, env: &str, split: &str, folder: &str) -> Result<Vec<TaskKey>, EnvError> {
        let folder = self.folder(folder)?;
        let data = |error: std::io::Error| EnvError::Data {
            path: folder.clone(),
            reason: format!(
                "cannot list Boxoban levels: {error} (`stepladder data status` shows where they come from)"
            ),
        };
        let mut names = Vec::new();
        for entry in fs_err::read_dir(&folder).map_err(data)? {
            let name = entry.map_err(data)?.file_name();
            let path = Path::new(&name);
            if path.extension().is_none_or(|extension| extension != "txt") {
                continue;
            }
            let Some(stem) = path.file_stem().and_then(|stem| stem.to_str()) else {
                let reason = "the name of a level file must be UTF-8: rename it".to_owned();
                return Err(EnvError::Data { path: folder.join(path), reason });
            };
            if is_plain(stem) {
                names.push(stem.to_owned());
            }
        }
        names.sort_unstable();
        let mut tasks = Vec::new();
        for name in names {
            let count = self.file(&folder.join(format!("{name}.txt")))?.len();
            tasks.extend((0..count).map(|level| TaskKey::new(env, split, format!("{name}/{level}"))));
        }
        if tasks.is_empty() {
            let reason =
                "this directory has no Boxoban level (`stepladder data status` shows where they come from)";
            return Err(EnvError::Data { path: folder, reason: reason.to_owned() });
        }
        Ok(tasks)
    }

    /// Returns the level of a task of one of [`SPLITS`].
    pub(crate) fn level(
        &self,
        task: &TaskKey,
        folder: &str,
        family: &'static str,
    ) -> Result<Level, EnvError> {
        let unknown = |reason: &str| EnvError::UnknownTask { task: task.clone(), reason: reason.to_owned() };
        let folder = self.folder(folder)?;
        let (name, level) = task
            .id
            .split_once('/')
            .and_then(|(name, level)| Some((name, level.parse::<usize>().ok()?)))
            // Rejects `000/007`, a second name of `000/7`.
            .filter(|(name, level)| is_plain(name) && task.id == format!("{name}/{level}"))
            .ok_or_else(|| unknown("a Boxoban level is named <file>/<number>, for example 000/17"))?;
        let boards = self.file(&folder.join(format!("{name}.txt")))?;
        let board =
            boards.get(level).ok_or_else(|| unknown(&format!("{name}.txt has {} levels", boards.len())))?;
        Ok(Level { board: *board, family })
    }

    fn file(&self, path: &Path) -> Result<Arc<Vec<Board>>, EnvError> {
        if let Some(boards) = self.files().get(path) {
            return Ok(boards.clone());
        }
        let text = fs_err::read_to_string(path).map_err(|error| EnvError::Data {
            path: path.to_owned(),
            reason: format!("cannot read Boxoban levels: {error}"),
        })?;
        let boards = Arc::new(parse(path, &text)?);
        let mut files = self.files();
        if files.len() >= KEPT_FILES {
            files.clear();
        }
        files.insert(path.to_owned(), boards.clone());
        Ok(boards)
    }

    fn files(&self) -> std::sync::MutexGuard<'_, FxHashMap<PathBuf, Arc<Vec<Board>>>> {
        self.files.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether a level file name without `.txt` is safe in a task name: no path may lead out of the folder.
fn is_plain(name: &str) -> bool {
    !name.is_empty() && !name.starts_with('.') && !name.contains(['/', '\\'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_hold_boards_and_say_which_is_broken() {
        let name = Path::new("000.txt");
        let boards = parse(name, "; 0\n#####\n#@$.#\n#####\n\n; 1\n#####\n#.$@#\n#####\n").unwrap();
        assert_eq!(boards.len(), 2);
        assert_eq!(boards[1], "#####\n#OXP#\n#####".parse().unwrap());
        let odd = ["######\n#S_X√#\n#_OX_#\n######".parse().unwrap(), boards[0]];
        assert_eq!(parse(name, &write(&odd)).unwrap(), odd);
        assert_eq!(parse(name, "").unwrap(), []);
        let error = |text| parse(name, text).unwrap_err().to_string();
        assert_eq!(
            error("; 7\n#####\n#@$ #\n#####\n"),
            "000.txt: level 7: 1 boxes and 0 targets: a board has as many boxes as targets, at least one"
        );
        assert_eq!(error("#####\n"), "000.txt: a level file begins with `; 0`");
        assert!(error("; 0\n#####\n#@").starts_with("000.txt: level 0: a board of 2 rows"));
    }
}
