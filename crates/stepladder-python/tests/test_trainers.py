"""Adapters for trainers: TRL's tools, verl-agent's environment managers."""

import copy
import inspect
import re
import typing
from typing import Any

import numpy as np
import pytest
import stepladder
from stepladder import trl, verl_agent

# How the commands of a known solution are written as calls of tools.
HOUSEHOLD = [
    (r"go to (.+)", "go_to"),
    (r"take (.+) from (.+)", "take"),
    (r"move (.+) to (.+)", "put"),
    (r"(open|close|use|examine) (.+)", None),
    (r"(clean|heat|cool|slice) (.+) with (.+)", None),
    (r"(look|inventory)", None),
]
SCIENCEWORLD = [
    (r"(go to|pick up|put down|focus on|look at|look in) (.+)", None),
    (r"(move) (.+) to (.+)", None),
    (r"(pour|dunk) (.+) into (.+)", None),
    (r"(use) (.+) on (.+)", None),
    (r"(connect) (.+) to (.+)", None),
    (r"(open|close|activate|deactivate|read|mix|eat|flush|examine|disconnect) (.+)", None),
    (r"(look around|inventory|wait)", None),
    (r"wait1", "wait_briefly"),
]
WEBSHOP = [(r"(search|click)\[(.+)\]", None)]
PATTERNS = {"scienceworld": SCIENCEWORLD, "webshop": WEBSHOP}


def tools(env: Any) -> dict[str, Any]:
    """Finds the tools of an environment as TRL does: public functions of its class but reset and get_reward."""
    members = inspect.getmembers(type(env), predicate=inspect.isfunction)
    hidden = {"reset", "get_reward"}
    return {name: getattr(env, name) for name, _ in members if name not in hidden and not name.startswith("_")}


def call(known: dict[str, Any], command: str, patterns: list[tuple[str, str | None]]) -> str:
    """Plays a command as a call of a tool."""
    if command.isdigit():
        return known["choose"](int(command))
    for pattern, name in patterns:
        if found := re.fullmatch(pattern, command):
            words = list(found.groups())
            name = words.pop(0).replace(" ", "_") if name is None else name
            return known[name](*words)
    raise AssertionError(f"no tool plays {command!r}")


def test_every_tool_has_a_schema(family: str) -> None:
    env = trl.factory(family)()
    known = tools(env)
    assert len(known) >= (2 if family == "webshop" else 4)
    for name, tool in known.items():
        document = inspect.getdoc(tool)
        parameters = inspect.signature(tool).parameters
        hints = typing.get_type_hints(tool)
        assert document and "\nReturns:\n" in document and hints.pop("return") is str, name
        described = re.findall(r"^    (\w+): \S", document.partition("\nArgs:\n")[2].partition("\nReturns:\n")[0], re.MULTILINE)
        assert described == list(parameters) == list(hints), name


def test_calls_of_tools_solve_the_task(family: str) -> None:
    plain = stepladder.make(family)
    task = stepladder.tasks(family)[0]
    first, info = plain.reset(seed=1, options={"task": task})
    env = trl.factory(family)()
    shown = env.reset(task_id=task, seed=1, prompt="ignored")
    assert shown.startswith(first) and env.get_reward() == 0.0
    patterns = PATTERNS.get(family, HOUSEHOLD)
    solution = plain.solution() or ["up", "down"]
    for command in solution:
        observation, _, terminated, truncated, info = plain.step(command)
        answer = tools(env)[command]() if family == "sokoban" else call(tools(env), command, patterns)
        assert answer.startswith(observation)
        if terminated or truncated:
            assert answer.endswith(trl.OVER)
            name, arguments = {"sokoban": ("up", []), "webshop": ("click", ["search"])}.get(family, ("inventory", []))
            assert tools(env)[name](*arguments) == trl.OVER, "a call after the end changes nothing"
            break
    assert env.get_reward() == pytest.approx(info["score"])
    assert info["won"] or family == "sokoban" or truncated


def test_rows_name_tasks_that_reset_begins() -> None:
    rows = trl.rows("household", "dev", count=3)
    assert len({row["task_id"] for row in rows}) == 3
    env = trl.factory("household", "train")()
    texts = [env.reset(**row) for row in rows]
    assert len(set(texts)) == 3 and texts == [env.reset(**row) for row in rows]
    assert len(trl.rows("household", "dev")) == len(stepladder.tasks("household", "dev"))
    with pytest.raises(stepladder.UsageError):
        trl.rows("household", count=0)
    with pytest.raises(stepladder.UnknownEnvironment):
        trl.factory("chess")
    with pytest.raises(stepladder.StepBeforeReset):
        trl.factory("household")().get_reward()


