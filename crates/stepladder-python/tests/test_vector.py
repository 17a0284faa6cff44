"""Several environments at once."""

import sys
import threading
import time
from collections.abc import Callable

import gymnasium
import numpy as np
import pytest
import stepladder
from gymnasium.vector import AutoresetMode


def test_it_plays_what_single_environments_play(family: str) -> None:
    count = 3
    together = stepladder.make_vec(family, count, admissible_actions=True)
    alone = [stepladder.make(family, admissible_actions=True) for _ in range(count)]
    observations, infos = together.reset(seed=7)
    singles = [env.reset(seed=7 + at) for at, env in enumerate(alone)]
    assert observations == tuple(observation for observation, _ in singles)
    for _ in range(4):
        actions = [listed[0] for listed in infos["admissible_actions"]]
        observations, rewards, terminations, truncations, infos = together.step(actions)
        for at, env in enumerate(alone):
            observation, reward, terminated, truncated, info = env.step(actions[at])
            assert (observations[at], rewards[at], terminations[at], truncations[at]) == (observation, reward, terminated, truncated)
            assert {key: infos[key][at] for key in info} == info
            assert all(infos[f"_{key}"][at] for key in info)
    assert observations in together.observation_space and tuple(actions) in together.action_space
    together.close()


def test_gymnasium_makes_the_same_environments() -> None:
    for mode in [None, "vector_entry_point"]:
        env = gymnasium.make_vec("stepladder/household-v1", num_envs=2, vectorization_mode=mode)
        assert isinstance(env, stepladder.VectorTextEnv) and env.num_envs == 2
        assert env.reset(seed=1)[0] == stepladder.make_vec("household", 2).reset(seed=1)[0]
        env.close()


@pytest.mark.parametrize("mode", ["sync", "async"])
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_gymnasiums_own_vector_environments_play(mode: str) -> None:
    keywords = {} if mode == "sync" else {"vector_kwargs": {"shared_memory": False}}
    for id in ["household", "sokoban", "webshop"]:
        (versioned,) = (name for name in gymnasium.registry if name.startswith(f"stepladder/{id}-v"))
        env = gymnasium.make_vec(
            versioned, num_envs=4, vectorization_mode=mode, max_steps=3, **keywords
        )
        env.reset()
        # The seeds of several episodes, of which half would not fit into signed integers if they had 64 bits.
        for _ in range(12):
            infos = env.step(["look"] * 4)[4]
        assert infos["seed"].dtype == np.int64
        env.close()


def test_the_next_step_begins_the_next_episode() -> None:
    env = stepladder.make_vec("household", 2, max_steps=2)
    assert env.metadata["autoreset_mode"] is AutoresetMode.NEXT_STEP
    _, before = env.reset(seed=0)
    env.step(["look", "look"])
    observations, _, terminations, truncations, infos = env.step(["look", "inventory"])
    assert list(terminations) == [False, False] and list(truncations) == [True, True]
    assert list(infos["steps"]) == [2, 2] and "final_obs" not in infos
    observations, rewards, terminations, truncations, infos = env.step(["ignored", "ignored"])
    assert not rewards.any() and not terminations.any() and not truncations.any()
    assert list(infos["steps"]) == [0, 0] and (infos["seed"] != before["seed"]).all()
    alone = stepladder.make("household", max_steps=2)
    alone.reset(seed=1)
    assert observations[1] == alone.reset()[0]


def test_the_same_step_begins_the_next_episode_and_keeps_the_last_texts() -> None:
    env = stepladder.make_vec("household", 2, autoreset_mode="SameStep", max_steps=2)
    env.reset(seed=0)
    alone = [stepladder.make("household", max_steps=2) for _ in range(2)]
    for at, single in enumerate(alone):
        single.reset(seed=at)
    for actions in [["look", "look"], ["look", "inventory"]]:
        observations, rewards, terminations, truncations, infos = env.step(actions)
        last = [single.step(action) for single, action in zip(alone, actions, strict=True)]
    assert list(truncations) == [True, True] and not terminations.any()
    assert list(infos["final_obs"]) == [step[0] for step in last] and infos["_final_obs"].all()
    assert list(rewards) == [step[1] for step in last]
    assert {key: infos["final_info"][key][1] for key in last[1][4]} == last[1][4]
    assert list(observations) == [single.reset()[0] for single in alone]
    assert list(infos["steps"]) == [0, 0]
    # Episodes after the first have seeds that their stream draws.
    for _ in range(8):
        seeds = infos["seed"]
        for _ in range(2):
            infos = env.step(["look", "look"])[4]
        assert list(infos["final_info"]["seed"]) == list(seeds) != list(infos["seed"])


def test_one_of_several_episodes_ends() -> None:
    alone = stepladder.make("household")
    alone.reset(seed=1, options={"task": 1})
    solution = alone.solution()
    assert solution is not None
    env = stepladder.make_vec("household", 3, autoreset_mode="SameStep")
    env.reset(seed=0, options={"task": [0, 1, 2]})
    for action in solution:
        _, rewards, terminations, _, infos = env.step(["look", action, "look"])
    assert list(terminations) == [False, True, False] and rewards[1] == 1.0
    assert list(infos["_final_obs"]) == list(infos["_final_info"]) == [False, True, False]
    assert infos["final_obs"][0] is None and infos["final_info"]["won"][1] and not infos["won"].any()


