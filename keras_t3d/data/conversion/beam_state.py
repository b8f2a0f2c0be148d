"""The state of a conversion with Apache Beam, in its output folder.

The folder holds the same files as `OutputFolder`, so that on a disk either runner resumes the
other's conversion.
"""

from __future__ import annotations

import io
import json
import os
from typing import Any

from keras_t3d.data.beam.folder import BeamFolder
from keras_t3d.data.conversion.output_folder import FINGERPRINT, STATE, check_start, summary_file
from keras_t3d.data.shards.object_store import is_address


def enter(folder: BeamFolder, fingerprint: str) -> None:
    """Creates the folder, or checks that it holds this conversion, unfinished.

    Raises:
        InvalidArgumentError: if it holds anything else.
    """
    names = folder.names()
    started = None
    if os.path.basename(FINGERPRINT) in folder.names(STATE):
        started = folder.read(FINGERPRINT).decode()
    check_start(folder.folder, names, started, fingerprint)
    folder.delete_unfinished()
    if started is None:
        folder.write(FINGERPRINT, io.BytesIO(fingerprint.encode()))


def leave(folder: BeamFolder) -> None:
    """Removes the state of a finished conversion."""
    folder.delete(f"{STATE}/")


def clear(folder: BeamFolder, remove: bool) -> None:
    """Removes shards and state, and with `remove` the folder, too."""
    for name in folder.names():
        if name.endswith(".tfrecord"):
            folder.delete(name)
    leave(folder)
    if remove and not is_address(folder.folder):
        os.rmdir(folder.folder)


def summaries(folder: BeamFolder) -> dict[str, dict[str, Any]]:
    """Returns the summaries of the finished shards, by name."""
    names = [name for name in folder.names(STATE) if name.endswith(".tfrecord.json")]
    shards = [name.removesuffix(".json") for name in names]
    texts = folder.read_all(map(summary_file, shards))
    return {name: json.loads(text) for name, text in zip(shards, texts, strict=True)}
