//! Tasks of the official catalogue, and the contract on them.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use std::path::Path;

use stepladder_core::TaskKey;
use stepladder_env::conformance::{Names, check_script, check_with};
use stepladder_env::{Env, EnvError, Reader, TaskSet};
use stepladder_testing::data_root;
use stepladder_webshop::generated::Pages;
use stepladder_webshop::{Choices, FAMILY, WebShop};

const FILE: &str = "webshop/items_shuffle_1000.json";

fn open(root: &Path, pairs: &[(&str, &str)]) -> Box<dyn TaskSet> {
    let options = FAMILY.options(Reader::Play, pairs.iter().copied()).unwrap();
    FAMILY.open(Some(root), &options).unwrap()
}

fn key(split: &str, number: usize) -> TaskKey {
    TaskKey::new("webshop", split, format!("goal-{number}"))
}

#[test]
fn splits_have_the_published_sizes_and_their_own_orders() {
    let Some(root) = data_root(FILE) else { return };
    let set = open(&root, &[]);
    let sizes = FAMILY
        .spec
        .splits
        .iter()
        .filter(|split| split.contains('-'))
        .map(|split| set.tasks(split).unwrap().len());
    assert_eq!(sizes.collect::<Vec<_>>(), [500, 1000, 5410, 500, 6410, 500, 5910]);
    assert_eq!(set.tasks("paper-eval").unwrap()[..2], [key("paper-eval", 500), key("paper-eval", 501)]);
    let instruction = |set: &dyn TaskSet, split, number| {
        let task = key(split, number);
        let start = set.make().unwrap().reset(&task, 0).unwrap();
        assert_eq!(set.family(&task), Some(start.family));
        start.task
    };
    // Another order of the same goals; verl-agent's depends on the seed, and so do all prices.
    assert_ne!(instruction(&*set, "paper-test", 0), instruction(&*set, "verl-val", 0));
    let other = open(&root, &[("seed", "43")]);
    assert_ne!(instruction(&*set, "verl-val", 0), instruction(&*other, "verl-val", 0));
    let without_price = |text: String| text.rsplit_once(", and price").map(|(text, _)| text.to_owned());
    assert_eq!(
        without_price(instruction(&*set, "paper-test", 0)),
        without_price(instruction(&*other, "paper-test", 0))
    );
    // With verl-agent's seed 233 both orders are one.
    let same = open(&root, &[("seed", "233")]);
    assert_eq!(instruction(&*same, "paper-train", 2000), instruction(&*same, "verl-train", 2000));
    // Held out for tuning, and the rest.
    let ids = |split| set.tasks(split).unwrap().into_iter().map(|task| task.id).collect::<Vec<_>>();
    assert_eq!([ids("verl-train_dev"), ids("verl-train_fit")].concat(), ids("verl-train"));
}

#[test]
fn tasks_that_are_not_there_are_refused() {
    let Some(root) = data_root(FILE) else { return };
    let set = WebShop::new(Some(&root), Choices::default());
    let mut env = set.make().unwrap();
    let mut said = |split: &str, id: &str| {
        let error = env.reset(&TaskKey::new("webshop", split, id), 0).unwrap_err();
        assert!(matches!(error, EnvError::UnknownTask { .. }));
        error.to_string()
    };
    assert_eq!(
        said("paper-test", "goal-500"),
        "unknown task webshop/paper-test/goal-500: paper-test has goal-0 to goal-499"
    );
    for id in ["goal-007", "goal", "goal-", "goal--1", "goal-+1", "task-1", "goal-99999999999999999999999"] {
        assert!(said("paper-test", id).ends_with(": a task is named goal-<number>"), "{id}");
    }
    assert!(said("paper", "goal-1").contains("webshop has no split `paper`"));
    // There are few instructions by people for these products.
    let human = open(&root, &[("goals", "human")]);
    assert_eq!(human.tasks("paper-test").unwrap().len(), 13);
    let error = human.tasks("paper-train").unwrap_err().to_string();
    assert!(
        error.ends_with("webshop: these files make 13 goals, and the split `paper-train` begins after them"),
        "{error}"
    );
}

