"""How much memory this process may use: the machine's, or less in a container or a service."""

import os
from pathlib import Path

__all__ = ["usable_memory"]

_GROUPS = Path("/sys/fs/cgroup")
_OWN = Path("/proc/self/cgroup")


def usable_memory(groups: Path = _GROUPS, own: Path = _OWN) -> int | None:
    """Bytes: the RAM, or the smallest limit of the control groups (version 2) that we are in.

    Args:
        groups: where control groups are mounted.
        own: the file that says which one is ours.

    Returns:
        None where neither is known.
    """
    limits = _limits(groups, own)
    if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        limits.append(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    return min(limits, default=None)


def _limits(groups: Path, own: Path) -> list[int]:
    """What `memory.max` says of our group and of those around it."""
    lines = _text(own).splitlines()
    names = [line.removeprefix("0::") for line in lines if line.startswith("0::/")]
    folder = groups / names[0].strip("/") if names and ".." not in names[0] else groups
    found = []
    while folder.is_relative_to(groups):
        text = _text(folder / "memory.max").strip()
        if text.isdigit():
            found.append(int(text))
        folder = folder.parent
    return found


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except (OSError, UnicodeDecodeError):
        return ""
