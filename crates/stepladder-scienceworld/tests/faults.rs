//! Simulators that die, hang or send malformed replies, and the effect on their episodes.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod common;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use common::pool_with;
use fs_err as fs;
use stepladder_env::clock::Stopwatch;
use stepladder_scienceworld::{Failure, Instance, Jar, Pool, PoolOptions, View};

const TASK: (&str, u32, &str) = ("grow-plant", 7, "");

fn signal(pid: u32, name: &str) {
    let _ = Command::new("kill").args([format!("-{name}"), pid.to_string()]).output();
}

/// Whether a process exists and is not a zombie.
fn lives(pid: u32) -> bool {
    let status = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    !matches!(
        status.rsplit_once(')').map(|(_, rest)| rest.trim_start().chars().next()),
        None | Some(Some('Z'))
    )
}

fn options(timeout: Duration) -> PoolOptions {
    PoolOptions { jvms: 1, timeout, ..PoolOptions::default() }
}

fn play(
    instance: &mut Instance,
    gold: &[String],
    mut before: impl FnMut(usize),
) -> Result<Vec<View>, Failure> {
    instance.load(TASK.0, TASK.1, TASK.2)?;
    gold.iter()
        .enumerate()
        .map(|(at, action)| {
            before(at);
            instance.step(action)
        })
        .collect()
}

/// Returns a pool, a path of some 30 actions and the views that it leads to without faults.
fn undisturbed(timeout: Duration) -> Option<(Pool, Vec<String>, Vec<View>)> {
    let pool = pool_with("1.2.3", options(timeout))?;
    let mut gold = pool.gold(TASK.0, TASK.1, TASK.2).unwrap();
    gold.truncate(30);
    let views = play(&mut Instance::new(&pool), &gold, |_| {}).unwrap();
    Some((pool, gold, views))
}

#[test]
fn an_episode_survives_the_death_of_its_simulator_and_so_do_its_neighbours() {
    let Some((pool, gold, expected)) = undisturbed(Duration::from_secs(60)) else { return };
    let mut neighbour = Instance::new(&pool);
    neighbour.load("find-animal", 0, "easy").unwrap();
    let seen = neighbour.step("look around").unwrap();
    let mut killed = Vec::new();
    let mut instance = Instance::new(&pool);
    let found = play(&mut instance, &gold, |at| {
        if at == 10 || at == 20 {
            killed.extend(pool.pids());
            signal(pool.pids()[0], "KILL");
        }
    });
    assert_eq!(found.unwrap(), expected);
    assert_eq!(neighbour.step("look around").unwrap().look, seen.look);
    assert_eq!(neighbour.step("wait1").unwrap().moves, 2);
    assert_eq!(killed.len(), 2);
    let last = pool.pids();
    drop((instance, neighbour));
    drop(pool);
    for pid in killed.into_iter().chain(last) {
        assert!(!lives(pid), "{pid} is left behind");
    }
}

#[test]
fn a_simulator_that_hangs_is_replaced() {
    let Some((pool, gold, expected)) = undisturbed(Duration::from_secs(5)) else { return };
    let mut stopped = 0;
    let found = play(&mut Instance::new(&pool), &gold, |at| {
        if at == 12 {
            stopped = pool.pids()[0];
            signal(stopped, "STOP");
        }
    });
    assert_eq!(found.unwrap(), expected);
    assert_ne!(pool.pids(), [stopped]);
    assert!(!lives(stopped));
}

/// Runs `work` while every new simulator gets a signal `delay` after its start, at most `times` times.
fn harassed<T>(pool: &Pool, name: &str, delay: Duration, times: usize, work: impl FnOnce() -> T) -> T {
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let mut known = pool.pids();
        let over = &over;
        scope.spawn(move || {
            let mut left = times;
            while left > 0 && !over.load(Ordering::Relaxed) {
                for pid in pool.pids() {
                    if !known.contains(&pid) {
                        std::thread::sleep(delay);
                        signal(pid, name);
                        known.push(pid);
                        left -= 1;
                    }
                }
                std::thread::sleep(Duration::from_millis(1));
            }
        });
        let result = work();
        over.store(true, Ordering::Relaxed);
        result
    })
}

#[test]
fn a_death_while_an_episode_is_made_again_is_survived() {
    let Some((pool, gold, expected)) = undisturbed(Duration::from_secs(60)) else { return };
    let mut instance = Instance::new(&pool);
    let first = play(&mut instance, &gold[..29], |_| {}).unwrap();
    let last = harassed(&pool, "KILL", Duration::from_millis(300), 1, || {
        signal(pool.pids()[0], "KILL");
        instance.step(&gold[29]).unwrap()
    });
    assert_eq!(first, expected[..29]);
    assert_eq!(last, expected[29]);
}

