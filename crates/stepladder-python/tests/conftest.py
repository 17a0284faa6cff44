"""What the tests share."""

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
