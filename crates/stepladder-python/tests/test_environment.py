"""One environment, as Gymnasium wants it and as this package promises it."""

import ast
import copy
import pathlib
import pickle
import threading
from collections.abc import Callable

import gymnasium
import numpy as np
import pytest
import stepladder
from gymnasium.utils.env_checker import check_env


def play(env: stepladder.TextEnv, actions: list[str], **reset: object) -> list[object]:
    """Plays actions until the end; returns everything that was seen."""
    seen: list[object] = [env.reset(**reset)]
    for action in actions:
        seen.append(env.step(action))
        if seen[-1][2] or seen[-1][3]:
            break
    return seen


def test_gymnasiums_checker_accepts_every_environment(family: str) -> None:
    env = stepladder.make(family)
    check_env(env)
    env.close()


def test_gymnasium_makes_the_same_environment(family: str) -> None:
    env = gymnasium.make(f"stepladder/{family}-v{stepladder.describe(family).version}")
    ours = stepladder.make(family)
    assert env.reset(seed=5)[0] == ours.reset(seed=5)[0]
    env.close()


def test_a_known_solution_is_won_and_terminates(family: str) -> None:
    env = stepladder.make(family, admissible_actions=True)
    observation, info = env.reset(seed=1)
    assert observation and info["task"] and info["family"] and info["task_id"] in stepladder.tasks(family)
    assert info["seed"] == 1 and info["split"] == stepladder.describe(family).splits[0]
    solution = env.solution()
    if solution is None:
        assert family == "sokoban"
        return
    rewards = 0.0
    for action in solution:
        assert info["admissible_actions"]
        observation, reward, terminated, truncated, info = env.step(action)
        rewards += reward
        if terminated or truncated:
            break
    assert info["won"] and terminated and not truncated
    assert info["admissible_actions"] == [] == env.admissible_actions()
    assert info["score"] == pytest.approx(rewards)
    with pytest.raises(stepladder.EpisodeOver, match="the episode is over") as caught:
        env.step("look")
    assert isinstance(caught.value, RuntimeError) and isinstance(caught.value, stepladder.StepladderError)


def test_the_step_limit_truncates_and_does_not_terminate() -> None:
    env = stepladder.make("household", max_steps=2)
    env.reset(seed=0)
    assert env.step("look")[2:4] == (False, False)
    assert env.step("look")[2:4] == (False, True)


def test_a_seed_leads_to_the_same_episodes() -> None:
    one, two = stepladder.make("household"), stepladder.make("household")
    assert play(one, ["look", "inventory"], seed=3) == play(two, ["look", "inventory"], seed=3)
    assert [one.reset() for _ in range(3)] == [two.reset() for _ in range(3)]
    assert one.reset(seed=4) != two.reset(seed=5)


def test_a_task_is_chosen_by_id_or_position() -> None:
    tasks = stepladder.tasks("household", "dev")
    env = stepladder.make("household", "dev", task=tasks[3])
    assert env.reset()[1]["task_id"] == env.reset()[1]["task_id"] == tasks[3]
    assert env.reset(options={"task": 0})[1]["task_id"] == tasks[0]
    info = env.reset(options={"split": "train", "task": 1})[1]
    assert (info["split"], info["task_id"]) == ("train", stepladder.tasks("household", "train")[1])
    assert stepladder.make("household", task=0).reset()[1]["task_id"] == stepladder.tasks("household")[0]


def test_nothing_that_was_returned_changes_later() -> None:
    env = stepladder.make("household", admissible_actions=True)
    _, first = env.reset(seed=0)
    copy = {**first, "admissible_actions": list(first["admissible_actions"])}
    _, _, _, _, second = env.step(first["admissible_actions"][0])
    assert first == copy and first is not second
    second["admissible_actions"].clear()
    assert env.admissible_actions()


def test_admissible_actions_come_only_on_request() -> None:
    env = stepladder.make("household")
    assert "admissible_actions" not in env.reset(seed=0)[1]
    assert "look" in env.admissible_actions()
    env.close()


