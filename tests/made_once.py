"""Files that all processes of a run share, made by the first one that needs them."""

from __future__ import annotations

import fcntl
import pathlib
import shutil
import tempfile
from collections.abc import Callable


def made_once(name: str, make: Callable[[pathlib.Path], object]) -> pathlib.Path:
    """Returns the path of a file or folder, which `make` writes unless it is there.

    Tests must not change it.

    Args:
        name: its name, of its own in the suite. The content must be the same in every process.
        make: writes it to a path that does not exist.
    """
    folder = pathlib.Path(tempfile.gettempdir()) / "shared"
    folder.mkdir(exist_ok=True)
    path, done = folder / name, folder / f"{name}.done"
    with open(folder / f"{name}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not done.exists():
            if path.is_dir():  # its maker failed
                shutil.rmtree(path)
            path.unlink(missing_ok=True)
            make(path)
            done.touch()
    return path
