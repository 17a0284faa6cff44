"""The space of observations and actions."""

from typing import Any

import numpy as np
from gymnasium import Space

__all__ = ["Text"]

_CHARACTERS = "abcdefghijklmnopqrstuvwxyz 0123456789"


class Text(Space[str]):
    """All texts: any characters, any length.

    Gymnasium's own space of this name lists its characters and limits the length, which no text environment promises.
    """

    def __init__(self, seed: int | np.random.Generator | None = None) -> None:
        """Creates the space; `seed` seeds its samples."""
        super().__init__(shape=None, dtype=str, seed=seed)

    @property
    def is_np_flattenable(self) -> bool:
        """Returns False: a text is no array of numbers."""
        return False

    def contains(self, x: Any) -> bool:
        """Returns whether `x` is a text."""
        return isinstance(x, str)

    def sample(self, mask: None = None, probability: None = None) -> str:
        """Draws a text of 1 to 32 letters, digits and spaces. A mask has no meaning here."""
        if mask is not None or probability is not None:
            raise ValueError("a space of texts has no mask and no probabilities")
        length = int(self.np_random.integers(1, 33))
        return "".join(_CHARACTERS[int(at)] for at in self.np_random.integers(0, len(_CHARACTERS), length))

    def __eq__(self, other: object) -> bool:
        """Returns whether `other` is a space of texts too."""
        return isinstance(other, Text)

    def __hash__(self) -> int:
        """Returns the same number for every space of texts."""
        return hash(Text)

    def __repr__(self) -> str:
        """Returns `Text()`."""
        return "Text()"