#[test]
fn every_part_of_the_contract_holds() {
    let Some(root) = data_root(FILE) else { return };
    for (form, nouns) in [("text", "table"), ("text_rich", "stub")] {
        let set = open(&root, &[("observation", form), ("nouns", nouns)]);
        for split in ["paper-test", "verl-train"] {
            let task = set.tasks(split).unwrap()[17].clone();
            let mut env = set.make().unwrap();
            env.reset(&task, 0).unwrap();
            // To the first product that a search for the instruction finds.
            let mut script = vec![env.admissible().unwrap().admissible_actions().remove(0)];
            env.step(&script[0]).unwrap();
            let product = env
                .admissible()
                .unwrap()
                .admissible_actions()
                .into_iter()
                .find(|action| action.starts_with("click[b0"));
            script.push(product.unwrap());
            script.extend(["click[Features]", "click[< Prev]", "click[Next >]"].map(str::to_owned));
            // `Next >` is no button of a product.
            env.step(&script[1]).unwrap();
            assert!(env.step("click[Next >]").unwrap().unknown_action);
            script.pop();
            script.push("click[Buy Now]".to_owned());
            let actions: Vec<&str> = script.iter().map(String::as_str).collect();
            check_script(&*set, &task, &actions, Names::OneEach).unwrap();
        }
    }
}

#[test]
fn every_admissible_action_is_understood() {
    let Some(root) = data_root(FILE) else { return };
    let set = open(&root, &[]);
    let mut env = set.make().unwrap();
    let task = key("verl-train", 600);
    let mut pages = vec![Vec::<String>::new()];
    // All ways of two actions from the start, and of three to the first product.
    for depth in 0..3 {
        let mut next = Vec::new();
        for page in pages {
            let play = |env: &mut Box<dyn Env>| {
                env.reset(&task, 0).unwrap();
                page.iter().for_each(|action| drop(env.step(action).unwrap()));
            };
            play(&mut env);
            let actions = env.admissible().unwrap().admissible_actions();
            assert!(!actions.is_empty());
            for action in actions {
                play(&mut env);
                assert!(!env.step(&action).unwrap().unknown_action, "{action}");
                if depth < 2 && (depth == 0 || next.is_empty()) {
                    next.push([&page[..], &[action]].concat());
                }
            }
        }
        pages = next;
    }
}

#[test]
fn the_generated_shop_needs_no_data() {
    for pages in ["full", "short"] {
        let options = FAMILY.options(Reader::Play, [("pages", pages), ("products", "300")]).unwrap();
        let set = FAMILY.open(None, &options).unwrap();
        let sizes = ["train", "dev", "test"].map(|split| set.tasks(split).unwrap().len());
        assert_eq!(sizes, [4000, 200, 200]);
        for split in ["train", "dev", "test"] {
            let task = key(split, 7);
            let mut env = set.make().unwrap();
            let start = env.reset(&task, 0).unwrap();
            assert_eq!(set.family(&task), Some(start.family));
            let search = env.admissible().unwrap().admissible_actions().remove(0);
            let results = env.step(&search).unwrap().observation;
            let per_page = if pages == "full" { Pages::Full } else { Pages::Short }.per_page();
            assert_eq!(results.matches(" [SEP] B0").count(), per_page, "{results}");
            let product = env.admissible().unwrap().admissible_actions();
            let product = product.iter().find(|action| action.starts_with("click[b0")).unwrap();
            let script = [&search, product, "click[Description]", "click[< Prev]", "click[Buy Now]"];
            check_script(&*set, &task, &script, Names::OneEach).unwrap();
        }
        // Goals of training have no end, those of the others have.
        let mut env = set.make().unwrap();
        env.reset(&key("train", 4_000_000), 0).unwrap();
        assert_eq!(
            env.reset(&key("test", 200), 0).unwrap_err().to_string(),
            "unknown task webshop/test/goal-200: test has goal-0 to goal-199"
        );
    }
}

