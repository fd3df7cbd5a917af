"""Tasks: real learning problems, split into clients to train on and clients never seen."""

from importlib import import_module
from inspect import signature
from typing import Any, cast

from edge.errors import UsageError
from server.option_types import check_types
from server.tasks.base import Client, Episode, EpisodeSensor, Split, Task
from server.tasks.own import OWN

__all__ = [
    "OWN",
    "TASKS",
    "Client",
    "Episode",
    "EpisodeSensor",
    "Split",
    "Task",
    "get_task",
    "named_after",
    "task_in_name",
]

_WHERE = {
    "sine": ("sine", "SineTask"),
    "characters": ("characters", "CharactersTask"),
    "digits": ("sounds", "DigitsTask"),
    "keywords": ("sounds", "KeywordsTask"),
    "presence": ("presence", "PresenceTask"),
    "anomaly": ("anomaly", "AnomalyTask"),
    "gesture": ("gesture", "GestureTask"),
}
"""Module and class of each task; imported when asked for."""
TASKS = tuple(_WHERE)
"""Every task by name."""


def get_task(name: str, **options: Any) -> Task:
    """Make a task by name.

    Args:
        name: one of `TASKS`; or `own`, whose data is on the devices alone.
        **options: of that task, such as `ways` of characters.

    Raises:
        UsageError: an unknown name or option.
    """
    found = ("own", "OwnTask") if name == OWN else _WHERE.get(name)
    if found is None:
        raise UsageError(f"task {name!r} is unknown.", hint=f"one of {', '.join(TASKS)}")
    module, kind = found
    made = getattr(import_module(f"server.tasks.{module}"), kind)
    allowed = list(signature(made).parameters)
    if unknown := sorted(options.keys() - set(allowed)):
        raise UsageError(f"task {name} has no option {unknown[0]!r}.", hint=", ".join(allowed))
    check_types(made, options, f"task {name}")
    return cast(Task, made(**options))


def named_after(model: str) -> str:
    """The task that a model is named after, as all commands here do; else characters.

    >>> named_after("sine"), named_after("presence-20250131-101500"), named_after("net")
    ('sine', 'presence', 'characters')
    """
    return task_in_name(model) or "characters"


def task_in_name(model: str) -> str | None:
    """The task that a model is named after; None where it is none."""
    first = model.partition("-")[0]
    return first if first in TASKS else None
