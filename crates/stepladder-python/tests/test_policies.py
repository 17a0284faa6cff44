"""Policies that the program trained, without libtorch."""

import copy
import json
import os
import pathlib
import subprocess
from collections.abc import Callable

import pytest
import stepladder

TINY = pathlib.Path(__file__).parents[2] / "stepladder/tests/tiny.toml"


def run(*arguments: str | pathlib.Path) -> None:
    subprocess.run([os.environ["STEPLADDER_BIN"], *arguments], check=True, capture_output=True)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    if "STEPLADDER_BIN" not in os.environ:
        pytest.skip("no program in STEPLADDER_BIN")
    directory = tmp_path_factory.mktemp("policies") / "run"
    run("train", TINY, "--run-dir", directory, "--set", "agents.flat.budget={ steps = 3 }")
    return directory


@pytest.mark.parametrize("agent", ["flat", "step_hrl"])
def test_a_trained_policy_plays_as_in_the_program(trained: pathlib.Path, agent: str) -> None:
    trace = trained.parent / f"{agent}.jsonl"
    run("collect", trained, "--agent", agent, "--split", "dev", "--max-steps", "6", "--count", "4", "-o", trace)
    policy = stepladder.load_policy(trained, "household", agent=agent, threads=2)
    assert (policy.agent, policy.env) == (agent, "household")
    for recorded in stepladder.transcript(trace):
        # The program names a policy by its trained parameters, the package by its file; tokens are the program's.
        recorded["policy"] = policy.name
        env = stepladder.make("household", "dev", task=recorded["task"]["id"], max_steps=6)
        played = stepladder.play(env, policy.agent, policy, seed=recorded["seed"], name=policy.name)
        assert actions(played) == actions(recorded)


def test_rollouts_are_batched_and_seeded(trained: pathlib.Path) -> None:
    policy = stepladder.load_policy(trained / "flat", "household")
    episodes = policy.play("dev", count=6, max_steps=5)
    assert len(episodes) == 6 and all(episode["policy"] == policy.name for episode in episodes)
    assert policy.play("dev", count=6, max_steps=5, slots=2) == episodes
    sampled = [policy.play("dev", count=6, max_steps=5, temperature=2.0, seed=seed) for seed in (1, 1, 2)]
    assert sampled[0] == sampled[1] != sampled[2]
    queries = [{"role": "flat", "task": f"find {at}.", "context": "You are here.", "history": []} for at in range(5)]
    assert policy.replies(queries) == [policy(query) for query in queries]


PLAYS = """
import sys, threading
import stepladder

policy = stepladder.load_policy(sys.argv[1], "household", agent="flat", threads=2)
played = []
def play():
    for _ in range(40):
        played.append(len(policy.play("dev", count=24, max_steps=3, slots=12)))
threads = [threading.Thread(target=play) for _ in range(3)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(len(played), set(played))
"""


def test_a_policy_plays_for_several_threads(trained: pathlib.Path, in_process: Callable[..., str]) -> None:
    assert in_process(PLAYS, str(trained)) == "120 {24}\n"


ENDLESS = """
import os, signal, sys, threading, time
import stepladder

# A background job of a shell ignores the signal.
signal.signal(signal.SIGINT, signal.default_int_handler)
policy = stepladder.load_policy(sys.argv[1], "household", agent="flat", threads=2)
def interrupt():
    time.sleep(1)
    os.kill(os.getpid(), signal.SIGINT)
try:
    threading.Thread(target=interrupt).start()
    policy.play("dev", count=2, max_steps=2**32 - 1)
except KeyboardInterrupt:
    print("interrupted", len(policy.play("dev", count=2, max_steps=2)))
"""


def test_an_interrupt_ends_a_rollout(trained: pathlib.Path, in_process: Callable[..., str]) -> None:
    assert in_process(ENDLESS, str(trained)) == "interrupted 2\n"


def test_what_cannot_be_loaded_or_asked_is_named(trained: pathlib.Path, tmp_path: pathlib.Path) -> None:
    with pytest.raises(stepladder.DataMissing, match="No such file"):
        stepladder.load_policy(tmp_path / "absent", "household")
    with pytest.raises(stepladder.DataError, match="several agents; choose one of flat, step_hrl"):
        stepladder.load_policy(trained, "household")
    with pytest.raises(stepladder.DataError, match="no checkpoint of `x`"):
        stepladder.load_policy(trained, "household", agent="x")
    with pytest.raises(stepladder.UnknownEnvironment):
        stepladder.load_policy(trained, "chess", agent="flat")
    with pytest.raises(stepladder.DataError, match="it was trained on prompts of style"):
        stepladder.load_policy(trained, "sokoban", agent="flat")
    policy = stepladder.load_policy(trained, "household", agent="flat")
    with pytest.raises(stepladder.UsageError, match="not a query of an agent"):
        policy({"role": "poet"})
    with pytest.raises(stepladder.UnknownSplit):
        policy.play("night")
    for wrong in ({"count": 0}, {"slots": 0}, {"temperature": -1.0}, {"temperature": "hot"}, {"max_steps": 0}, {"seed": -1}):
        with pytest.raises(stepladder.UsageError):
            policy.play("dev", **wrong)  # type: ignore[arg-type]
    for threads in (0, 10**30, 1.5):
        with pytest.raises(stepladder.UsageError, match="threads is"):
            stepladder.load_policy(trained, "household", agent="flat", threads=threads)  # type: ignore[arg-type]
    with pytest.raises(stepladder.UsageError, match="a TrainedPolicy cannot be pickled or copied"):
        copy.deepcopy(policy)
    checkpoint = next((trained / "flat/checkpoints").iterdir())
    (checkpoint / "model.safetensors").write_bytes(b"damaged")
    with pytest.raises(stepladder.DataError, match="not a whole safetensors file"):
        stepladder.load_policy(checkpoint, "household")


def actions(episode: dict[str, object]) -> str:
    steps = stepladder.steps([episode])
    return json.dumps([[step["action"], step["label"], step["subtask"], step["answer"], step["reward"]] for step in steps])
