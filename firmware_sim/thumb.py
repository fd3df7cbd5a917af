"""Tell Thumb instructions apart as far as their cost goes: what kind, and how many registers.

By bit patterns of the Arm architecture reference manuals (ARMv6-M, ARMv7-M, ARMv8-M Mainline).
What is not told apart counts as `alu`: one cycle on every core.
"""

from dataclasses import dataclass

__all__ = ["KINDS", "Instruction", "decode", "lengths"]

KINDS = (
    *("alu", "multiply", "multiply_add", "multiply_long", "divide", "system"),
    *("load", "store", "load_many", "store_many"),
    *("branch", "branch_if", "call", "jump", "return"),
    *("vector", "vector_fused", "vector_divide", "vector_load", "vector_store"),
    *("vector_load_many", "vector_store_many"),
)
"""All kinds; `vector` is any instruction of the FPU that is not named otherwise."""


@dataclass(frozen=True)
class Instruction:
    """One instruction: bytes, kind, and words moved (of a load or store)."""

    size: int
    kind: str
    words: int = 1


def lengths(code: bytes) -> list[int]:
    """Bytes of each instruction: 4 if the first half-word says so, else 2."""
    found = []
    at = 0
    while at < len(code):
        found.append(4 if code[at + 1] >> 3 in (0b11101, 0b11110, 0b11111) else 2)
        at += found[-1]
    return found


def decode(code: bytes) -> list[Instruction]:
    """Classify a run of Thumb code."""
    found = []
    at = 0
    for size in lengths(code):
        first = int.from_bytes(code[at : at + 2], "little")
        if size == 2:
            found.append(Instruction(2, *_narrow(first)))
        else:
            second = int.from_bytes(code[at + 2 : at + 4], "little")
            found.append(Instruction(4, *_wide(first, second)))
        at += size
    return found


def _narrow(code: int) -> tuple[str, int]:
    top = code >> 12
    if code >> 6 == 0b0100001101:
        return "multiply", 1
    if code >> 8 == 0b01000111:  # BX, BLX
        return ("call", 1) if code & 0x80 else ("return" if code >> 3 & 15 == 14 else "jump", 1)
    if code >> 8 in (0b01000100, 0b01000110) and code & 0x87 == 0x87:
        return "jump", 1  # ADD or MOV into the pc
    if code >> 11 == 0b01001 or top == 0b1001 or top in (0b0101, 0b0110, 0b0111, 0b1000):
        return _narrow_access(code, top), 1
    if top == 0b1100:
        many = "load_many" if code & 0x800 else "store_many"
        return many, (code & 0xFF).bit_count()
    if code >> 9 == 0b1011010:  # PUSH
        return "store_many", (code & 0x1FF).bit_count()
    if code >> 9 == 0b1011110:  # POP
        words = (code & 0x1FF).bit_count()
        return ("return" if code & 0x100 else "load_many"), words
    if top == 0b1011 and code >> 8 & 0b0101 == 0b0001:  # CBZ, CBNZ
        return "branch_if", 1
    if top == 0b1101 and code >> 8 & 15 < 14:
        return "branch_if", 1
    if code >> 11 == 0b11100:
        return "branch", 1
    return "alu", 1


def _narrow_access(code: int, top: int) -> str:
    if top == 0b0100:  # from the literal pool
        return "load"
    if top == 0b0101:
        return "load" if code >> 9 & 7 >= 3 else "store"
    return "load" if code & 0x800 else "store"


def _wide(first: int, second: int) -> tuple[str, int]:
    group = first >> 11 & 3
    if group == 1 and first >> 9 & 3 == 0:
        return _wide_many_or_double(first, second)
    if first >> 10 & 1 and group in (1, 3) and first >> 8 & 0b1100 == 0b1100:
        return _vector(first, second)
    if group == 2 and second & 0x8000:
        return _wide_branch(first, second)
    if group == 3:
        return _wide_rest(first, second)
    return "alu", 1


def _wide_many_or_double(first: int, second: int) -> tuple[str, int]:
    loads = bool(first & 0x10)
    if first & 0x40:  # LDRD, STRD, exclusive, TBB, TBH
        if first & 0xFFF0 == 0xE8D0 and second & 0xF0 in (0x00, 0x10):
            return "jump", 1
        exclusive = first & 0x0120 == 0
        return ("load" if loads else "store") + ("" if exclusive else "_many"), 2 - exclusive
    words = second.bit_count()
    if loads:
        return ("return" if second & 0x8000 else "load_many"), words
    return "store_many", words


def _wide_branch(first: int, second: int) -> tuple[str, int]:
    if second & 0x5000 == 0x5000 or second & 0x5000 == 0x4000:
        return "call", 1
    if second & 0x1000:
        return "branch", 1
    if first >> 7 & 7 == 7:  # MSR, MRS, barriers, hints
        return "system", 1
    return "branch_if", 1


def _wide_rest(first: int, second: int) -> tuple[str, int]:
    kind = first >> 4 & 0x7F
    if kind & 0x60 == 0:  # single loads and stores
        if kind & 1:
            pc = second >> 12 == 15 and kind & 7 == 5
            return ("jump" if pc else "load"), 1
        return "store", 1
    if kind & 0x78 == 0x30:  # 32-bit multiplies
        plain = second >> 12 == 15
        return ("multiply" if plain else "multiply_add"), 1
    if kind & 0x78 == 0x38:
        return ("divide" if kind & 5 == 1 and second & 0xF0 == 0xF0 else "multiply_long"), 1
    return "alu", 1


def _vector(first: int, second: int) -> tuple[str, int]:
    unit = second >> 8 & 15
    if unit not in (9, 10, 11):
        return "alu", 1  # an M-profile vector instruction, or another coprocessor
    if first >> 8 & 0b11 != 0b10:  # loads, stores, moves of two registers
        return _vector_access(first, second)
    if second & 0x10:  # one register to or from the core
        return "vector", 1
    operation = (first >> 7 & 1) << 2 | (first >> 4 & 3)
    if operation == 0b000 or operation == 0b001 or operation in (0b101, 0b110):
        return "vector_fused", 1  # VMLA, VMLS, VNMLA, VNMLS, VFMA, VFMS, VFNMA, VFNMS
    if operation == 0b100:
        return "vector_divide", 1
    if operation == 0b111 and first & 0xF == 1 and second & 0xC0 == 0xC0:
        return "vector_divide", 1  # VSQRT
    return "vector", 1


def _vector_access(first: int, second: int) -> tuple[str, int]:
    bits = first >> 4 & 0x1F  # P U D W L
    if bits & 0b11010 == 0 and bits & 0b00100:
        return "vector", 2  # VMOV of two registers
    words = second & 0xFF
    loads = "load" if bits & 1 else "store"
    if bits & 0b10010 == 0b10000:  # VLDR, VSTR
        return f"vector_{loads}", 2 if second >> 8 & 15 == 11 else 1
    return f"vector_{loads}_many", words
