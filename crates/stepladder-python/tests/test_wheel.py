"""What the wheel holds."""

import pathlib
import subprocess
import sys

import pytest
import stepladder


def test_there_is_no_libtorch_inside() -> None:
    package = pathlib.Path(stepladder.__file__).parent
    libraries = [path for path in package.parent.rglob("*stepladder*/**/*") if ".so" in path.suffixes]
    assert len(libraries) == 1, libraries
    content = libraries[0].read_bytes()
    for word in [b"libtorch", b"libc10", b"c10::"]:
        assert word not in content


def test_the_package_is_typed_and_built_for_every_later_python() -> None:
    package = pathlib.Path(stepladder.__file__).parent
    assert (package / "py.typed").is_file() and (package / "_stepladder.pyi").is_file()
    assert list(package.glob("_stepladder.abi3.so")) or sys.platform == "win32"


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="counts threads in /proc")
def test_importing_it_starts_no_thread() -> None:
    # numpy may start threads of its own.
    code = """
import gymnasium, numpy, os
before = len(os.listdir("/proc/self/task"))
import stepladder
stepladder.envs()
print(len(os.listdir("/proc/self/task")) - before)
stepladder.make_vec("household", 2).reset(seed=0)
print(len(os.listdir("/proc/self/task")) - before > 0)
"""
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.split() == ["0", "True"]
