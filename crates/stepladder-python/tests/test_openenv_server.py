"""`stepladder env serve` beside the server of OpenEnv: the same messages, the same kinds of answers."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

OPENENV = """
import socket
import uvicorn
from openenv.core.env_server import create_fastapi_app
from openenv.core.env_server.interfaces import Environment
from openenv.core.env_server.types import Action, Observation, State

class Word(Action):
    action: str

class Echo(Environment):
    SUPPORTS_CONCURRENT_SESSIONS = True
    state = State()
    def reset(self, seed=None, episode_id=None, **rest):
        return Observation()
    def step(self, action, timeout_s=None, **rest):
        return Observation(reward=0.5)

listening = socket.socket()
listening.bind(("127.0.0.1", 0))
print('{"port": %d}' % listening.getsockname()[1], flush=True)
app = create_fastapi_app(Echo, Word, Observation, max_concurrent_envs=1)
uvicorn.Server(uvicorn.Config(app, log_level="error")).run(sockets=[listening])
"""

RESET = '{"type": "reset", "data": {"seed": 1}}'
STEP = '{"type": "step", "data": {"action": "up"}}'

SAME = {
    "{": "INVALID_JSON",
    "{}": "UNKNOWN_TYPE",
    '{"type": 7}': "UNKNOWN_TYPE",
    '{"type": "leap"}': "UNKNOWN_TYPE",
    '{"type": "state", "data": {}}': "VALIDATION_ERROR",
    '{"type": "step"}': "VALIDATION_ERROR",
    '{"type": "step", "data": {}}': "VALIDATION_ERROR",
    '{"type": "step", "data": {"action": 7}}': "VALIDATION_ERROR",
    '{"type": "step", "data": {"action": "up", "verb": "go"}}': "VALIDATION_ERROR",
    '{"type": "step", "data": []}': "VALIDATION_ERROR",
    '{"type": "reset", "data": []}': "VALIDATION_ERROR",
    '{"type": "reset", "seed": 1}': "VALIDATION_ERROR",
    RESET: "observation",
    STEP: "observation",
    '{"type": "step", "data": {"action": "up", "metadata": {"a": 1}}}': "observation",
    '{"type": "state"}': "state",
}
"""Messages that both answer alike and after which the session goes on."""

OTHERWISE = {
    "[]": ("SESSION_ERROR", "VALIDATION_ERROR"),
    b"{}": ("SESSION_ERROR", "VALIDATION_ERROR"),
    '{"type": "reset", "data": {"sed": 1}}': ("observation", "VALIDATION_ERROR"),
}
"""Departures that docs/openenv.md lists: the answer of OpenEnv and ours."""


@contextmanager
def running(command: list[str]) -> Iterator[int]:
    """Runs a server and yields the port that it prints."""
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield json.loads(process.stdout.readline())["port"]
    finally:
        process.kill()
        process.communicate()


@pytest.fixture(scope="module")
def ports() -> Iterator[tuple[int, int]]:
    """Ports of OpenEnv's server and of ours; without the program the test is skipped."""
    program = os.environ.get("STEPLADDER_BIN")
    if not program:
        pytest.skip("no program in STEPLADDER_BIN")
    ours = [program, "env", "serve", "sokoban", "--port", "0", "--json", "--sessions", "1"]
    with running([sys.executable, "-c", OPENENV]) as theirs, running(ours) as port:
        yield theirs, port


def ask(socket: ClientConnection, message: str | bytes) -> str:
    """Sends a message and returns the kind of the answer: its code if it is an error."""
    socket.send(message)
    answer = json.loads(socket.recv(timeout=60))
    return answer["data"]["code"] if answer["type"] == "error" else answer["type"]


@contextmanager
def episode(port: int) -> Iterator[ClientConnection]:
    """Opens a session and begins an episode. The session before may take a moment to leave."""
    begun = False
    while not begun:
        with connect(f"ws://127.0.0.1:{port}/ws") as socket:
            with suppress(ConnectionClosed):
                begun = ask(socket, RESET) == "observation"
            if begun:
                yield socket


def kinds(port: int, message: str | bytes) -> tuple[str, bool]:
    """Returns the kind of the answer to a message in a running episode, and whether the session goes on."""
    with episode(port) as socket:
        kind = ask(socket, message)
        try:
            return kind, ask(socket, '{"type": "state"}') == "state"
        except ConnectionClosed:
            return kind, False


@pytest.mark.parametrize("message", SAME)
def test_messages_are_answered_alike(ports: tuple[int, int], message: str) -> None:
    assert [kinds(port, message) for port in ports] == [(SAME[message], True)] * 2


@pytest.mark.parametrize("message", OTHERWISE)
def test_departures_are_those_of_the_guide(ports: tuple[int, int], message: str | bytes) -> None:
    theirs, ours = OTHERWISE[message]
    answers = [kinds(port, message) for port in ports]
    assert answers == [(theirs, theirs == "observation"), (ours, True)]


def test_a_session_beyond_the_capacity_is_refused_alike(ports: tuple[int, int]) -> None:
    for port in ports:
        with episode(port), connect(f"ws://127.0.0.1:{port}/ws") as second:
            data = json.loads(second.recv(timeout=60))["data"]
            data.pop("message")
            assert data == {"code": "CAPACITY_REACHED", "active_sessions": 1, "max_sessions": 1}
            with pytest.raises(ConnectionClosed) as closed:
                second.recv(timeout=60)
            assert closed.value.rcvd.code == 1000


def test_observations_have_the_same_envelope(ports: tuple[int, int]) -> None:
    for port in ports:
        with episode(port) as socket:
            for message, kind in ((RESET, type(None)), (STEP, float)):
                socket.send(message)
                data = json.loads(socket.recv(timeout=60))["data"]
                assert set(data) == {"observation", "reward", "done"}
                assert data["done"] is False and isinstance(data["reward"], kind)
