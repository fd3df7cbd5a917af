"""Traces: where instructions are spent, read from the image and from what ran."""

import re
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.board_protocol import BoardClient
from edge.errors import TinyfleetError, UsageError
from edge.learner import ReferenceLearner
from firmware_sim.build import image_path
from firmware_sim.cores import CORES
from firmware_sim.cycles import CycleTable, energy_joules, table_of
from firmware_sim.device import SimulatedDevice
from firmware_sim.measure import LEARN, PREDICT, cost_of, learning_cost, predicting_cost
from firmware_sim.symbols import Functions, address_of, read_functions
from firmware_sim.thumb import KINDS, Instruction, decode, lengths
from firmware_sim.trace import BlockTrace, shares, total
from firmware_sim.trainer import run_trainer

IMAGE = image_path("m4f")
needs_binutils = pytest.mark.skipif(
    shutil.which("arm-none-eabi-objdump") is None, reason="no ARM binutils"
)
LINE = re.compile(r"\s+[0-9a-f]+:\t([0-9a-f]{4})(?: ([0-9a-f]{4}))?\s*\t(\S+)\s*(.*)")
# What a mnemonic without its condition and width must count as.
EXPECTED = {
    **dict.fromkeys(("vfma", "vfms", "vfnma", "vfnms", "vmla", "vmls"), "vector_fused"),
    **dict.fromkeys(("vdiv", "vsqrt"), "vector_divide"),
    **dict.fromkeys(("vadd", "vsub", "vmul", "vcmp", "vcvt", "vabs", "vneg"), "vector"),
    **dict.fromkeys(("vldmia", "vldmdb", "vpop"), "vector_load_many"),
    **dict.fromkeys(("vstmia", "vstmdb", "vpush"), "vector_store_many"),
    **dict.fromkeys(("udiv", "sdiv"), "divide"),
    **dict.fromkeys(("umull", "smull", "umlal", "smlal"), "multiply_long"),
    **dict.fromkeys(("mla", "mls", "smlad", "smlabb"), "multiply_add"),
    **dict.fromkeys(("stmia", "stmdb", "push", "strd"), "store_many"),
    **dict.fromkeys(("cbz", "cbnz", "beq", "bne", "bcs", "bcc", "bhi", "bls"), "branch_if"),
    "vldr": "vector_load", "vstr": "vector_store", "mul": "multiply", "muls": "multiply",
    "bl": "call", "b": "branch", "ldrd": "load_many", "movs": "alu", "adds": "alu",
    "ldrh": "load", "ldrb": "load", "strb": "store", "str": "store", "ubfx": "alu",
}


@needs_binutils
@pytest.mark.parametrize("core", ["m0", "m3", "m4f", "m7"])
def test_every_instruction_is_what_objdump_says(core: str) -> None:
    command = ["arm-none-eabi-objdump", "-d", str(image_path(core))]
    text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    checked = 0
    for line in text.splitlines():
        found = LINE.match(line)
        if found is None or found[3].startswith("."):
            continue
        code = b"".join(bytes.fromhex(half)[::-1] for half in found.group(1, 2) if half)
        (instruction,) = decode(code)
        assert instruction.size == len(code), line
        mnemonic = found[3].split(".")[0]
        if mnemonic in EXPECTED:
            assert instruction.kind == EXPECTED[mnemonic], line
            checked += 1
        if "pop" in mnemonic and "pc}" in found[4]:
            assert instruction.kind == "return", line
        if "many" in instruction.kind and "{" in found[4] and "-" not in found[4]:
            each = 2 if "{d" in found[4] else 1
            assert instruction.words == each * (found[4].split("{")[1].count(",") + 1), line
    assert checked > 2000


