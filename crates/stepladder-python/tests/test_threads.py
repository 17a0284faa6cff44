"""Calls from several threads, and interrupts."""

from collections.abc import Callable

import pytest
import stepladder

SPLIT = """
import os, threading, time
import stepladder

root = os.environ["STEPLADDER_DATA"]
seen = []
for round in range(6):
    # Another spelling of the root, for tasks whose split was not read yet.
    env = stepladder.make("alfworld", "valid_seen", data=root + "/." * round)
    env.reset(seed=0)
    def reset():
        seen.append(env.reset(options={"split": "train"})[1]["split"])
    first, *others = threads = [threading.Thread(target=reset) for _ in range(6)]
    first.start()
    time.sleep(0.03 + 0.01 * round)  # so that the others come while it reads
    for thread in others:
        thread.start()
    for thread in threads:
        thread.join()
print(len(seen), set(seen))
"""


def test_several_threads_change_the_split_of_an_environment(in_process: Callable[..., str]) -> None:
    try:
        stepladder.make("alfworld", "valid_seen").close()
        stepladder.tasks("alfworld", "train")
    except stepladder.DataMissing as error:
        pytest.skip(str(error))
    assert in_process(SPLIT) == "36 {'train'}\n"


ENDLESS = """
import os, signal, threading, time
import stepladder

# A background job of a shell ignores the signal.
signal.signal(signal.SIGINT, signal.default_int_handler)
def interrupt():
    time.sleep(1)
    os.kill(os.getpid(), signal.SIGINT)
try:
    threading.Thread(target=interrupt).start()
    # Nearly all steps are drawn at random, and the flat expert does not finish from there.
    stepladder.demonstrate("household", "dev", count=8, agent="flat", noise=0.999999, max_steps=2**32 - 1)
except KeyboardInterrupt:
    print("interrupted", len(stepladder.demonstrate("household", "dev", count=2)))
"""


def test_an_interrupt_ends_demonstrations(in_process: Callable[..., str]) -> None:
    assert in_process(ENDLESS) == "interrupted 2\n"