def test_tasks_and_seeds_are_given_per_environment() -> None:
    tasks = stepladder.tasks("household", "dev")[:2]
    env = stepladder.make_vec("household", 2, "dev", task=tasks, max_steps=1)
    assert list(env.reset()[1]["task_id"]) == tasks
    env.step(["look", "look"])
    assert list(env.step(["look", "look"])[4]["task_id"]) == tasks
    assert list(env.reset(options={"task": [1, 0]})[1]["task_id"]) == tasks[::-1]
    assert list(env.reset(seed=[5, 3])[1]["seed"]) == [5, 3]
    assert env.reset(seed=[5, None])[1]["seed"][0] == 5
    assert list(env.reset(seed=np.array([5, 3]))[1]["seed"]) == [5, 3]
    assert list(env.reset(seed=np.int64(5))[1]["seed"]) == [5, 6]


def test_episodes_do_not_depend_on_the_number_of_environments() -> None:
    def texts(count: int) -> list[str]:
        env = stepladder.make_vec("household", count, max_steps=3)
        seen = [env.reset(seed=0)[0][0]]
        return seen + [env.step(["look"] * count)[0][0] for _ in range(8)]

    assert texts(1) == texts(40)


def test_arrays_belong_to_the_caller() -> None:
    env = stepladder.make_vec("household", 2, admissible_actions=True)
    env.reset(seed=0)
    first = env.step(["look", "look"])
    first[1][0] = 5.0
    first[4]["_task"][0] = False
    second = env.step(["look", "look"])
    assert second[1][0] != 5.0 and second[4]["_task"].all()
    assert not any(np.shares_memory(first[4][key], second[4][key]) for key in ["seed", "won", "_won"])


def test_another_thread_runs_during_a_step() -> None:
    env = stepladder.make_vec("household", 256)
    env.reset(seed=0)
    actions = ["look"] * 256
    counted = 0
    stop = False

    def count() -> None:
        nonlocal counted
        while not stop:
            counted += 1
            time.sleep(0)  # gives the lock back, which no other thread can take from it below

    interval = sys.getswitchinterval()
    thread = threading.Thread(target=count)
    try:
        # From here on a thread runs until it gives the lock back by itself.
        sys.setswitchinterval(1e6)
        thread.start()
        time.sleep(0.01)
        before = counted
        sum(range(1_000_000))
        assert counted == before, "pure Python keeps the lock"
        for _ in range(10_000):
            env._sessions.step(actions)
            if counted > before:
                break
        assert counted > before, "a step gives the lock back"
    finally:
        sys.setswitchinterval(interval)
        stop = True
        thread.join()


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_after_a_fork_there_are_threads_again(in_child: Callable[[Callable[[], object]], str]) -> None:
    env, same = (stepladder.make_vec("household", 8) for _ in range(2))
    for vector in (env, same):
        vector.reset(seed=0)
        vector.step(["look"] * 8)
    expected = str(same.step(["inventory"] * 8)[0])
    assert in_child(lambda: env.step(["inventory"] * 8)[0]) == expected
    assert str(env.step(["inventory"] * 8)[0]) == expected, "and the parent's go on"


def test_wrong_arguments_are_refused() -> None:
    assert stepladder.make_vec("household", np.int64(2)).num_envs == 2  # type: ignore[arg-type]
    for count in [0, -1, 1.5, True]:
        with pytest.raises(stepladder.UsageError, match="num_envs"):
            stepladder.make_vec("household", count)  # type: ignore[arg-type]
    for mode in ["Disabled", AutoresetMode.DISABLED, "next"]:
        with pytest.raises(stepladder.UsageError, match="it is one of 'NextStep', 'SameStep'"):
            stepladder.make_vec("household", autoreset_mode=mode)
    with pytest.raises(stepladder.UnknownSplit):
        stepladder.make_vec("household", 2, "exam")
    env = stepladder.make_vec("household", 2)
    with pytest.raises(stepladder.StepBeforeReset):
        env.step(["look", "look"])
    env.reset(seed=0)
    for seed in [-1, [1, -1], 1.5, [1, "2"], 2**64]:
        with pytest.raises(stepladder.UsageError, match="seed is"):
            env.reset(seed=seed)  # type: ignore[arg-type]
    for actions in [["look"], [], ["look"] * 3, "ab", None, 5, {"look", "inventory"}, {"look": 1, "inventory": 2}]:
        with pytest.raises(stepladder.UsageError, match="environment"):
            env.step(actions)  # type: ignore[arg-type]
    with pytest.raises(stepladder.InvalidAction):
        env.step(["look", None])  # type: ignore[list-item]
    with pytest.raises(stepladder.UsageError, match="3 values of seed for 2"):
        env.reset(seed=[1, 2, 3])
    with pytest.raises(stepladder.UnknownTask):
        env.reset(options={"task": "no such task"})
    env.close()
    env.close()
    for call in [env.reset, lambda: env.step(["look", "look"])]:
        with pytest.raises(stepladder.Closed):
            call()