@settings(max_examples=200)
@given(st.binary(min_size=2, max_size=64))
def test_any_bytes_are_decoded(data: bytes) -> None:
    code = data[: len(data) // 2 * 2] + b"\0\0"
    found = decode(code)
    assert [entry.size for entry in found] == lengths(code)
    assert all(entry.kind in KINDS and 0 <= entry.words <= 256 for entry in found)


def test_cycles_of_known_instructions() -> None:
    table = table_of("cortex-m4f")
    assert table.cycles(Instruction(2, "alu")) == 1
    assert table.cycles(Instruction(4, "vector_fused")) == 3
    assert table.cycles(Instruction(4, "vector_load_many", 8)) == 9
    assert table.cycles(Instruction(2, "store_many", 3)) == 4
    assert table.cycles(Instruction(2, "return")) == 1
    assert table_of("cortex-m0").cycles(Instruction(2, "load")) == 2
    with pytest.raises(ValueError, match="guess"):
        CycleTable({"guess": 1}, per_word=1, taken=1, source="none")
    for core in CORES.values():
        assert table_of(core.profile).source


@needs_binutils
def test_functions_are_those_of_readelf() -> None:
    functions = read_functions(IMAGE)
    command = ["arm-none-eabi-readelf", "-sW", str(IMAGE)]
    text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    rows = [line.split() for line in text.splitlines() if " FUNC " in line]
    code = [(int(row[1], 16) & ~1, int(row[2]), row[7]) for row in rows if row[2] != "0"]
    assert len(code) >= len(functions) > 100
    for address, size, _ in code:
        names = {name for other, _, name in code if other == address}
        assert functions.at(address) in names
        assert functions.at(address + size - 1) in names or functions.at(address + size - 1) == "?"


def test_what_is_not_in_an_image() -> None:
    functions = read_functions(IMAGE)
    assert functions.at(0xFFFF_0000) == "?"
    assert not functions.starts(functions.named(LEARN).address + 2)
    with pytest.raises(UsageError, match="tl_learner_lear"):
        functions.named("tl_learner_lear")
    with pytest.raises(UsageError, match="no_such"):
        address_of(IMAGE, "no_such")
    assert address_of(IMAGE, "image_arena") > 0x2000_0000


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_a_damaged_image_is_refused_or_read(data: st.DataObject) -> None:
    whole = bytearray(IMAGE.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.one_of(st.integers(0, 60), st.integers(0, len(whole) - 1)))
        whole[at] = data.draw(st.integers(0, 255))
    cut = data.draw(st.sampled_from([len(whole), len(whole) // 2, 50]))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.elf"
        path.write_bytes(whole[:cut])
        try:
            assert isinstance(read_functions(path), Functions)
        except UsageError:
            pass


def test_only_what_runs_inside_a_function_is_counted() -> None:
    trace = BlockTrace(inside=100)
    outside, entry = (7, 500), (41, 400)
    for address, size, registers in (
        (10, 10, outside),
        (100, 4, entry),  # entered: it will return to 40
        (200, 6, (105, 300)),  # calls another
        (40, 4, (105, 300)),  # that other happens to pass the return address, deeper
        (104, 4, (105, 400)),
        (40, 4, (41, 400)),  # back
        (44, 4, outside),
    ):
        trace.block(address, size, lambda registers=registers: registers)
    assert trace.calls == 1
    assert dict(trace.counts) == {(100, 4): 1, (200, 6): 1, (40, 4): 1, (104, 4): 1}
    assert sum(trace.taken.values()) == 4


def test_a_trace_of_everything_counts_what_the_emulator_counts(sine: Any) -> None:
    trace = BlockTrace()
    with SimulatedDevice(
        "nano33ble", device_id="d", sensor=sine.sensor(), count_instructions=True, trace=trace
    ) as device:
        client = BoardClient(device.port)
        client.upload_artifact(sine.artefact)
        client.train(3, rate=0.01)
        counted = device.instructions
    image = IMAGE.read_bytes()
    flash = _flash(IMAGE)
    assert image[:4] == b"\x7fELF"
    found = shares(
        trace, lambda at, n: flash[at : at + n], read_functions(IMAGE), table_of("cortex-m4f")
    )
    instructions, cycles = total(found)
    assert instructions == counted
    assert cycles > instructions
    by_name = {share.function: share for share in found}
    assert by_name[LEARN].entered == 3
    assert "?" not in by_name


def _flash(path: Path) -> bytes:
    from firmware_sim.image import load_image

    return load_image(path)


def test_a_step_costs_the_same_whatever_is_around_it(sine: Any) -> None:
    one = learning_cost("nano33ble", sine.artefact, sine.sensor(), samples=4, rate=0.01)
    assert one.calls == 4
    assert one.function == LEARN
    assert one.instructions == sum(share.instructions for share in one.shares) / 4

    def work(client: BoardClient) -> None:
        client.upload_artifact(sine.artefact)
        for _ in range(4):
            client.hello()
            client.train(1, rate=0.01)

    other = cost_of("nano33ble", work, function=LEARN, sensor=sine.sensor())
    assert (other.calls, other.instructions) == (one.calls, one.instructions)
    names = {share.function for share in one.shares}
    assert names.isdisjoint({"fr_push", "sensor_next", "op_train", "main"})


def test_a_prediction_costs_less_than_a_step(digits: Any) -> None:
    step = learning_cost("nano33ble", digits.artefact, digits.sensor(), samples=3, rate=0.01)
    predict = predicting_cost(
        "nano33ble", digits.artefact, digits.x[:3], sensor=digits.sensor(), function=PREDICT
    )
    assert predict.calls == 3
    assert 0 < predict.instructions < step.instructions
    assert predict.microseconds == pytest.approx(predict.cycles / 64)
    joules = energy_joules(predict.board, predict.cycles)
    assert joules == pytest.approx(predict.cycles * 155e-12)


def test_what_cannot_be_counted(sine: Any) -> None:
    with pytest.raises(UsageError, match="QEMU only"):
        cost_of("corstone-300", lambda client: client.hello())
    with pytest.raises(TinyfleetError, match="never ran"):
        cost_of("nano33ble", lambda client: client.hello(), function=LEARN)
    with pytest.raises(UsageError, match="no_such"):
        cost_of("nano33ble", lambda client: client.hello(), function="no_such")


def test_the_trainer_learns_what_the_twin_learns(sine: Any) -> None:
    run = run_trainer(sine.artefact, sine.sensor(), rate=0.02)
    twin = ReferenceLearner(sine.artefact)
    losses = twin.learn_many(sine.x, sine.targets, rate=0.02)
    assert run.learnt == len(sine.x)
    assert np.float32(run.loss) == losses[-1]
    ours = []
    for (weights, bias), layer in zip(
        sine.spec.split(np.asarray(twin.parameters)), sine.spec.layers, strict=True
    ):
        ours += [weights.reshape(layer.n_out, layer.n_in).T.ravel(), bias]
    assert run.parameters.tobytes() == np.concatenate(ours).astype("<f4").tobytes()
    assert run.ram == run.statics + run.arena + run.peak_stack
    assert run.arena > 4 * sine.spec.n_parameters


def test_the_trainer_says_what_it_cannot_do(sine: Any) -> None:
    with pytest.raises(TinyfleetError, match="status -"):
        run_trainer(sine.artefact[:64], sine.sensor(), rate=0.02)
