"""Child processes that end with us, however we end."""

import os
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import IO

__all__ = ["end_guarded", "start_guarded"]

# A shell beside the child waits for the pipe to us to close, which it does even on kill -9.
_GUARD = 'exec 3<&0; "$@" 3<&- & b=$!; (read -r _ <&3; kill $b 2>/dev/null) & wait $b'
_PACKAGE_ROOT = str(Path(__file__).resolve().parents[1])


def start_guarded(
    command: Sequence[str], log: IO[bytes], *, environment: dict[str, str] | None = None
) -> subprocess.Popen[bytes]:
    """Start a command in a session of its own, so that Ctrl-C reaches us first.

    Args:
        command: program and arguments; a child interpreter finds this package.
        log: takes its output.
        environment: variables to add.
    """
    path = os.pathsep.join(filter(None, (_PACKAGE_ROOT, os.environ.get("PYTHONPATH"))))
    return subprocess.Popen(
        ["/bin/sh", "-c", _GUARD, "guard", *command],
        stdin=subprocess.PIPE,
        stdout=log,
        stderr=log,
        start_new_session=True,
        env=os.environ | {"PYTHONPATH": path} | (environment or {}),
    )


def end_guarded(*processes: subprocess.Popen[bytes], timeout: float) -> None:
    """Send SIGTERM to all, wait for each, and kill those that take longer than `timeout` s."""
    for process in processes:
        assert process.stdin is not None
        process.stdin.close()
    for process in processes:
        try:
            process.wait(timeout)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