def test_a_manager_answers_as_verl_agent_expects(family: str) -> None:
    envs = verl_agent.EnvironmentManager(family, num_envs=2, group_size=2, seed=0, max_steps=3)
    observations, infos = envs.reset({})
    assert observations.keys() == {"text", "image", "anchor"} and observations["image"] is None
    assert len(observations["text"]) == len(infos) == envs.num_processes == 4
    assert [info["task_id"] for info in infos[:2]] == [infos[0]["extra.gamefile"]] * 2
    assert infos[0]["seed"] == infos[1]["seed"] != infos[2]["seed"]
    for at, text in enumerate(observations["text"]):
        assert infos[at]["task"] in text and observations["anchor"][at] in text
    total_infos: list[list[dict[str, Any]]] = [[] for _ in range(4)]
    total_batch: list[list[dict[str, Any]]] = [[] for _ in range(4)]
    dones = np.zeros(4, dtype=bool)
    for number in range(4):
        replies = [f"<think>x</think><action>{info['admissible_actions'][0]}</action>" for info in infos] if number < 3 else ["none"] * 4
        was = dones
        observations, rewards, dones, infos = envs.step(replies)
        assert rewards.shape == dones.shape == (4,) and rewards.dtype == np.float64 and dones.dtype == np.bool_
        assert [bool(info["is_action_valid"]) for info in infos] == [number < 3] * 4
        for at in range(4):
            total_infos[at].append(infos[at])
            total_batch[at].append({"active_masks": not was[at]})
        assert len(envs.memory[0]) == number + 1
        if number < 3:
            assert envs.memory[0][-1]["action"] == infos[0]["projected_action"]
        if number == 0:
            assert infos[0]["projected_action"] in observations["text"][0], "the prompt shows the latest steps"
    assert dones.all() and not rewards.any() and all(info["truncated"] or info["terminated"] for info in infos)
    success = envs.success_evaluator(total_infos=total_infos, total_batch_list=total_batch)
    assert success["success_rate"].shape == (4,) and f"{infos[0]['family']}_success_rate" in success
    envs.close()
    with pytest.raises(stepladder.Closed):
        envs.reset({})


def test_a_managers_rows_choose_tasks_and_its_functions_can_be_replaced() -> None:
    tasks = stepladder.tasks("household", "dev")[:2]
    envs = verl_agent.EnvironmentManager(
        "household",
        "dev",
        num_envs=2,
        group_size=2,
        projection=lambda replies, admissible: (["look" for _ in replies], [False] * len(replies)),
        prompt=lambda info, observation, history, admissible: f"{len(history)} {info['steps']}",
        history_length=1,
    )
    _, infos = envs.reset([{"task_id": task, "seed": 4} for task in tasks])
    assert [info["task_id"] for info in infos] == [tasks[0], tasks[0], tasks[1], tasks[1]]
    assert infos[0]["seed"] == 4
    envs.step(["a"] * 4)
    observations, _, _, infos = envs.step(["a"] * 4)
    assert observations["text"] == ["1 2"] * 4 and infos[0]["projected_action"] == "look"
    contexts, lengths = envs.memory.fetch(5)
    assert lengths == [2] * 4 and contexts[0].count("Action") == 2 and "'look'" in contexts[0]


def test_wrong_arguments_of_a_manager_are_refused() -> None:
    for name, value in [("group_size", 0), ("num_envs", 1.5), ("seed", -1), ("history_length", -1)]:
        with pytest.raises(stepladder.UsageError, match=f"{name} is {value}"):
            verl_agent.EnvironmentManager("household", **{name: value})
    envs = verl_agent.EnvironmentManager("household", num_envs=2)
    with pytest.raises(stepladder.StepBeforeReset):
        envs.step(["look", "look"])
    envs.reset()
    with pytest.raises(stepladder.UsageError, match="1 replies for 2"):
        envs.step(["look"])
    for replies in [None, "ab", {"look": 1, "inventory": 2}]:
        with pytest.raises(stepladder.UsageError, match="a list with one text per environment"):
            envs.step(replies)  # type: ignore[arg-type]
    with pytest.raises(stepladder.InvalidAction, match="a reply is a text"):
        envs.step(["look", 5])  # type: ignore[list-item]
    with pytest.raises(stepladder.UsageError, match="an EnvironmentManager cannot be pickled or copied"):
        copy.deepcopy(envs)
