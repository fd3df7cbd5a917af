"""Fuzz the C parsers with libFuzzer: `python -m tests.fuzz.run --seconds 600`.

Every target starts from its kept corpus, under AddressSanitizer and UndefinedBehaviorSanitizer.
"""

import argparse
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FOLDER = Path(__file__).resolve().parent
FIRMWARE = ROOT / "firmware_sim/firmware"
SOURCES = {
    "model": sorted((ROOT / "edge/learner/src").glob("*.c")),
    "frames": [FIRMWARE / "frames.c"],
    "cbor": [FIRMWARE / "cbor.c"],
}
"""What each target covers."""

_WARNINGS = ("-std=c99", "-g", "-O1", "-ffp-contract=off", "-Wall", "-Wextra", "-Werror")
_SANITIZERS = "address,undefined"


def inputs(target: str) -> list[Path]:
    """The kept corpus of a target, and what was once found."""
    folders = (FOLDER / "corpus" / target, FOLDER / "regressions" / target)
    return sorted(path for folder in folders if folder.is_dir() for path in folder.iterdir())


def build(target: str, out: Path, *, replay: bool, compiler: str = "clang") -> Path:
    """Compile a target for libFuzzer, or (replay) as a program that takes files."""
    kinds = _SANITIZERS if replay else f"fuzzer,{_SANITIZERS}"
    own = [FOLDER / f"{target}.c", *([FOLDER / "replay.c"] if replay else [])]
    command = [
        *(compiler, *_WARNINGS, f"-fsanitize={kinds}", "-fno-sanitize-recover=all"),
        *(f"-I{ROOT / folder}" for folder in ("edge/learner/include", "edge/learner/src")),
        *(f"-I{FIRMWARE}", f"-I{FOLDER}", *map(str, (*own, *SOURCES[target]))),
        *("-o", str(out)),
    ]
    subprocess.run(command, check=True, capture_output=True, text=True)
    return out


def fuzz(target: str, seconds: int, work: Path, *, verbose: bool = False) -> tuple[str, int, str]:
    """Fuzz one target; gives its name, exit code and the last lines that it wrote."""
    program = build(target, work / target, replay=False)
    grown = work / f"{target}-corpus"
    grown.mkdir()
    kept = [FOLDER / "corpus" / target, FOLDER / "regressions" / target]
    command = [
        *(str(program), str(grown), *(str(path) for path in kept if path.is_dir())),
        *(f"-max_total_time={seconds}", "-timeout=10", "-rss_limit_mb=2048", "-max_len=16384"),
        *(f"-artifact_prefix={work}/{target}-", *(["-print_final_stats=1"] if verbose else [])),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return target, done.returncode, "\n".join(done.stderr.splitlines()[-30:])


def main() -> int:
    """Fuzz all targets, two at a time; 1 if anything was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=60, help="for each target")
    parser.add_argument("--target", choices=list(SOURCES), action="append")
    parser.add_argument("--verbose", action="store_true", help="with libFuzzer's own figures")
    options = parser.parse_args()
    if shutil.which("clang") is None:
        print("clang is not installed: nothing was fuzzed.", file=sys.stderr)
        print("Try: apt-get install clang libclang-rt-14-dev", file=sys.stderr)
        return 0
    work = Path(tempfile.mkdtemp(prefix="tinyfleet-fuzz-"))
    targets = options.target or list(SOURCES)
    begun = time.monotonic()
    with ThreadPoolExecutor(2) as pool:
        runs = list(
            pool.map(
                lambda name: fuzz(name, options.seconds, work, verbose=options.verbose), targets
            )
        )
    for target, code, log in runs:
        stats = [line for line in log.splitlines() if line.startswith("stat::")]
        verdict = "nothing found" if code == 0 else "FOUND SOMETHING"
        print(f"{target}: {verdict}", *stats, sep="\n  ")
        if code != 0:
            print(log)
            print(f"what was found is in {work}; replay: {work}/{target} FILE")
    print(f"{time.monotonic() - begun:.0f} s")
    if any(code != 0 for _, code, _ in runs):
        return 1
    shutil.rmtree(work)
    return 0


if __name__ == "__main__":
    sys.exit(main())
