"""MQTT topic names: one subtree for each device, and one for what a site shares."""

import re
from dataclasses import dataclass

from edge.errors import UsageError

__all__ = [
    "PREFIX",
    "DeviceTopics",
    "SiteTopics",
    "check_digest",
    "check_filter",
    "check_name",
    "device_of",
]

PREFIX = "tinyfleet/v1"

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_DIGEST = re.compile(r"[0-9a-f]{64}")
_LONGEST_FILTER = 65535
_SHARED = frozenset({"models", "rounds"})


def check_name(value: str, what: str = "name") -> str:
    """Give `value` back if it may be one level of a topic.

    Args:
        value: 1 to 64 letters, digits, `.`, `_` or `-`; the first a letter or digit.
        what: what it names, for the message.

    Raises:
        UsageError: it holds anything else.
    """
    if not _NAME.fullmatch(value):
        raise UsageError(
            f"{what} {value[:80]!r} is not 1 to 64 letters, digits, '.', '_' or '-', "
            "starting with a letter or digit.",
            hint=f"a {what} such as 'lab-1'",
        )
    return value


def check_digest(value: str) -> str:
    """Give `value` back if it is a SHA-256 in 64 lower-case hex digits.

    Raises:
        UsageError: it is not.
    """
    if not _DIGEST.fullmatch(value):
        raise UsageError(f"{value[:80]!r} is not a SHA-256 in 64 lower-case hex digits.")
    return value


def check_filter(value: str) -> str:
    """Give `value` back if it may be subscribed to: MQTT 3.1.1, section 4.7.

    Raises:
        UsageError: it is empty, longer than 65535 bytes, no UTF-8, or has NUL, or a wildcard that
            is not a whole level, or a `#` before the last one.
    """
    *before, last = value.split("/")
    wild = any("#" in level or ("+" in level and level != "+") for level in before)
    wild = wild or (last not in ("+", "#") and ("+" in last or "#" in last))
    try:
        size = len(value.encode())
    except UnicodeEncodeError:
        size = 0
    if wild or "\0" in value or not 0 < size <= _LONGEST_FILTER:
        raise UsageError(
            f"{value[:80]!r} is no topic or topic filter of MQTT.",
            hint="a topic such as plant/line-1/vibration; + for one level, # for all that follow",
        )
    return value


@dataclass(frozen=True)
class SiteTopics:
    """Topics that all devices of a site share.

    Args:
        site: the site's name, see `check_name`.
    """

    site: str

    def __post_init__(self) -> None:
        """Refuse a site that would change the meaning of a topic."""
        check_name(self.site, "site")

    @property
    def root(self) -> str:
        """What every topic of this site starts with, without the last slash."""
        return f"{PREFIX}/{self.site}"

    def model(self, sha256: str) -> str:
        """Where the artefact with this digest is retained."""
        return f"{self.root}/models/{check_digest(sha256)}"

    def offer(self, run: str) -> str:
        """Where the open round of a run is offered (retained while it is open)."""
        return f"{self.root}/rounds/{check_name(run, 'run')}/offer"

    @property
    def offers(self) -> str:
        """Filter for the offers of every run."""
        return f"{self.root}/rounds/+/offer"

    def device(self, device: str) -> "DeviceTopics":
        """The subtree of one device."""
        return DeviceTopics(self.site, device)

    def every(self, leaf: str) -> str:
        """Filter for one leaf, such as `update`, of every device."""
        return f"{self.root}/+/{check_name(leaf, 'leaf')}"


@dataclass(frozen=True)
class DeviceTopics:
    """The subtree of one device, so that one pattern is its access rule.

    Args:
        site: the site's name.
        device: the device's name; `models` and `rounds` are taken.
    """

    site: str
    device: str

    def __post_init__(self) -> None:
        """Refuse names that would change the meaning of a topic."""
        check_name(self.site, "site")
        if check_name(self.device, "device") in _SHARED:
            raise UsageError(
                f"a device cannot be called {self.device!r}: that level is shared by all.",
                hint="another name",
            )

    @property
    def shared(self) -> SiteTopics:
        """The topics of the device's site."""
        return SiteTopics(self.site)

    def leaf(self, name: str) -> str:
        """One topic of this device."""
        return f"{PREFIX}/{self.site}/{self.device}/{name}"

    @property
    def describe(self) -> str:
        """Thing Description, JSON, retained (up)."""
        return self.leaf("describe")

    @property
    def state(self) -> str:
        """`State`, retained; the last will sets it to offline (up)."""
        return self.leaf("state")

    @property
    def update(self) -> str:
        """`Update` or `Decline` of a round (up)."""
        return self.leaf("update")

    @property
    def telemetry(self) -> str:
        """Meters outside a round (up)."""
        return self.leaf("telemetry")

    @property
    def ack(self) -> str:
        """`Ack` of a command (up)."""
        return self.leaf("ack")

    @property
    def offer(self) -> str:
        """The open round once more, for this device alone (down)."""
        return self.leaf("offer")

    @property
    def cmd(self) -> str:
        """`Command` to this device (down)."""
        return self.leaf("cmd")


def device_of(topic: str) -> DeviceTopics | None:
    """Which device a topic belongs to; None for shared and foreign topics."""
    parts = topic.split("/")
    if len(parts) != 5 or "/".join(parts[:2]) != PREFIX:
        return None
    try:
        return DeviceTopics(parts[2], parts[3])
    except UsageError:
        return None
