"""What a kind of device is, in figures, and the W3C Thing Description that follows from it."""

from dataclasses import dataclass
from typing import Any, Literal

from edge.topics import DeviceTopics, check_digest

__all__ = ["LINUX", "NAMESPACE", "Core", "DeviceProfile"]

NAMESPACE = "https://w3id.org/tinyfleet/ns#"
"""IRI that the terms written `tf:` start with."""

Core = Literal[
    "cortex-m0", "cortex-m3", "cortex-m4f", "cortex-m7", "cortex-m33", "cortex-m55", "linux"
]

_CONTEXT: list[Any] = [
    "https://www.w3.org/2022/wot/td/v1.1",
    {
        "tf": NAMESPACE,
        "sosa": "http://www.w3.org/ns/sosa/",
        "mqv": "https://www.w3.org/2019/wot/mqtt#",
    },
]
_CBOR = "application/cbor"


@dataclass(frozen=True, kw_only=True)
class DeviceProfile:
    """One kind of device.

    Args:
        name: short name, such as `arduino-nano-33-ble-sense`.
        title: name for people.
        manufacturer: who makes it.
        core: processor core.
        flash: bytes of flash; 0 where programs are not kept in flash.
        ram: bytes of RAM.
        clock_hz: core clock, in Hz.
        fpu: whether the core computes float32 in hardware.
        sensors: what it senses, such as `accelerometer`.
        url: the maker's page.
    """

    name: str
    title: str
    manufacturer: str
    core: Core
    flash: int
    ram: int
    clock_hz: int
    fpu: bool
    sensors: tuple[str, ...] = ()
    url: str = ""

    def thing_description(
        self,
        device_id: str,
        *,
        site: str,
        arena: int,
        slot: int,
        running: str | None = None,
        broker: str = "",
    ) -> dict[str, Any]:
        """Describe one device of this kind as a W3C Thing Description 1.1.

        Args:
            device_id: the device's name in its site.
            site: the site's name.
            arena: bytes of RAM that inference and training may use.
            slot: bytes that an artefact may have.
            running: SHA-256 of the active artefact; None: none.
            broker: `mqtt://host:port` to resolve the forms against; left out where empty.

        Returns:
            A JSON-LD object; sizes are integers in bytes.

        Raises:
            UsageError: a name or digest is not allowed.
        """
        topics = DeviceTopics(site, device_id)
        thing = f"urn:tinyfleet:{site}:{device_id}"
        description: dict[str, Any] = {
            "@context": _CONTEXT,
            "@type": ["Thing", "sosa:Platform", "tf:Device"],
            "id": thing,
            "title": f"{self.title} {device_id}",
            "securityDefinitions": {"broker": {"scheme": "auto"}},
            "security": ["broker"],
            "tf:site": site,
            "tf:device": device_id,
            "tf:arenaBytes": arena,
            "tf:slotBytes": slot,
            **self._facts(),
            "sosa:hosts": [
                {"@id": f"{thing}:sensor:{name}", "@type": "sosa:Sensor", "tf:senses": name}
                for name in self.sensors
            ],
            "properties": _properties(topics),
            "actions": _actions(topics),
        }
        if broker:
            description["base"] = broker
        if running is not None:
            description["tf:running"] = {"@id": f"urn:sha256:{check_digest(running)}"}
        return description

    def _facts(self) -> dict[str, Any]:
        facts: dict[str, Any] = {
            "tf:board": self.name,
            "tf:boardTitle": self.title,
            "tf:manufacturer": self.manufacturer,
            "tf:core": self.core,
            "tf:flashBytes": self.flash,
            "tf:ramBytes": self.ram,
            "tf:clockHz": self.clock_hz,
            "tf:hasFPU": self.fpu,
        }
        if self.url:
            facts["links"] = [{"href": self.url, "rel": "about", "type": "text/html"}]
        return facts


def _form(topic: str, op: str, packet: str, *, kind: str = _CBOR) -> dict[str, Any]:
    return {
        "href": f"/{topic}",
        "contentType": kind,
        "op": op,
        "mqv:topic" if packet == "publish" else "mqv:filter": topic,
        "mqv:controlPacket": packet,
        "mqv:qos": "1",
    }


def _properties(topics: DeviceTopics) -> dict[str, Any]:
    return {
        name: {
            "title": title,
            "type": kind,
            "readOnly": True,
            "observable": True,
            "forms": [
                {**_form(topics.state, "observeproperty", "subscribe"), "mqv:retain": True},
            ],
        }
        for name, title, kind in (
            ("status", "online or offline", "string"),
            ("model", "SHA-256 of the active artefact", "string"),
        )
    }


def _actions(topics: DeviceTopics) -> dict[str, Any]:
    actions = {
        name: {
            "title": title,
            "idempotent": True,
            "forms": [_form(topics.cmd, "invokeaction", "publish")],
        }
        for name, title in (
            ("deploy", "Verify an artefact and make it the active one"),
            ("predict", "Run the active artefact on given inputs"),
            ("evaluate", "Measure the active artefact on the device's own samples"),
            ("rollback", "Go back to the artefact before the active one"),
            ("watch", "Infer on the device's own samples, and learn while their loss has drifted"),
        )
    }
    actions["train"] = {
        "title": "Take part in a round of federated training",
        "idempotent": True,
        "forms": [_form(topics.shared.offers, "invokeaction", "publish")],
    }
    return actions


LINUX = DeviceProfile(
    name="linux",
    title="Linux host",
    manufacturer="various",
    core="linux",
    flash=0,
    ram=512 * 1024 * 1024,
    clock_hz=1_000_000_000,
    fpu=True,
)
"""A small Linux board; the agent states the memory and clock of the machine it runs on."""
