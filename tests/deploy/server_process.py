"""The server of the tests in a process of its own, whose memory is no one else's."""

import contextlib
import json
import pathlib
import subprocess
import sys

_SCRIPT = pathlib.Path(__file__).with_name("tf_serving_stand_in.py")


@contextlib.contextmanager
def started(folder, threads=None):
    """Serves a folder of versions until the block ends; gives {"rest": port, "grpc": port, "pid"}.

    The model's name is the folder's.
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
    """Memory that a process holds now. Linux only."""
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith("VmRSS:"))
    return 1024 * int(line.split()[1])
