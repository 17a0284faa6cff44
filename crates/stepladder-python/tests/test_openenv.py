"""`stepladder env serve` as OpenEnv's own clients see it, and our typed one."""

import asyncio
import json
import os
import pathlib
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import stepladder
from openenv.core import GenericEnvClient
from openenv.core.env_server.types import SchemaResponse
from stepladder.openenv import Action, Client, Observation, State

FAMILIES = {
    "household": "dev",
    "alfworld": "valid_seen",
    "sokoban": "dev-6x6-1",
    "scienceworld": "dev",
    "webshop": "dev",
}
DATA = {"alfworld": "alfworld", "scienceworld": "scienceworld"}


@contextmanager
def server(*arguments: str, **variables: str) -> Iterator[str]:
    """Runs a server on any free port and yields its address; without the program the test is skipped."""
    program = os.environ.get("STEPLADDER_BIN")
    if not program:
        pytest.skip("no program in STEPLADDER_BIN")
    command = [program, "env", "serve", "--port", "0", "--json", *arguments]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=os.environ | variables)
    try:
        assert process.stdout is not None
        yield json.loads(process.stdout.readline())["url"]
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)


@pytest.fixture(params=FAMILIES)
def family(request: pytest.FixtureRequest) -> str:
    """Every environment in turn, where its data are there."""
    needed = DATA.get(request.param)
    root = os.environ.get("STEPLADDER_DATA")
    if needed and not (root and (pathlib.Path(root) / needed).exists()):
        pytest.skip(f"no {needed} below the directory in STEPLADDER_DATA")
    return request.param


def test_the_generic_client_plays_every_environment(family: str) -> None:
    split = FAMILIES[family]
    with server(family, "--split", split) as url, GenericEnvClient(base_url=url).sync() as env:
        result = env.reset(seed=7, admissible=True)
        assert result.reward is None and not result.done
        assert result.observation["text"] and result.observation["task"]
        first = result.observation["admissible_actions"][0]
        result = env.step({"action": first})
        assert isinstance(result.reward, float) and result.observation["steps"] == 1
        state = env.state()
        assert (state["env"], state["split"], state["seed"], state["step_count"]) == (family, split, 7, 1)
        assert state["episode_id"] and state["task_id"]


def test_the_typed_client_refuses_what_is_no_action() -> None:
    with server("household") as url, Client(url).sync() as env:
        env.reset(seed=7)
        for action in ({"action": "look"}, 5, None):
            with pytest.raises(stepladder.InvalidAction, match="an action is a text"):
                env.step(action)
        assert env.step("look").observation.steps == 1


def test_the_typed_client_plays_every_environment(family: str) -> None:
    async def play(url: str) -> None:
        async with Client(url) as env:
            begun = await env.reset(seed=7, task=0, episode_id="mine", admissible=True)
            assert isinstance(begun.observation, Observation) and begun.observation.task
            assert begun.observation.reward is None and not begun.observation.done
            actions = begun.observation.admissible_actions
            assert actions
            for action in (actions[0], Action(action=actions[0], admissible=False, metadata={"why": "again"})):
                result = await env.step(action)
            assert result.observation.admissible_actions is None and result.reward == result.observation.reward
            state = await env.state()
            assert isinstance(state, State)
            assert (state.episode_id, state.step_count, state.task_index, state.seed) == ("mine", 2, 0, 7)
            again = await env.reset(seed=7, task=state.task_id, admissible=True)
            assert again.observation == begun.observation

    with server(family, "--split", FAMILIES[family]) as url:
        asyncio.run(play(url))


def test_truncation_and_termination_are_told_apart() -> None:
    with server("household", "--split", "dev", "--max-steps", "2") as url, Client(url).sync() as env:
        env.reset(task=0)
        assert not env.step("look").done
        last = env.step("look")
        assert last.done and last.observation.truncated and not last.observation.terminated
        with pytest.raises(RuntimeError, match=r"the episode is over; reset before the next step .*EXECUTION_ERROR"):
            env.step("look")
        assert not env.reset(task=1).done


def test_errors_leave_the_session_alive() -> None:
    with server("sokoban") as url, GenericEnvClient(base_url=url).sync() as env:
        with pytest.raises(RuntimeError, match=r"send a reset first .*EXECUTION_ERROR"):
            env.step({"action": "up"})
        with pytest.raises(RuntimeError, match=r"unknown field `sed`.*VALIDATION_ERROR"):
            env.reset(sed=1)
        with pytest.raises(RuntimeError, match=r"sokoban has no split `exam`.*EXECUTION_ERROR"):
            env.reset(split="exam")
        env.reset()
        with pytest.raises(RuntimeError, match=r"unknown field `verb`, expected one of `action`.*VALIDATION_ERROR"):
            env.step({"verb": "up"})
        assert env.step({"action": "up"}).observation["steps"] == 1


def test_sessions_of_one_client_are_apart_and_limited() -> None:
    async def play(url: str) -> None:
        async with Client(url) as first:
            second = await first.new_session()
            await first.reset(seed=1)
            await second.reset(seed=2)
            await first.step("up")
            assert [(await env.state()).step_count for env in (first, second)] == [1, 0]
            third = Client(url)
            with pytest.raises(RuntimeError, match="CAPACITY_REACHED"):
                await third.reset()
            await third.close()

    with server("sokoban", "--sessions", "2") as url:
        asyncio.run(play(url))


def test_a_token_is_presented_as_a_header() -> None:
    with server("sokoban", STEPLADDER_TOKEN="s3cret") as url:
        for token in (None, "wrong"):
            with pytest.raises(ConnectionError, match="401"):
                Client(url, token=token).sync().connect()
        with Client(url, token="s3cret").sync() as env:
            assert env.reset().observation.text
        with GenericEnvClient(base_url=url, headers={"Authorization": "Bearer s3cret"}).sync() as env:
            assert env.reset().observation["text"]


def test_the_schema_is_one_of_openenv() -> None:
    import urllib.request

    with server("sokoban") as url, urllib.request.urlopen(f"{url}/schema") as answer:
        schema = SchemaResponse(**json.load(answer))
    # The base class of observations allows metadata, which this server has none of.
    assert set(Observation.model_fields) - {"metadata"} == set(schema.observation["properties"])
    assert set(State.model_fields) == set(schema.state["properties"])
    assert set(Action.model_fields) == set(schema.action["properties"])


def test_importing_the_package_does_not_import_openenv() -> None:
    code = "import sys, stepladder; sys.exit('openenv' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_the_example_of_a_remote_agent_plays() -> None:
    example = pathlib.Path(__file__).parents[3] / "examples" / "remote_agent.py"
    with server("household", "--split", "dev") as url:
        run = subprocess.run([sys.executable, example, url, "3"], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert run.stdout.splitlines()[-1].startswith("3 episodes"), run.stdout