#[test]
fn a_call_under_which_simulators_always_hang_is_an_error_that_says_so() {
    let Some((pool, gold, _)) = undisturbed(Duration::from_secs(5)) else { return };
    let mut instance = Instance::new(&pool);
    let error = harassed(&pool, "STOP", Duration::ZERO, 9, || {
        signal(pool.pids()[0], "STOP");
        play(&mut instance, &gold, |_| {}).unwrap_err()
    });
    assert_eq!(
        error,
        Failure::Broken(
            "the simulator did not reply within 5 s; its replacement failed in the same way".to_owned()
        )
    );
    // The next episode runs in a new simulator.
    assert!(play(&mut instance, &gold[..2], |_| {}).is_ok());
}

#[test]
fn memory_that_runs_out_is_named() {
    let small = PoolOptions { heap_mb: 12, ..options(Duration::from_secs(60)) };
    let Some(root) = stepladder_testing::data_root("scienceworld/1.2.3/scienceworld.jar") else { return };
    if pool_with("1.2.3", options(Duration::from_secs(60))).is_none() {
        return;
    }
    let pool = Pool::new(Jar::below(&root, "1.2.3"), small);
    let error = Instance::new(&pool).load("boil", 0, "").unwrap_err().to_string();
    assert!(error.contains("out of memory") && error.contains("died (exit status: 3"), "{error}");
}

#[test]
fn what_the_simulator_throws_is_an_error_of_that_episode_alone() {
    let Some(pool) = pool_with("1.2.3", options(Duration::from_secs(60))) else { return };
    let mut instance = Instance::new(&pool);
    let error = instance.load("boil", 4711, "").unwrap_err();
    assert!(matches!(&error, Failure::Simulator(_)), "{error}");
    let pids = pool.pids();
    instance.load("boil", 0, "").unwrap();
    assert_eq!(
        instance.step(&"x".repeat(100_000)).unwrap().observation,
        "No known action matches that input."
    );
    assert_eq!(instance.step("").unwrap().observation, "No known action matches that input.");
    assert_eq!(
        instance.step("öffne\nTür \u{1f600}\0").unwrap().observation,
        "No known action matches that input."
    );
    assert_eq!(pool.pids(), pids);
}

/// Writes a script in place of Java.
fn script(directory: &Path, text: &str) -> PathBuf {
    use std::os::unix::fs::PermissionsExt;
    let path = directory.join("java");
    fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
    fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    path
}

#[test]
fn programs_that_are_no_usable_java_are_told_from_each_other() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path();
    let jar = Jar::below(root, "of-no-release");
    fs::create_dir_all(jar.directory()).unwrap();
    fs::write(jar.file(), "").unwrap();
    fs::write(jar.types(), "").unwrap();
    let message = |text: &str| {
        let options = PoolOptions { java: Some(script(root, text)), ..options(Duration::from_secs(60)) };
        let started = Stopwatch::start();
        let error = Pool::new(jar.clone(), options).tasks().unwrap_err().to_string();
        assert!(started.elapsed() < Duration::from_secs(30));
        error.replace(&root.display().to_string(), "ROOT")
    };
    let about = |what: &str| {
        format!("ROOT/java cannot run the simulator: {what}; set STEPLADDER_JAVA to a Java 8 or newer")
    };
    assert_eq!(
        message("echo java.lang.UnsupportedClassVersionError: Bridge >&2; exit 1"),
        about(
            "the simulator's process died (exit status: 1); standard error: java.lang.UnsupportedClassVersionError: Bridge"
        )
    );
    assert_eq!(
        message("echo Hello, who is there, and why?; sleep 9"),
        about("the simulator's reply is malformed: a frame of 1214606444 bytes")
    );
    assert_eq!(
        message("printf '\\000\\000\\000\\005\\000\\000\\000\\007\\000'; sleep 9"),
        about("the simulator's reply is malformed: its call number is wrong")
    );
    assert_eq!(
        message("printf '\\000\\000\\000\\005\\000\\000\\000\\001\\000'; sleep 9"),
        about("the simulator's reply is malformed: unexpected fields")
    );
    assert_eq!(
        message("exit 0"),
        about("the simulator's process died (exit status: 0); standard error is empty")
    );
    let none = PoolOptions { java: Some(root.join("none")), ..options(Duration::from_secs(60)) };
    let error = Pool::new(jar.clone(), none).tasks().unwrap_err().to_string();
    assert!(error.contains("cannot start") && error.contains("none"), "{error}");
}
