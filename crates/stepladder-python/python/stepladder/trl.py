"""Environments for TRL's trainers: classes whose methods are the tools that a model calls.

    from stepladder.trl import factory, rows
    trainer = GRPOTrainer(..., environment_factory=factory("household"), train_dataset=Dataset.from_list(rows("household", count=100)))

One method is one verb, as TRL advises; its types and its docstring become the schema of the tool. `reset` begins the episode of a row of the data
set and returns its first text; `get_reward` is the score of the episode. Rows with the same task form a group, so give TRL a data set:
without one, each rollout of a group would play another task. TRL itself is not imported.
"""

import functools
import os
from collections.abc import Callable
from typing import Any

from stepladder.arguments import whole
from stepladder.catalogue import OptionValue, describe, tasks
from stepladder.environment import TextEnv
from stepladder.errors import StepBeforeReset, UsageError

__all__ = ["Household", "ScienceWorld", "Sokoban", "WebShop", "factory", "rows"]

OVER = "The episode is over."
"""Answer of every tool after the end of the episode."""


class _Tools:
    """What the classes have in common. Public methods of a class are tools, so everything else is private."""

    def __init__(self, id: str, split: str | None = None, **keywords: Any) -> None:
        self._env = TextEnv(id, split, **keywords)
        self._info: dict[str, Any] | None = None
        self._over = False

    def reset(self, task_id: str | int | None = None, split: str | None = None, seed: int | None = None, **_: Any) -> str:
        """Begins an episode: of a task, or of a task that the seed draws; other columns of the row are ignored."""
        options = {name: value for name, value in (("task", task_id), ("split", split)) if value is not None}
        text, self._info = self._env.reset(seed=seed, options=options)
        self._over = False
        return self._first(text)

    def get_reward(self) -> float:
        """Returns the score of the episode so far."""
        if self._info is None:
            raise StepBeforeReset("no episode was begun")
        return float(self._info["score"])

    def _first(self, text: str) -> str:
        return text

    def _answer(self, text: str) -> str:
        return text

    def _play(self, action: str) -> str:
        if self._over:
            return OVER
        text, _, terminated, truncated, self._info = self._env.step(action)
        self._over = terminated or truncated
        return f"{self._answer(text)}\n{OVER}" if self._over else self._answer(text)


class Household(_Tools):
    """ALFWorld's games: the environments `alfworld` and `household`."""

    def __init__(self, id: str = "household", split: str | None = None, **keywords: Any) -> None:
        """Opens an environment with the arguments of `stepladder.make`."""
        super().__init__(id, split, **keywords)

    def go_to(self, receptacle: str) -> str:
        """
        Go to a receptacle (a piece of furniture or an appliance).

        Args:
            receptacle: Name with its number, for example "countertop 1".

        Returns:
            What you see there.
        """
        return self._play(f"go to {receptacle}")

    def take(self, object: str, receptacle: str) -> str:
        """
        Take an object from the receptacle in front of you. You can hold one object.

        Args:
            object: Name of the object with its number, for example "mug 2".
            receptacle: Name of the receptacle with its number.

        Returns:
            What happened.
        """
        return self._play(f"take {object} from {receptacle}")

    def put(self, object: str, receptacle: str) -> str:
        """
        Put the object that you hold into or onto the receptacle in front of you.

        Args:
            object: Name of the object with its number, for example "mug 2".
            receptacle: Name of the receptacle with its number.

        Returns:
            What happened.
        """
        return self._play(f"move {object} to {receptacle}")

    def open(self, receptacle: str) -> str:
        """
        Open the receptacle in front of you.

        Args:
            receptacle: Name with its number, for example "fridge 1".

        Returns:
            What is in it.
        """
        return self._play(f"open {receptacle}")

    def close(self, receptacle: str) -> str:
        """
        Close the receptacle in front of you.

        Args:
            receptacle: Name with its number, for example "fridge 1".

        Returns:
            What happened.
        """
        return self._play(f"close {receptacle}")

    def clean(self, object: str, receptacle: str) -> str:
        """
        Clean the object that you hold.

        Args:
            object: Name of the object with its number.
            receptacle: Sink in front of you, for example "sinkbasin 1".

        Returns:
            What happened.
        """
        return self._play(f"clean {object} with {receptacle}")

    def heat(self, object: str, receptacle: str) -> str:
        """
        Heat the object that you hold.

        Args:
            object: Name of the object with its number.
            receptacle: Appliance in front of you, for example "microwave 1".

        Returns:
            What happened.
        """
        return self._play(f"heat {object} with {receptacle}")

    def cool(self, object: str, receptacle: str) -> str:
        """
        Cool the object that you hold.

        Args:
            object: Name of the object with its number.
            receptacle: Appliance in front of you, for example "fridge 1".

        Returns:
            What happened.
        """
        return self._play(f"cool {object} with {receptacle}")

    def slice(self, object: str, tool: str) -> str:
        """
        Slice an object in front of you.

        Args:
            object: Name of the object with its number.
            tool: Name of the knife that you hold, with its number.

        Returns:
            What happened.
        """
        return self._play(f"slice {object} with {tool}")

    def use(self, object: str) -> str:
        """
        Switch on a lamp in front of you.

        Args:
            object: Name of the lamp with its number, for example "desklamp 1".

        Returns:
            What happened.
        """
        return self._play(f"use {object}")

    def examine(self, thing: str) -> str:
        """
        Look closely at an object or receptacle.

        Args:
            thing: Name with its number.

        Returns:
            What you see.
        """
        return self._play(f"examine {thing}")

    def look(self) -> str:
        """
        Look around.

        Returns:
            Where you are.
        """
        return self._play("look")

    def inventory(self) -> str:
        """
        Check what you hold.

        Returns:
            The object, if there is one.
        """
        return self._play("inventory")


