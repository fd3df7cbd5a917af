"""A kind of board, read back from the Thing Description of one of its devices."""

from collections.abc import Mapping
from typing import Any, cast, get_args

from edge.errors import UsageError
from edge.profile import Core, DeviceProfile

__all__ = ["profile_of"]

_NEEDED = {
    "tf:board": str, "tf:boardTitle": str, "tf:manufacturer": str, "tf:core": str,
    "tf:flashBytes": int, "tf:ramBytes": int, "tf:clockHz": int, "tf:hasFPU": bool,
}  # fmt: skip


def profile_of(description: Mapping[str, Any]) -> DeviceProfile:
    """The profile that `DeviceProfile.thing_description` was given.

    Args:
        description: a Thing Description as the catalogue gives it back.

    Raises:
        UsageError: a figure of the board is unknown, or its core is none of ours.
    """
    for name, kind in _NEEDED.items():
        if type(description.get(name)) is not kind:
            raise UsageError(
                f"{name} of the board is {description.get(name)!r}, no {kind.__name__}."
            )
    if description["tf:core"] not in get_args(Core):
        raise UsageError(
            f"there is no core {description['tf:core']!r}.", hint=", ".join(get_args(Core))
        )
    sensors = [one["tf:senses"] for one in _items(description.get("sosa:hosts"))]
    about = [one["href"] for one in _items(description.get("links")) if one.get("rel") == "about"]
    return DeviceProfile(
        name=description["tf:board"],
        title=description["tf:boardTitle"],
        manufacturer=description["tf:manufacturer"],
        core=cast(Core, description["tf:core"]),
        flash=description["tf:flashBytes"],
        ram=description["tf:ramBytes"],
        clock_hz=description["tf:clockHz"],
        fpu=description["tf:hasFPU"],
        sensors=tuple(sorted(sensors)),
        url=next(iter(about), ""),
    )


def _items(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]
