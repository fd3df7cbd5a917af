"""What the figures of the firmware should be; those not named here are only reported."""

__all__ = ["TARGETS"]

_INSTRUCTIONS = {
    "step.net1.m4f": (11_300, 7_700),
    "step.net2.m4f": (11_700, 7_700),
    "infer.net1.m4f": (4_800, 3_200),
    "infer.net2.m4f": (6_300, 3_900),
    "last.net1.m4f": (5_000, 3_400),
    "last.net2.m4f": (6_800, 4_800),
    "conv_step.m4f": (400_000, 340_000),
}
"""In mul_add, in fma."""

TARGETS: dict[str, str] = {
    **{name: f"<= {plain}" for name, (plain, _) in _INSTRUCTIONS.items()},
    **{f"{name}.fma": f"<= {fused}" for name, (_, fused) in _INSTRUCTIONS.items()},
    "step.net1.m3": "<= 150000",
    "step.net1.m0": "<= 250000",
    "int8_dense.m4f": "<= 2.7",
    "int8_conv.m4f": "<= 2.1",
    "ram.net1.m4f": f"<= {7044 + 328 + 1024}",
    "flash.net1.m4f": f"<= {6 * 1024}",
    "flash.all.m4f": f"<= {32 * 1024}",
}
"""By the name of the figure."""
