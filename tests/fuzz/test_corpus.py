"""Replay what is kept of fuzzing, under the sanitizers."""

import shutil
import subprocess
from functools import cache
from pathlib import Path

import pytest

from tests.fuzz.run import SOURCES, build, inputs


@cache
def compiler() -> str | None:
    """A compiler whose sanitizers work here."""
    for name in ("clang", "gcc", "cc"):
        if shutil.which(name) is None:
            continue
        probe = [name, "-fsanitize=address,undefined", "-xc", "-", "-o", "/dev/null"]
        program = b"int main(void){return 0;}"
        done = subprocess.run(probe, input=program, capture_output=True, check=False)
        if done.returncode == 0:
            return name
    return None


@pytest.mark.skipif(compiler() is None, reason="no compiler with sanitizers")
@pytest.mark.parametrize("target", list(SOURCES))
def test_nothing_kept_is_a_finding(target: str, tmp_path: Path) -> None:
    files = inputs(target)
    assert len(files) > 3
    program = build(target, tmp_path / target, replay=True, compiler=compiler() or "")
    done = subprocess.run([program, *files], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
