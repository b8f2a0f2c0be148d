"""The stand-in server in a separate process, so that its memory can be measured."""

import contextlib
import json
import pathlib
import subprocess
import sys

_SCRIPT = pathlib.Path(__file__).with_name("tf_serving_stand_in.py")


@contextlib.contextmanager
def started(folder, threads=None):
    """Serves a directory of versions; yields {"rest": port, "grpc": port, "pid": pid}.

    The model has the directory's name.
    """
    words = ["--rest-port", "0", "--grpc-port", "0"]
    words += [] if threads is None else ["--threads", str(threads)]
    process = subprocess.Popen(
        [sys.executable, str(_SCRIPT), str(folder), *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        line = process.stdout.readline()
        if not line:
            raise RuntimeError(f"The server did not start: {_SCRIPT} {folder} {' '.join(words)}")
        yield {**json.loads(line), "pid": process.pid}
    finally:
        process.terminate()
        process.wait()


def resident_bytes(pid):
    """Returns the current memory of a process. Linux only."""
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith("VmRSS:"))
    return 1024 * int(line.split()[1])
