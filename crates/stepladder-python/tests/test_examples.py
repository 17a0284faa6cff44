"""The examples are whole programs, and the guide pages begin with lines that run."""

import os
import pathlib
import re
import subprocess
import sys
import types

import pytest
import stepladder

ROOT = pathlib.Path(__file__).parents[3]


def run(name: str, *arguments: str) -> str:
    """Runs an example; returns what it printed."""
    command = [sys.executable, str(ROOT / "examples" / name), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def test_a_random_agent_plays_every_environment(family: str) -> None:
    steps = "5" if family == "scienceworld" else "60"
    said = run("random_agent.py", family, "--envs", "4", "--steps", steps)
    assert re.fullmatch(rf"{4 * int(steps)} steps, \d+ episodes, \d+ won\n", said)


@pytest.mark.parametrize("arguments", [[], ["--env", "alfworld", "--split", "valid_seen"]])
def test_a_scripted_agent_solves_its_games(arguments: list[str]) -> None:
    try:
        if arguments:
            stepladder.make("alfworld", "valid_seen").close()
    except stepladder.DataMissing as error:
        pytest.skip(str(error))
    assert run("scripted_agent.py", *arguments, "--games", "10") == "10 of 10 games won\n"


def blocks(page: str) -> list[str]:
    """Returns the Python lines of a guide page."""
    return re.findall(r"^```python\n(.*?)^```", (ROOT / "docs" / page).read_text(), re.MULTILINE | re.DOTALL)


def execute(block: str) -> None:
    """Runs lines of the guide, on generated games in place of the official ones, which not every machine has."""
    exec(compile(block.replace('"alfworld"', '"household"'), "docs/python.md", "exec"), {"stepladder": stepladder})


def test_the_lines_of_the_guide_run() -> None:
    lines = blocks("python.md")
    assert len(lines[0].splitlines()) <= 5
    for block in lines:
        if "load_policy" not in block:
            execute(block)


def test_the_lines_about_trained_policies_run(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = os.environ.get("STEPLADDER_BIN")
    if program is None:
        pytest.skip("no program in STEPLADDER_BIN")
    tiny = ROOT / "crates/stepladder/tests/tiny.toml"
    subprocess.run([program, "train", tiny, "--run-dir", tmp_path / "runs/demo"], check=True, capture_output=True)
    monkeypatch.chdir(tmp_path)
    (block,) = [block for block in blocks("python.md") if "load_policy" in block]
    execute(block)


def test_the_lines_for_trainers_run_where_they_need_no_trainer() -> None:
    (manager,) = [block for block in blocks("trainers.md") if "EnvironmentManager" in block]
    names = {"replies": ["<action>look</action>"] * 128}
    exec(compile(manager.replace('"alfworld"', '"household"'), "docs/trainers.md", "exec"), names)
    assert len(names["observations"]["text"]) == 128  # type: ignore[call-overload]


def test_the_first_lines_for_trainers_name_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    first = blocks("trainers.md")[0]
    assert len(first.splitlines()) <= 5
    given: dict[str, object] = {}

    class Trainer:
        def __init__(self, model: str, **keywords: object) -> None:
            given.update(keywords)

        def train(self) -> None:
            given["trained"] = True

    # In place of packages that the tests do without: what the lines import is there, and nothing else.
    for name, members in {
        "trl": {"GRPOConfig": dict, "GRPOTrainer": Trainer},
        "datasets": {"Dataset": types.SimpleNamespace(from_list=list)},
    }.items():
        module = types.ModuleType(name)
        vars(module).update(members)
        monkeypatch.setitem(sys.modules, name, module)
    exec(compile(first, "docs/trainers.md", "exec"), {})
    dataset, factory = given["train_dataset"], given["environment_factory"]
    assert given["trained"] and len(dataset) == 500  # type: ignore[arg-type]
    row = dataset[0]  # type: ignore[index]
    assert factory().reset(**row)  # type: ignore[operator]