class Sokoban(_Tools):
    """Sokoban boards: `#` wall, `_` floor, `O` target, `X` box, `√` box on a target, `P` player, `S` player on a target."""

    def __init__(self, id: str = "sokoban", split: str | None = None, **keywords: Any) -> None:
        """Opens an environment with the arguments of `stepladder.make`."""
        super().__init__(id, split, **keywords)

    def up(self) -> str:
        """
        Move up; a box in the way is pushed if the field behind it is free.

        Returns:
            The board.
        """
        return self._play("up")

    def down(self) -> str:
        """
        Move down; a box in the way is pushed if the field behind it is free.

        Returns:
            The board.
        """
        return self._play("down")

    def left(self) -> str:
        """
        Move left; a box in the way is pushed if the field behind it is free.

        Returns:
            The board.
        """
        return self._play("left")

    def right(self) -> str:
        """
        Move right; a box in the way is pushed if the field behind it is free.

        Returns:
            The board.
        """
        return self._play("right")


class ScienceWorld(_Tools):
    """ScienceWorld. Answers end with room and inventory as they are after the action."""

    def __init__(self, id: str = "scienceworld", split: str | None = None, **keywords: Any) -> None:
        """Opens an environment with the arguments of `stepladder.make`."""
        super().__init__(id, split, **keywords)

    def _first(self, text: str) -> str:
        return self._answer(text)

    def _answer(self, text: str) -> str:
        assert self._info is not None
        return f"{text}\n{self._info['context']}"

    def go_to(self, place: str) -> str:
        """
        Go to a neighbouring place through an open door.

        Args:
            place: Name of the place, for example "kitchen".

        Returns:
            What happened, and what you see.
        """
        return self._play(f"go to {place}")

    def open(self, object: str) -> str:
        """
        Open a door or container.

        Args:
            object: Name of the object, for example "door to kitchen".

        Returns:
            What happened, and what you see.
        """
        return self._play(f"open {object}")

    def close(self, object: str) -> str:
        """
        Close a door or container.

        Args:
            object: Name of the object.

        Returns:
            What happened, and what you see.
        """
        return self._play(f"close {object}")

    def activate(self, device: str) -> str:
        """
        Switch a device on.

        Args:
            device: Name of the device, for example "stove".

        Returns:
            What happened, and what you see.
        """
        return self._play(f"activate {device}")

    def deactivate(self, device: str) -> str:
        """
        Switch a device off.

        Args:
            device: Name of the device.

        Returns:
            What happened, and what you see.
        """
        return self._play(f"deactivate {device}")

    def look_around(self) -> str:
        """
        Look around in the room.

        Returns:
            What you see.
        """
        return self._play("look around")

    def look_at(self, object: str) -> str:
        """
        Look at an object.

        Args:
            object: Name of the object.

        Returns:
            What you see.
        """
        return self._play(f"look at {object}")

    def look_in(self, container: str) -> str:
        """
        Look into a container.

        Args:
            container: Name of the container.

        Returns:
            What you see.
        """
        return self._play(f"look in {container}")

    def examine(self, object: str) -> str:
        """
        Examine an object.

        Args:
            object: Name of the object.

        Returns:
            What you see.
        """
        return self._play(f"examine {object}")

    def read(self, object: str) -> str:
        """
        Read a note or book.

        Args:
            object: Name of the object.

        Returns:
            The text.
        """
        return self._play(f"read {object}")

    def pick_up(self, object: str) -> str:
        """
        Put an object into your inventory.

        Args:
            object: Name of the object.

        Returns:
            What happened, and what you see.
        """
        return self._play(f"pick up {object}")

    def put_down(self, object: str) -> str:
        """
        Put an object of your inventory down.

        Args:
            object: Name of the object.

        Returns:
            What happened, and what you see.
        """
        return self._play(f"put down {object}")

    def move(self, object: str, destination: str) -> str:
        """
        Move an object to a container or place.

        Args:
            object: Name of the object.
            destination: Name of the container or place.

        Returns:
            What happened, and what you see.
        """
        return self._play(f"move {object} to {destination}")

    def pour(self, object: str, container: str) -> str:
        """
        Pour a liquid, or the content of a container, into a container.

        Args:
            object: Name of the liquid or container.
            container: Name of the container to pour into.

        Returns:
            What happened, and what you see.
        """
        return self._play(f"pour {object} into {container}")

    def dunk(self, object: str, container: str) -> str:
        """
        Dunk an object into the liquid of a container.

        Args:
            object: Name of the object.
            container: Name of the container.

        Returns:
            What happened, and what you see.
        """
        return self._play(f"dunk {object} into {container}")

    def mix(self, container: str) -> str:
        """
        Mix the content of a container.

        Args:
            container: Name of the container.

        Returns:
            What happened, and what you see.
        """
        return self._play(f"mix {container}")

    def use(self, tool: str, object: str) -> str:
        """
        Use a tool on an object.

        Args:
            tool: Name of the tool, for example "thermometer in inventory".
            object: Name of the object.

        Returns:
            What happened, and what you see.
        """
        return self._play(f"use {tool} on {object}")

    def connect(self, first: str, second: str) -> str:
        """
        Connect two electrical parts.

        Args:
            first: Name of a terminal, for example "battery anode".
            second: Name of the other terminal.

        Returns:
            What happened, and what you see.
        """
        return self._play(f"connect {first} to {second}")

    def disconnect(self, object: str) -> str:
        """
        Disconnect an electrical part.

        Args:
            object: Name of the part.

        Returns:
            What happened, and what you see.
        """
        return self._play(f"disconnect {object}")

    def eat(self, object: str) -> str:
        """
        Eat something.

        Args:
            object: Name of the food.

        Returns:
            What happened, and what you see.
        """
        return self._play(f"eat {object}")

    def flush(self, object: str) -> str:
        """
        Flush a toilet.

        Args:
            object: Name of the toilet.

        Returns:
            What happened, and what you see.
        """
        return self._play(f"flush {object}")

    def focus_on(self, object: str) -> str:
        """
        Declare the object that the task asks for. Focusing on a wrong one ends the episode.

        Args:
            object: Name of the object.

        Returns:
            What happened, and what you see.
        """
        return self._play(f"focus on {object}")

    def inventory(self) -> str:
        """
        List your inventory.

        Returns:
            The objects.
        """
        return self._play("inventory")

    def wait(self) -> str:
        """
        Wait for ten moments.

        Returns:
            What happened, and what you see.
        """
        return self._play("wait")

    def wait_briefly(self) -> str:
        """
        Wait for one moment.

        Returns:
            What happened, and what you see.
        """
        return self._play("wait1")

    def choose(self, number: int) -> str:
        """
        Answer the question which of several objects was meant.

        Args:
            number: Number in the list of the question.

        Returns:
            What happened, and what you see.
        """
        return self._play(str(number))


