"""Exceptions, all of them subclasses of `StepladderError`.

Those that answer a wrong argument are also `ValueError` or `TypeError`, those that answer a call at the wrong time also
`RuntimeError`, and absent data also `FileNotFoundError`.
"""

__all__ = [
    "BackendError",
    "Closed",
    "DataError",
    "DataMissing",
    "EpisodeOver",
    "Forked",
    "InvalidAction",
    "StepBeforeReset",
    "StepladderError",
    "UnknownEnvironment",
    "UnknownSplit",
    "UnknownTask",
    "UsageError",
]


class StepladderError(Exception):
    """Base class of all exceptions of this package."""


class UsageError(StepladderError, ValueError):
    """An argument or option that cannot be served."""


class UnknownEnvironment(UsageError):
    """No environment has this id."""


class UnknownSplit(UsageError):
    """The environment has no split of this name."""


class UnknownTask(UsageError):
    """The split has no such task."""


class InvalidAction(StepladderError, TypeError):
    """An action that is no text. A text that the environment does not understand is no error: it is answered."""


class StepBeforeReset(StepladderError, RuntimeError):
    """`step` was called before `reset`."""


class EpisodeOver(StepladderError, RuntimeError):
    """`step` was called after the end of the episode."""


class Closed(StepladderError, RuntimeError):
    """The environment is closed."""


class Forked(StepladderError, RuntimeError):
    """The environment was made before a fork and its simulator stayed in the parent process."""


class BackendError(StepladderError, RuntimeError):
    """The simulator behind the environment failed; the next `reset` makes a new one."""


class DataError(StepladderError):
    """A data file is broken or cannot be read."""


class DataMissing(DataError, FileNotFoundError):
    """Data are absent; the message says how to get them."""