def test_the_last_text_is_rendered() -> None:
    env = stepladder.make("household", render_mode="ansi")
    with pytest.raises(stepladder.StepBeforeReset):
        env.render()
    observation, _ = env.reset(seed=0)
    assert env.render() == observation
    assert env.render() != env.step("look")[0] == env.render()


def test_an_action_that_the_environment_does_not_understand_is_answered() -> None:
    env = stepladder.make("household", penalise_noop=True)
    env.reset(seed=0)
    observation, _, terminated, truncated, info = env.step("dance 1\n\0")
    assert observation and not terminated and not truncated and info["unknown_action"]


@pytest.mark.parametrize("action", [None, 3, b"look", ["look"], "\ud800"])
def test_an_action_that_is_no_text_is_refused(action: object) -> None:
    env = stepladder.make("household")
    env.reset(seed=0)
    with pytest.raises(stepladder.InvalidAction, match="an action is a text") as caught:
        env.step(action)  # type: ignore[arg-type]
    assert isinstance(caught.value, TypeError)
    assert env.step("look")[0], "the episode goes on"


def test_wrong_arguments_are_refused() -> None:
    with pytest.raises(stepladder.UnknownEnvironment, match="did you mean household") as caught:
        stepladder.make("houshold")
    assert isinstance(caught.value, ValueError)
    with pytest.raises(stepladder.UnknownSplit, match="household has no split `exam`; it has train"):
        stepladder.make("household", "exam")
    with pytest.raises(stepladder.UnknownSplit):
        stepladder.tasks("household", "exam")
    with pytest.raises(stepladder.UsageError, match="household has no option `speed`"):
        stepladder.make("household", speed=3)
    with pytest.raises(stepladder.UsageError, match="takes true or false"):
        stepladder.make("household", penalise_noop="maybe")
    with pytest.raises(stepladder.UsageError, match="option 'penalise_noop' is of the type list"):
        stepladder.make("household", penalise_noop=[])  # type: ignore[arg-type]
    for wrong in [5, "tr\ud800"]:
        with pytest.raises(stepladder.UsageError, match="split is"):
            stepladder.make("household", wrong)  # type: ignore[arg-type]
        with pytest.raises(stepladder.UsageError, match="id is"):
            stepladder.make(wrong)  # type: ignore[arg-type]
    with pytest.raises(stepladder.UsageError, match="data is 5"):
        stepladder.make("household", data=5)  # type: ignore[arg-type]
    for limit in [0, -1, 2**40, 1.5, "3"]:
        with pytest.raises(stepladder.UsageError, match="a whole number from 1"):
            stepladder.make("household", max_steps=limit)  # type: ignore[arg-type]
    with pytest.raises(stepladder.UsageError, match="render_mode"):
        stepladder.make("household", render_mode="human")


def test_a_refused_reset_leaves_the_episode() -> None:
    env = stepladder.make("household")
    with pytest.raises(stepladder.StepBeforeReset, match="step before reset"):
        env.step("look")
    env.reset(seed=0)
    for options, error in [
        ({"split": "exam"}, stepladder.UnknownSplit),
        ({"task": "no such task"}, stepladder.UnknownTask),
        ({"task": 10**9}, stepladder.UnknownTask),
        ({"task": -1}, stepladder.UsageError),
        ({"task": 1.5}, stepladder.UsageError),
        ({"level": 1}, stepladder.UsageError),
        ({"split": 5}, stepladder.UsageError),
        ([1], stepladder.UsageError),
    ]:
        with pytest.raises(error):
            env.reset(options=options)  # type: ignore[arg-type]
    for seed in [2**64, -1, 1.5, "1"]:
        with pytest.raises(stepladder.UsageError, match="seed is .*; it is a whole number from 0"):
            env.reset(seed=seed)  # type: ignore[arg-type]
    assert env.step("look")[4]["steps"] == 1


