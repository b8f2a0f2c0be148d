"""Checks what users pass to Apache Beam, before a pipeline starts."""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from keras_t3d.data.shards.object_store import is_address
from keras_t3d.errors import InvalidArgumentError, MissingPackageError

if TYPE_CHECKING:
    from apache_beam.options.pipeline_options import PipelineOptions

# Their job servers have options that the Python part of Beam does not know.
_RUNNERS_WITH_JOB_SERVER = ("flink", "portable", "spark")


def check_beam(work: str) -> None:
    """Raises a MissingPackageError if Apache Beam is not installed.

    Args:
        work: what requires it, for example `"Converting"`.
    """
    try:
        import apache_beam  # noqa: F401
    except ModuleNotFoundError as error:
        if error.name != "apache_beam":  # installed, but fails to import
            raise
        raise MissingPackageError(
            f"{work} on many machines requires Apache Beam: pip install 'keras-t3d[beam]'"
        ) from None


def check_places(out: str, videos_at: str | None) -> None:
    """Checks where the workers write and read.

    Args:
        out: path or address that is written.
        videos_at: where the workers find the videos; None for the launcher's path.

    Raises:
        InvalidArgumentError: if Beam has no file system for an address, an address is a pattern,
            or `videos_at` is relative.
    """
    if is_address(out):
        _check_address(out)
        if any(character in out for character in "*?["):
            raise InvalidArgumentError(
                f"`out` in a bucket must not contain any of * ? [. Received: {out}", argument="out"
            )
    if videos_at is None:
        return
    if is_address(videos_at):
        _check_address(videos_at)
    elif not os.path.isabs(videos_at):
        raise InvalidArgumentError(
            "`videos_at` must be an absolute path of the workers, or an address, for example "
            f"gs://bucket/videos. Received: {videos_at}",
            argument="videos_at",
        )


def _check_address(address: str) -> None:
    from apache_beam.io.filesystems import FileSystems

    try:
        FileSystems.get_filesystem(address)
    except ValueError:
        raise InvalidArgumentError(
            "Beam has no file system for this address: install its extra, for example "
            "pip install 'apache-beam[gcp]' for gs:// or 'apache-beam[aws]' for s3://. "
            f"Received: {address}"
        ) from None


def pipeline_options(words: Sequence[str]) -> PipelineOptions:
    """Parses Beam's options, and checks them as far as possible without a pipeline.

    Raises:
        InvalidArgumentError: if Beam does not accept one.
    """
    from apache_beam.io.filesystems import FileSystems
    from apache_beam.options.pipeline_options import PipelineOptions, StandardOptions

    if isinstance(words, str):
        raise InvalidArgumentError(
            "`beam_options` must be a list of words, for example "
            f'["--runner=FlinkRunner", "--flink_master=localhost:8081"]. Received: {words!r}',
            argument="beam_options",
        )
    printed = io.StringIO()
    parsers: list[Any] = []
    try:
        with contextlib.redirect_stderr(printed):
            options = PipelineOptions(list(words))
            options.get_all_options(add_extra_args_fn=parsers.append)
            _, unknown = parsers[0].parse_known_args(list(words))
    except SystemExit as error:
        if not error.code:  # --help was one of them
            raise
        reason = printed.getvalue().strip().rpartition("error: ")[2]
        raise InvalidArgumentError(
            f"Beam rejects `beam_options`: {reason}. Received: {list(words)}",
            argument="beam_options",
        ) from None
    runner = (options.view_as(StandardOptions).runner or "").lower().removesuffix("runner")
    if runner in _RUNNERS_WITH_JOB_SERVER:
        unknown = [word for word in unknown if not word.startswith("--")]
    if unknown:
        raise InvalidArgumentError(
            "Unknown words in `beam_options`; write --name=value, for example "
            f"--runner=FlinkRunner. Received: {' '.join(unknown)}",
            argument="beam_options",
        )
    FileSystems.set_options(options)
    return options
