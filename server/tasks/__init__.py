"""Tasks: real learning problems, split into clients to train on and clients never seen."""

from typing import Any

from edge.errors import UsageError
from server.tasks.base import Client, Episode, EpisodeSensor, Split, Task

__all__ = ["TASKS", "Client", "Episode", "EpisodeSensor", "Split", "Task", "get_task"]

TASKS = ("sine", "characters", "digits", "keywords")


def get_task(name: str, **options: Any) -> Task:
    """Make a task by name.

    Args:
        name: one of `TASKS`.
        **options: of that task, such as `ways` of characters.

    Raises:
        UsageError: an unknown name or option.
    """
    try:
        if name == "sine":
            from server.tasks.sine import SineTask

            return SineTask(**options)
        if name == "characters":
            from server.tasks.characters import CharactersTask

            return CharactersTask(**options)
        if name == "digits":
            from server.tasks.sounds import DigitsTask

            return DigitsTask(**options)
        if name == "keywords":
            from server.tasks.sounds import KeywordsTask

            return KeywordsTask(**options)
    except TypeError as error:
        raise UsageError(f"task {name}: {error}.") from error
    raise UsageError(f"task {name!r} is unknown.", hint=f"one of {', '.join(TASKS)}")
