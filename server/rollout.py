"""Deploy an artefact over MQTT and check what the devices answer with it."""

import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote

import numpy as np
from numpy.typing import NDArray

from edge.artifact import Artifact
from edge.errors import TinyfleetError
from edge.messages import Command
from edge.mqtt import BrokerOptions
from edge.onnx_file import is_onnx
from edge.profile import LINUX, NAMESPACE
from edge.topics import SiteTopics
from server.keeper import Keeper
from server.model_facts import make_known, name_of
from server.model_file import read_model, to_tflite
from server.reach import Reach, reached
from server.transports.mqtt import MqttTransport

if TYPE_CHECKING:
    from ontology.catalog import Catalog
    from ontology.outbox import Order

__all__ = ["Agreement", "Deployment", "agreement", "deploy", "resume", "roll_out"]

DEVICE_PREFIX = "urn:tinyfleet:"
_CORE = f"{NAMESPACE}core"

Float32 = NDArray[np.float32]


@dataclass(frozen=True)
class Deployment:
    """Outcome for one device; `reason` says why it was not done."""

    device: str
    model: str
    ok: bool
    reason: str


@dataclass(frozen=True)
class Agreement:
    """A device's answers beside the host runtime's on the same inputs.

    Args:
        device: who.
        runtime: which host runtime.
        inputs: how many inputs were compared.
        largest: largest absolute difference of an output.
        bound: what is allowed: 1e-5 for float32, one output step for int8.
    """

    device: str
    runtime: str
    inputs: int
    largest: float
    bound: float

    @property
    def ok(self) -> bool:
        """Whether the difference is within the bound."""
        return self.largest <= self.bound


def deploy(
    transport: MqttTransport,
    artifact: Artifact,
    devices: Sequence[str],
    *,
    keeper: Keeper | None = None,
    timeout: float = 30.0,
) -> list[Deployment]:
    """Offer an artefact to devices one after another; each checks, swaps, and says so.

    Args:
        transport: the way to the fleet; the artefact stays retained at the broker.
        artifact: what to deploy.
        devices: names.
        keeper: where deployments are ordered, before anything is sent, and settled.
        timeout: seconds to wait for each device.
    """
    transport.hold_model(artifact.sha256, artifact.data)
    orders = keeper.ordered(devices, artifact.sha256) if keeper else [None] * len(devices)
    outcomes = []
    for device, order in zip(devices, orders, strict=True):
        id = order.id if order else uuid.uuid4().hex
        outcome = _send(transport, device, artifact.sha256, id, timeout)
        if keeper is not None and order is not None:
            keeper.settled(order, ok=outcome.ok, reason=outcome.reason)
        outcomes.append(outcome)
    return outcomes


def _send(
    transport: MqttTransport, device: str, sha256: str, id: str, timeout: float
) -> Deployment:
    try:
        answer = transport.command(device, Command("deploy", id, base=sha256), timeout)
        return Deployment(device, sha256, answer.ok, answer.reason)
    except TinyfleetError as error:
        return Deployment(device, sha256, False, error.message)


def roll_out(
    path: Path,
    where: str,
    options: BrokerOptions,
    *,
    site: str,
    catalog: Path | str | None,
    timeout: float,
) -> list[Deployment]:
    """Deploy a file to the devices of a list or a query.

    Args:
        path: the `.tflite`.
        where: names separated by commas; or a .rq file or a named query, which may take `model`.
        options: where the broker is.
        site: the site's name.
        catalog: folder of the catalogue; needed for a query.
        timeout: seconds to wait for each device.
    """
    artifact = read_model(path, onnx=True)
    with reached(where, options, site=site, catalog=catalog) as reach:
        if catalog is not None:
            make_known(reach.catalog, artifact, name=name_of(artifact, path))
        devices = reach.devices(model=artifact.sha256)
        boards = _boards(reach, devices) if is_onnx(artifact.data) else {}
        asked = [device for device in devices if device not in boards]
        found = deploy(reach.transport, artifact, asked, keeper=reach.keeper, timeout=timeout)
        outcomes = iter(found)
        return [
            Deployment(device, artifact.sha256, False, _needs_tflite(boards[device], path))
            if device in boards
            else next(outcomes)
            for device in devices
        ]


