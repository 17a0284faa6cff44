"""Demonstrations, traces and agents."""

import json
import os
import pathlib
from typing import Any

import pandas
import pytest
import stepladder


def test_the_expert_demonstrates_every_environment(family: str) -> None:
    episodes = stepladder.demonstrate(family, count=2, seed=1)
    assert len(episodes) == 2 and all(episode["task"]["env"] == family for episode in episodes)
    assert any(episode["won"] for episode in episodes)
    records = stepladder.steps(episodes)
    assert len(records) == sum(len(subtask["steps"]) for episode in episodes for subtask in episode["subtasks"])
    assert all(isinstance(value, (str, int, float, bool)) for record in records for value in record.values())
    assert len({tuple(record) for record in records}) == 1, "the same keys in each"
    ends = [record for record in records if record["terminated"] or record["truncated"]]
    assert len(ends) == 2 and records[0]["step"] == 0 and records[0]["label"].startswith(records[0]["action"])


def test_records_are_a_data_frame() -> None:
    frame = pandas.DataFrame(stepladder.steps(stepladder.demonstrate("household", count=3)))
    assert frame.groupby("task_id").size().sum() == len(frame) and frame["reward"].dtype == "float64"


def test_noise_keeps_the_experts_label() -> None:
    records = stepladder.steps(stepladder.demonstrate("household", count=20, noise=0.5, agent="flat"))
    assert any(record["label"] != record["action"] for record in records)
    assert all(record["subtask"] == "" for record in records)
    clean = stepladder.steps(stepladder.demonstrate("household", count=20, agent="flat"))
    assert all(record["label"] == record["action"] for record in clean)


@pytest.mark.parametrize("agent", ["flat", "step_hrl"])
@pytest.mark.parametrize("id", ["household", "sokoban", "webshop"])
def test_a_policy_in_python_plays_what_the_scheduler_plays(id: str, agent: str) -> None:
    for demonstrated in stepladder.demonstrate(id, count=2, agent=agent):
        task = demonstrated["task"]
        env = stepladder.make(id, task["split"], task=task["id"])
        played = stepladder.play(env, agent, stepladder.expert(id), seed=demonstrated["seed"], name=f"expert/{id}")
        assert played == demonstrated


def test_an_agent_is_driven_event_by_event() -> None:
    env = stepladder.make("household", max_steps=3)
    agent = stepladder.Agent("step_hrl", max_steps=3)
    roles = []
    want = agent.start(*env.reset(seed=0))
    while not isinstance(want, stepladder.Finished):
        if isinstance(want, stepladder.Reply):
            roles.append(want.query["role"])
            want = agent.on_reply({"planner": "look around", "executor": "look; False", "progress": "seen"}[roles[-1]])
        else:
            assert want == stepladder.Act("look")
            want = agent.on_step(*env.step(want.action))
    assert roles == ["planner", "executor", "progress", "executor", "progress", "executor", "progress"]
    episode = agent.episode(env="household")
    assert episode["end"] == "truncated" and episode["subtasks"][0]["text"] == "look around"
    with pytest.raises(stepladder.UsageError, match="waits for nothing"):
        agent.on_reply("look; False")


def test_what_an_agent_does_not_wait_for_is_refused() -> None:
    agent = stepladder.Agent("flat")
    with pytest.raises(stepladder.UsageError, match="waits for start"):
        agent.on_reply("look")
    env = stepladder.make("household")
    agent.start(*env.reset(seed=0))
    with pytest.raises(stepladder.UsageError, match="waits for a reply"):
        agent.on_step(*env.step("look"))
    with pytest.raises(stepladder.InvalidAction):
        agent.on_reply(None)  # type: ignore[arg-type]
    with pytest.raises(stepladder.UsageError, match="unknown agent `react`"):
        stepladder.Agent("react")
    with pytest.raises(stepladder.UsageError, match="does not play the role macro"):
        stepladder.play(env, "himac", stepladder.expert("household"))
    with pytest.raises(stepladder.UnknownEnvironment):
        stepladder.expert("chess")


def test_an_exception_of_a_policy_passes_through() -> None:
    def policy(query: dict[str, Any]) -> str:
        raise KeyError(query["role"])

    with pytest.raises(KeyError, match="flat"):
        stepladder.play(stepladder.make("household"), "flat", policy)


def test_a_trace_is_read_back(tmp_path: pathlib.Path) -> None:
    episodes = stepladder.demonstrate("household", count=2)
    path = tmp_path / "trace.jsonl"
    path.write_text("".join(json.dumps(episode) + "\n" for episode in episodes))
    assert stepladder.transcript(path) == episodes
    path.write_text(json.dumps({**episodes[0], "version": 99}) + "\n")
    with pytest.raises(stepladder.DataError, match="trace format 99"):
        stepladder.transcript(path)
    path.write_text('{"obs": "a"}\n\n{"obs": "b"}\n')
    assert stepladder.transcript(path) == [{"obs": "a"}, {"obs": "b"}]
    path.write_text("{}\nnot JSON\n")
    with pytest.raises(stepladder.DataError, match="line 2 is not JSON"):
        stepladder.transcript(path)
    with pytest.raises(stepladder.DataMissing, match="cannot open"):
        stepladder.transcript(tmp_path / "absent.jsonl")


def test_recorded_transcripts_of_the_originals_are_read() -> None:
    root = os.environ.get("STEPLADDER_DATA")
    found = sorted(pathlib.Path(root, "transcripts").rglob("*.jsonl*")) if root else []
    if not found:
        pytest.skip("no transcripts below the data root in STEPLADDER_DATA")
    smallest = min(found, key=lambda path: path.stat().st_size)
    assert all(isinstance(row, dict) for row in stepladder.transcript(smallest))


def test_wrong_arguments_are_refused() -> None:
    for keywords, message in [
        ({"count": 0}, "count"),
        ({"noise": 1.0}, "probability below 1"),
        ({"noise": float("nan")}, "probability below 1"),
        ({"agent": "react"}, "unknown agent"),
        ({"agent": "himac"}, "macro"),
        ({"max_steps": 0}, "whole number from 1"),
        ({"max_steps": 2.5}, "max_steps is 2.5"),
        ({"count": 2**70}, "count is"),
        ({"count": 1.5}, "count is 1.5"),
        ({"noise": "much"}, "noise is 'much'"),
        ({"agent": 5}, "agent is 5"),
        ({"seed": -1}, "seed is -1"),
    ]:
        with pytest.raises(stepladder.UsageError, match=message):
            stepladder.demonstrate("household", **{"count": 1, **keywords})
    with pytest.raises(stepladder.UnknownSplit):
        stepladder.demonstrate("household", "exam", count=1)


def test_an_agent_refuses_wrong_arguments_and_a_step_before_the_start() -> None:
    for limit in (None, 0, "3"):
        with pytest.raises(stepladder.UsageError, match="max_steps is"):
            stepladder.Agent("flat", max_steps=limit)  # type: ignore[arg-type]
    agent = stepladder.Agent("flat")
    env = stepladder.make("household")
    observation, info = env.reset(seed=0)
    with pytest.raises(stepladder.UsageError, match="got a step, but waits for start"):
        agent.on_step(observation, 0.0, False, False, info)
    assert isinstance(agent.start(observation, info), stepladder.Reply)
