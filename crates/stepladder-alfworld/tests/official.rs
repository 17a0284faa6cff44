//! Exactness on the official games and on recorded episodes of the original.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rayon::prelude::*;
use stepladder_alfworld::{CommandList, Engine, Game, verify};
use stepladder_testing::data_root;

fn games(directory: &Path) -> Vec<PathBuf> {
    let list = |path: &Path| -> Vec<PathBuf> {
        let mut entries: Vec<_> =
            fs_err::read_dir(path).unwrap().map(|entry| entry.unwrap().path()).collect();
        entries.retain(|path| path.is_dir());
        entries.sort();
        entries
    };
    list(directory).iter().flat_map(|task| list(task)).map(|trial| trial.join("game.tw-pddl")).collect()
}

#[test]
fn recorded_episodes_are_reproduced_byte_for_byte() {
    let file = "transcripts/alfworld_train_seen.jsonl.zst";
    let Some(root) = data_root(file) else { return };
    let report = verify(&root.join(file), Some(&root)).unwrap();
    assert_eq!((report.rows, report.mismatches), (1029, 0), "{:#?}", report.first_difference);
}

#[test]
fn every_walkthrough_is_admissible_and_wins_with_its_last_command() {
    let Some(root) = data_root("alfworld/json_2.1.1") else { return };
    let mut all = Vec::new();
    for (split, count) in [("train", 3553), ("valid_seen", 140)] {
        let games = games(&root.join("alfworld/json_2.1.1").join(split));
        assert_eq!(games.len(), count, "{split}");
        all.extend(games);
    }
    all.par_iter().for_each(|path| {
        let mut engine = Engine::new(Arc::new(Game::load(path).unwrap()));
        let game = engine.game().clone();
        let (mut commands, mut answer) = (CommandList::new(), String::new());
        assert!(!game.walkthrough().is_empty() && game.solvable(), "{}", path.display());
        for (index, command) in game.walkthrough().iter().enumerate() {
            engine.admissible(&mut commands);
            assert!(commands.iter().any(|possible| possible == command), "{}: {command}", path.display());
            let outcome = engine.step(command, &mut answer);
            assert!(outcome.possible);
            assert_eq!(outcome.won, index + 1 == game.walkthrough().len(), "{}: {command}", path.display());
        }
    });
}