def test_a_seed_may_be_numpys() -> None:
    env = stepladder.make("household")
    assert env.reset(seed=np.int64(5)) == stepladder.make("household").reset(seed=5)  # type: ignore[arg-type]
    assert env.np_random_seed == 5


def test_drawn_seeds_fit_into_signed_integers() -> None:
    env = stepladder.make("household")
    assert all(env.reset()[1]["seed"] < 2**63 for _ in range(64))


def test_environments_are_neither_pickled_nor_copied() -> None:
    for env in [stepladder.make("household"), stepladder.make_vec("household", 2)]:
        for work in [copy.copy, copy.deepcopy, pickle.dumps]:
            with pytest.raises(stepladder.UsageError, match="Env cannot be pickled or copied"):
                work(env)


def test_a_closed_environment_refuses_everything_but_close() -> None:
    env = stepladder.make("household")
    env.reset(seed=0)
    env.close()
    env.close()
    for call in [env.reset, lambda: env.step("look"), env.admissible_actions, env.solution, env.render]:
        with pytest.raises(stepladder.Closed, match="the environment is closed"):
            call()


def test_absent_data_are_named_with_the_remedy(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("STEPLADDER_DATA", raising=False)
    # A folder that is named like an environment is no data root.
    (tmp_path / "alfworld").mkdir()
    monkeypatch.chdir(tmp_path)
    for id, data in [("alfworld", tmp_path), ("alfworld", None), ("scienceworld", tmp_path), ("scienceworld", None)]:
        with pytest.raises(stepladder.DataMissing, match="STEPLADDER_DATA") as caught:
            stepladder.make(id, data=data).reset()
        assert isinstance(caught.value, FileNotFoundError) and "--data" not in str(caught.value)


def test_an_option_changes_the_environment() -> None:
    unknown = []
    for flag in [False, True]:
        env = stepladder.make("household", penalise_noop=flag)
        env.reset(seed=0)
        unknown.append(env.step("take nothing from nowhere")[4]["unknown_action"])
    assert unknown == [False, True]


def test_an_environment_is_used_from_several_threads() -> None:
    env = stepladder.make("household", max_steps=10_000)
    env.reset(seed=0)
    threads = [threading.Thread(target=lambda: [env.step("look") for _ in range(200)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert env.step("look")[4]["steps"] == 801


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_after_a_fork_an_environment_works_or_says_that_it_does_not(
    family: str, in_child: Callable[[Callable[[], object]], str]
) -> None:
    env = stepladder.make(family)
    env.reset(seed=0)
    action = env.admissible_actions()[0]

    def old() -> object:
        return env.step(action)[0]

    def new() -> object:
        made = stepladder.make(family)
        made.reset(seed=0)
        return made.step(action)[0]

    def dropped() -> object:
        nonlocal env
        env.close()
        del env
        return "closed"

    fresh = in_child(new)
    if stepladder.describe(family).forkable:
        assert in_child(old) == fresh
    else:
        assert in_child(old).startswith("Forked: ")
    assert in_child(dropped) == "closed"
    assert env.step(action)[0] == fresh, "the parent's episode goes on"


def test_every_public_name_is_described() -> None:
    # An alias of a type has no docstring at run time.
    for name in set(stepladder.__all__) - {"Policy", "Want"}:
        assert getattr(stepladder, name).__doc__, name


def test_the_stub_names_what_the_module_holds() -> None:
    from stepladder import _stepladder

    stub = pathlib.Path(_stepladder.__file__).with_name("_stepladder.pyi").read_text()
    written = {
        node.name: {inner.name for inner in getattr(node, "body", []) if isinstance(inner, ast.FunctionDef)}
        for node in ast.parse(stub).body
        if isinstance(node, (ast.ClassDef, ast.FunctionDef))
    }
    held = {name for name in vars(_stepladder) if not name.startswith("__")}
    assert written.keys() == held
    for name, methods in written.items():
        if isinstance(getattr(_stepladder, name), type):
            found = {method for method in vars(getattr(_stepladder, name)) if not method.startswith("__")}
            assert methods - {"__new__"} == found, name
