"""What the tests share."""

import os
import subprocess
import sys
from collections.abc import Callable

import pytest
import stepladder


@pytest.fixture(params=[environment.id for environment in stepladder.envs()])
def family(request: pytest.FixtureRequest) -> str:
    """Every environment in turn; without its data the test is skipped, which `cargo xtask test` counts."""
    id = request.param
    try:
        env = stepladder.make(id)
        env.reset(seed=0)
        env.close()
    except stepladder.DataMissing as error:
        pytest.skip(str(error))
    return id


@pytest.fixture
def in_process() -> Callable[..., str]:
    """A function that runs a program with arguments in a process of its own and returns what it printed.

    The time limit only ends a program that hangs, which is the failure that its tests look for.
    """

    def run(program: str, *arguments: str) -> str:
        command = [sys.executable, "-c", program, *arguments]
        environment = {**os.environ, "RAYON_NUM_THREADS": "2"}
        return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, timeout=400, env=environment).stdout

    return run


@pytest.fixture
def in_child() -> Callable[[Callable[[], object]], str]:
    """A function that runs work in a forked process and returns its result, or its exception, as text."""

    def run(work: Callable[[], object]) -> str:
        reading, writing = os.pipe()
        process = os.fork()
        if process == 0:
            try:
                text = str(work())
            except BaseException as error:
                text = f"{type(error).__name__}: {error}"
            os.write(writing, text.encode())
            os._exit(0)
        os.close(writing)
        with os.fdopen(reading) as pipe:
            text = pipe.read()
        os.waitpid(process, 0)
        return text

    return run
