//! The combination lock: macro exploration finds the order of three sub-goals from the outcome of episodes alone
//! (docs/spec/algorithms.md 9.3). The one test that fails if phase A teaches nothing.
#![allow(missing_docs, clippy::unwrap_used, dead_code)]

#[path = "../examples/lock/env.rs"]
mod env;
#[path = "../examples/lock/trial.rs"]
mod trial;

use stepladder_algo::himac::{Himac, HimacConfig, Phases};
use stepladder_algo::online::OnlineConfig;
use trial::{CLONING, Trial, config, himac, method};

#[test]
fn the_order_of_sub_goals_is_learnt_by_macro_exploration_and_not_without_it() {
    let learn = |phases, steps| {
        let (lock, mut trainer) = Trial::new(himac(), 8, 1, CLONING).unwrap();
        assert!(lock.follow_rate(&trainer).unwrap() >= 0.95);
        lock.learn(&mut trainer, &mut method(phases), &config(steps), 1000).unwrap().points
    };
    let whole = learn(Phases::Both, 12_000);
    assert!(whole[0].1 < 0.4, "{whole:?}");
    assert!(whole.iter().any(|(_, success)| *success >= 0.9), "{whole:?}");
    // An executor that learns to follow its blueprints better still does not learn which to write.
    let without = learn(Phases::Micro, 6000);
    assert!(without.iter().all(|(_, success)| *success < 0.4), "{without:?}");
}

#[test]
fn a_reward_for_confirmed_sub_goals_tells_episodes_apart_and_executors_learn_to_follow() {
    let learn = |subgoal_reward| {
        // The clone often goes elsewhere, and its own blueprints seldom solve a task.
        let (lock, mut trainer) = Trial::new(himac(), 1, 1, 300).unwrap();
        let rules = HimacConfig { subgoal_reward, ..method(Phases::Micro).config };
        let mut method = Himac { config: rules, ..method(Phases::Micro) };
        let config = OnlineConfig { penalty: 0.0, ..config(5000) };
        lock.learn(&mut trainer, &mut method, &config, 5000).unwrap()
    };
    let (paid, unpaid) = (learn(1.0), learn(0.0));
    // The first iteration plays the same episodes.
    assert_eq!(paid.follow_rates[0], unpaid.follow_rates[0]);
    assert!(paid.degenerate[0] < unpaid.degenerate[0], "{:?} {:?}", paid.degenerate, unpaid.degenerate);
    let mean = |part: &[f64]| part.iter().sum::<f64>() / part.len() as f64;
    let rates = &paid.follow_rates;
    let (first, last) = (mean(&rates[..3]), mean(&rates[rates.len() - 3..]));
    assert!(first < 0.75 && last > first + 0.15, "{rates:?}");
}