def _boards(reach: Reach, devices: Sequence[str]) -> dict[str, str]:
    """Those that say they have another core than a Linux host, with that core."""
    from ontology.terms import Literal

    reach.transport.settle()
    reach.keeper.flush()
    facts = {device: reach.catalog.facts(reach.keeper.iri(device)) for device in devices}
    cores = {
        device: core.text
        for device, stated in facts.items()
        for core in stated.get(_CORE, ())
        if isinstance(core, Literal)
    }
    return {device: core for device, core in cores.items() if core != LINUX.core}


def _needs_tflite(core: str, path: Path) -> str:
    return f"a board ({core}) takes no .onnx; not sent. Try: {to_tflite(path)}"


def resume(catalog: "Catalog", options: BrokerOptions, *, timeout: float) -> list[Deployment]:
    """Send the orders that an interrupted rollout left, and settle them.

    The artefacts are those that the broker still retains.

    Args:
        catalog: where the orders are.
        options: where the broker is.
        timeout: seconds to wait for each device.
    """
    from ontology.outbox import Outbox

    outbox, outcomes = Outbox(catalog), []
    for site, orders in _by_site(outbox.pending()).items():
        with MqttTransport(options, SiteTopics(site)) as transport:
            for order in orders:
                device = unquote(order.device.rpartition(":")[2])
                outcome = _send(transport, device, order.model, order.id, timeout)
                outbox.settle(order, ok=outcome.ok, reason=outcome.reason)
                outcomes.append(outcome)
    return outcomes


def _by_site(orders: "Iterable[Order]") -> "dict[str, list[Order]]":
    """Orders by site; those for things that no site has stay as they are."""
    found: dict[str, list[Order]] = {}
    for order in orders:
        _, prefix, rest = order.device.partition(DEVICE_PREFIX)
        if prefix and rest.count(":") == 1:
            found.setdefault(unquote(rest.partition(":")[0]), []).append(order)
    return found


def agreement(
    transport: MqttTransport, artifact: Artifact, device: str, x: Float32, *, timeout: float = 60.0
) -> Agreement:
    """Ask a device for predictions and hold them against the host runtime's.

    Args:
        transport: the way to the fleet.
        artifact: what the device runs.
        device: its name.
        x: float32 [n, n_in].
        timeout: seconds to wait.

    Raises:
        TinyfleetError: the device refuses or does not answer.
        MissingExtra: no runtime for `.tflite` is installed.
    """
    from edge.runtime import load

    answer = transport.command(device, Command("predict", uuid.uuid4().hex, x=x), timeout)
    if not answer.ok or answer.y is None:
        raise TinyfleetError(f"{device} did not predict: {answer.reason}.")
    runtime = load(artifact.data)
    expected, bound = expected_outputs(artifact, runtime.run, x)
    largest = float(np.max(np.abs(answer.y - expected)))
    return Agreement(device, runtime.name, len(x), largest, bound)


def expected_outputs(artifact: Artifact, run: object, x: Float32) -> tuple[Float32, float]:
    """Outputs of a host runtime as real numbers, and the difference that is allowed.

    Args:
        artifact: the model; int8 ones are given int8 inputs and give int8 outputs.
        run: the runtime's `run`.
        x: float32 [n, n_in].
    """
    assert callable(run)
    if artifact.dtype != "int8" or artifact.front:
        expected = np.asarray(run(x), np.float32)
        # Int8 layers inside may come out one step apart.
        inside = artifact.front or artifact.backbone
        return expected, 0.02 * float(np.abs(expected).max()) if inside else 1e-5
    first, last = artifact.chain[0], artifact.chain[-1]
    steps = x / first.in_scale
    codes = np.trunc(steps + np.copysign(np.float32(0.5), steps)) + first.in_zero
    raw = np.asarray(run(np.clip(codes, -128, 127).astype(np.int8)))
    if raw.dtype != np.int8:
        return np.asarray(raw, np.float32), 0.02 * float(np.abs(raw).max())
    real = (raw.astype(np.float32) - np.float32(last.out_zero)) * last.out_scale
    return real, float(last.out_scale) * 1.001