class WebShop(_Tools):
    """A shop: every answer is the page that is shown. Texts between `[SEP]` are buttons or plain text."""

    def __init__(self, id: str = "webshop", split: str | None = None, **keywords: Any) -> None:
        """Opens an environment with the arguments of `stepladder.make`."""
        super().__init__(id, split, **keywords)

    def search(self, query: str) -> str:
        """
        Search for products, on any page.

        Args:
            query: Words that describe the product.

        Returns:
            The page of results.
        """
        return self._play(f"search[{query}]")

    def click(self, button: str) -> str:
        """
        Press a button, open a product or choose an option.

        Args:
            button: Its text, for example "Next >", "Buy Now", a product's number, "x-large".

        Returns:
            The next page.
        """
        return self._play(f"click[{button}]")


_CLASSES: dict[str, type[_Tools]] = {
    "alfworld": Household,
    "household": Household,
    "scienceworld": ScienceWorld,
    "sokoban": Sokoban,
    "webshop": WebShop,
}


def factory(id: str, split: str | None = None, **keywords: Any) -> Callable[[], Any]:
    """Returns an `environment_factory` with the arguments of `stepladder.make`.

    Raises `UnknownEnvironment`.
    """
    describe(id)
    if id not in _CLASSES:
        raise UsageError(f"{id} has no class of tools; {', '.join(_CLASSES)} have one")
    return functools.partial(_CLASSES[id], id, split, **keywords)


def rows(
    id: str,
    split: str | None = None,
    *,
    count: int | None = None,
    instruction: str = "Solve the task with your tools. Call one tool at a time.\n\n",
    data: str | os.PathLike[str] | None = None,
    **options: OptionValue,
) -> list[dict[str, Any]]:
    """Returns rows for a data set, one per task of a split (`count` of them, spread evenly): `prompt`, `split`, `task_id`.

    `instruction` begins every prompt; `data` and options are those of `stepladder.tasks`, whose exceptions it raises.
    """
    split = describe(id).splits[0] if split is None else split
    listed = tasks(id, split, data=data, **options)
    if count is not None:
        count = whole("count", count)
        listed = [listed[at * len(listed) // count] for at in range(min(count, len(listed)))] if count < len(listed) else listed
    prompt = [{"role": "user", "content": instruction}]
    return [{"prompt": prompt, "split": split, "task_id": task} for task in listed]