/// Keeps the tasks that have a solution.
fn solved(set: &dyn TaskSet, tasks: &[TaskKey]) -> Vec<TaskKey> {
    let mut env = set.make().unwrap();
    let mut has_solution = |task: &TaskKey| {
        env.reset(task, 0).unwrap();
        !env.walkthrough().unwrap().solution().is_empty()
    };
    tasks.iter().filter(|task| has_solution(task)).cloned().collect()
}

#[test]
fn solutions_of_generated_goals_have_the_full_reward() {
    for pages in ["full", "short"] {
        let options = FAMILY.options(Reader::Play, [("pages", pages)]).unwrap();
        let set = FAMILY.open(None, &options).unwrap();
        let tasks = set.tasks("dev").unwrap();
        let solved = solved(&*set, &tasks);
        assert!(solved.len() >= 195, "{pages}: {} of {}", solved.len(), tasks.len());
        check_with(&*set, &solved, Names::OneEach).unwrap();
    }
}

#[test]
fn solutions_of_official_goals_have_the_full_reward() {
    let Some(root) = data_root(FILE) else { return };
    let set = open(&root, &[]);
    let tasks = set.tasks("paper-test").unwrap();
    let solved = solved(&*set, &tasks);
    assert!(solved.len() >= 400, "{} of {}", solved.len(), tasks.len());
    check_with(&*set, &solved, Names::OneEach).unwrap();
    // Whatever the form of pages.
    let rich = open(&root, &[("observation", "text_rich")]);
    check_with(&*rich, &solved[..10], Names::OneEach).unwrap();
}

#[test]
fn another_seed_is_another_shop() {
    let start = |pairs: &[(&str, &str)]| {
        let options = FAMILY.options(Reader::Play, pairs.iter().copied()).unwrap();
        let set = FAMILY.open(None, &options).unwrap();
        set.make().unwrap().reset(&key("train", 0), 5).unwrap()
    };
    assert_eq!(start(&[]), start(&[("shop_seed", "0"), ("products", "1000")]));
    assert_ne!(start(&[]), start(&[("shop_seed", "1")]));
    assert_ne!(start(&[]).text, start(&[("observation", "text_rich")]).text);
}

#[test]
fn the_full_catalogue_has_its_official_names() {
    let Some(root) = data_root(FILE) else { return };
    let other = tempfile::tempdir().unwrap();
    std::fs::create_dir(other.path().join("webshop")).unwrap();
    let full = || open(other.path(), &[("catalogue", "full")]);
    let missing = |name: &str| {
        let error = full().tasks("paper-test").unwrap_err().to_string();
        assert!(error.contains(&format!("webshop/{name}: th")) && error.contains(" is missing"), "{error}");
    };
    for (small, name) in [
        ("items_shuffle_1000.json", "items_shuffle.json"),
        ("items_ins_v2_1000.json", "items_ins_v2.json"),
        ("nouns_en_core_web_sm_3.8.0.json", "nouns_en_core_web_sm_3.8.0.json"),
    ] {
        missing(name);
        std::fs::copy(root.join("webshop").join(small), other.path().join("webshop").join(name)).unwrap();
    }
    let (full, small) = (full(), open(&root, &[]));
    let start = |set: &dyn TaskSet| set.make().unwrap().reset(&key("verl-train", 700), 0).unwrap();
    assert_eq!(start(&*full), start(&*small));
    // Searches of millions of products do not belong on the threads that serve connections.
    assert_eq!((full.has_fast_steps(), small.has_fast_steps()), (false, true));
    assert_eq!(
        (FAMILY.data[0].state)(other.path()),
        "1,000 products absent; all products without items_human_ins.json"
    );
}
