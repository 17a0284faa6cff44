"""What the tests share."""

import os
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
