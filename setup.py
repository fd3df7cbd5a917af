"""Build the host library of the learner beside the Python package.

It is optional: where no C compiler is found, the NumPy twin takes its place.
"""

from pathlib import Path

from setuptools import Extension, setup

LEARNER = Path("edge/learner")

setup(
    ext_modules=[
        Extension(
            "edge.learner._tinylearn",
            sources=sorted(str(path) for path in (LEARNER / "src").glob("*.c")),
            include_dirs=[str(LEARNER / "include"), str(LEARNER / "src")],
            extra_compile_args=["-std=c99", "-O3", "-ffp-contract=off", "-Wall", "-Wextra", "-g0"],
            optional=True,
        )
    ]
)
