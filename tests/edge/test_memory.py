import os
from pathlib import Path

from edge.memory import usable_memory

RAM = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def test_the_smallest_limit_around_us_counts(tmp_path: Path) -> None:
    own, inner = tmp_path / "own", tmp_path / "groups" / "system.slice" / "a.service"
    inner.mkdir(parents=True)
    own.write_text("0::/system.slice/a.service\n")
    assert usable_memory(tmp_path / "groups", own) == RAM
    (inner / "memory.max").write_text("max\n")
    assert usable_memory(tmp_path / "groups", own) == RAM
    (inner.parent / "memory.max").write_text("200000\n")
    assert usable_memory(tmp_path / "groups", own) == 200000
    (inner / "memory.max").write_text("100000\n")
    assert usable_memory(tmp_path / "groups", own) == 100000
    (inner / "memory.max").write_text(f"{RAM * 2}\n")
    (inner.parent / "memory.max").unlink()
    assert usable_memory(tmp_path / "groups", own) == RAM


def test_a_group_that_is_not_told_is_the_one_mounted(tmp_path: Path) -> None:
    (tmp_path / "memory.max").write_text("300000")
    for text in ("", "0::/../../other\n", "1:memory:/x\n"):
        (tmp_path / "own").write_text(text)
        assert usable_memory(tmp_path, tmp_path / "own") == 300000
    assert usable_memory(tmp_path, tmp_path / "none") == 300000
