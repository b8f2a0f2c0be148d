"""Converts videos to clip shards on many machines, with Apache Beam."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import os
import pathlib
import tempfile
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from keras_t3d.artifact_files import LABELS
from keras_t3d.data.conversion.errors import ConversionError
from keras_t3d.data.conversion.options import ConversionOptions
from keras_t3d.data.conversion.output_folder import STATE
from keras_t3d.data.conversion.plan import ConversionPlan, check_space, plan_conversion
from keras_t3d.data.conversion.report import ConversionReport, finish_conversion
from keras_t3d.data.shards.object_store import is_address
from keras_t3d.data.shards.shard_set import MANIFEST, REJECTS
from keras_t3d.data.sources.listing import Listing
from keras_t3d.errors import InvalidArgumentError, KerasT3DError, MissingPackageError

if TYPE_CHECKING:
    from apache_beam.options.pipeline_options import PipelineOptions

    from keras_t3d.data.conversion.beam_folder import BeamFolder

_PLAN = f"{STATE}/plan.jsonl"
# Their job servers have options that the Python part of Beam does not know.
_RUNNERS_WITH_JOB_SERVER = ("flink", "portable", "spark")


def convert_with_beam(
    source: str | os.PathLike[str],
    out: str | os.PathLike[str],
    options: ConversionOptions | None = None,
    *,
    videos_at: str | None = None,
    beam_options: Sequence[str] = (),
    listed: Callable[[Listing], None] = lambda listing: None,
) -> ConversionReport:
    """Converts videos to TFRecord clip shards with an Apache Beam pipeline.

    Writes the same bytes as `keras_t3d.data.convert`. The launcher lists the videos, and writes
    labels, rejects and manifest; the workers decode the videos and write the shards. Call it
    again with the same arguments to write only the shards that are not finished.

    Args:
        source: as for `convert`. Without `videos_at`, the workers read it at the same path.
        out: folder to write, which launcher and workers share, or its address in a bucket
            (`gs://`, `s3://`, `hdfs://`), for which Beam needs its own extra.
        options: ConversionOptions without `workers`; None means the default of each option.
        videos_at: where the workers find the folder of videos, if not at the launcher's path: an
            absolute path, or an address such as `gs://bucket/videos`, from which each worker
            fetches the videos that it decodes.
        beam_options: words of Beam's command line, such as `"--runner=FlinkRunner"`. Without
            any, Beam's DirectRunner runs the pipeline.
        listed: as for `convert`.

    Returns:
        A ConversionReport.

    Raises:
        MissingPackageError: if Apache Beam is not installed.
        InvalidArgumentError: as `convert` does, and if Beam does not accept an option.
        ConversionError: as `convert` does, and if the pipeline fails.

    Example:

    ```python
    options = ConversionOptions(split_ratio="0.8")
    words = ["--direct_num_workers=4", "--direct_running_mode=multi_processing"]
    convert_with_beam("videos", "shards", options, beam_options=words)
    ```

    Reference:
        https://beam.apache.org/documentation/runners/capability-matrix
    """
    options = options or ConversionOptions()
    if options.workers is not None:
        raise InvalidArgumentError(
            "`workers` does not apply to Apache Beam, whose runners have their own options, such "
            f"as --direct_num_workers=4. Received: {options.workers}",
            argument="workers",
        )
    _check_beam()
    from keras_t3d.data.conversion.beam_folder import BeamFolder
    from keras_t3d.data.conversion.beam_steps import plan_lines

    pipeline_options = _pipeline_options(beam_options)
    source, out = os.path.abspath(source), os.fspath(out)
    in_bucket = is_address(out)
    for address in (out, videos_at or ""):
        if is_address(address):
            _check_address(address)
    if in_bucket and any(character in out for character in "*?["):
        raise InvalidArgumentError(
            f"`out` in a bucket must not contain any of * ? [. Received: {out}", argument="out"
        )
    with tempfile.TemporaryDirectory(prefix="keras_t3d-") as here:
        plan = plan_conversion(source, here if in_bucket else out, options)
        listed(plan.listing)
        is_new = not os.path.exists(out)
        folder = BeamFolder(out if in_bucket else os.path.abspath(out))
        if not in_bucket:
            check_space(plan)
        folder.enter(plan.fingerprint())
        finished = folder.summaries()
        pending = [shard for shard in plan.shards if shard.name not in finished]
        if pending:
            lines = plan_lines(pending, plan.listing.class_ids, _path_of_workers(source, videos_at))
            _write_shards(folder, plan, "".join(lines), pipeline_options)
        summaries = _all_summaries(folder, plan)
        if not any(shard["examples"] for shard in summaries):
            folder.clear(remove=is_new)
        with _uploaded(folder, pathlib.Path(here)):
            report = finish_conversion(dataclasses.replace(plan, out=pathlib.Path(here)), summaries)
        folder.leave()
    where: Any = out if in_bucket else pathlib.Path(out)
    return dataclasses.replace(report, folder=where)


def _check_beam() -> None:
    try:
        import apache_beam  # noqa: F401
    except ModuleNotFoundError as error:
        if error.name != "apache_beam":  # installed, but fails to import
            raise
        raise MissingPackageError(
            "Converting on many machines requires Apache Beam: pip install 'keras-t3d[beam]'"
        ) from None


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


def _pipeline_options(words: Sequence[str]) -> PipelineOptions:
    """Parses Beam's options, and checks them as far as possible without a pipeline."""
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


def _path_of_workers(source: str, videos_at: str | None) -> Callable[[str], str]:
    """Returns the function from the path of a video to the path at which the workers find it."""
    root = source if os.path.isdir(source) else os.path.dirname(source)

    def relocated(path: str) -> str:
        if videos_at is None:
            return path
        below = os.path.relpath(path, root)
        if below.startswith(os.pardir):
            raise InvalidArgumentError(
                f"`videos_at` replaces {root}, so all videos must be below it. Received: {path}",
                argument="videos_at",
            )
        return f"{str(videos_at).rstrip('/')}/{below}"

    return relocated


def _write_shards(
    folder: BeamFolder, plan: ConversionPlan, lines: str, options: PipelineOptions
) -> None:
    """Runs the pipeline."""
    import apache_beam as beam

    from keras_t3d.data.conversion.beam_steps import DecodeVideo, WriteShard, read_lines

    folder.write(_PLAN, io.BytesIO(lines.encode("ascii")))
    try:
        pipeline = beam.Pipeline(options=options)
    except ImportError:
        raise
    except Exception as error:
        raise InvalidArgumentError(
            f"Beam cannot run with these `beam_options`: {error}", argument="beam_options"
        ) from error
    _ = (
        pipeline
        | "Plan" >> beam.Create([folder.path(_PLAN)])
        | "Videos" >> beam.FlatMap(read_lines)
        | "Spread" >> beam.Reshuffle()
        | "Decode" >> beam.ParDo(DecodeVideo(plan.options))
        | "Shards" >> beam.GroupByKey()
        | "Write" >> beam.ParDo(WriteShard(folder))
    )
    try:
        state = pipeline.run().wait_until_finish()
    except Exception as error:
        reason = str(error).strip() or type(error).__name__
        raise ConversionError(
            f"The Beam pipeline failed: {reason}\nFinished shards are kept: re-run to resume."
        ) from error
    if state != "DONE":
        raise ConversionError(
            f"The Beam pipeline ended as {state}. Finished shards are kept: re-run to resume."
        )


def _all_summaries(folder: BeamFolder, plan: ConversionPlan) -> list[dict[str, Any]]:
    summaries = folder.summaries()
    absent = [shard.name for shard in plan.shards if shard.name not in summaries]
    if absent:
        raise ConversionError(
            f"The workers finished, but {len(absent)} of {len(plan.shards)} shards are missing "
            f"here, such as {absent[0]}: `out` must be a folder that the workers share, or in a "
            f"bucket. Received: {folder.out}"
        )
    return [summaries[shard.name] for shard in plan.shards]


@contextlib.contextmanager
def _uploaded(folder: BeamFolder, here: pathlib.Path) -> Iterator[None]:
    """Copies what the block writes to `here` into the folder, the manifest last."""
    try:
        yield
    except KerasT3DError as error:
        raise type(error)(str(error).replace(str(here), folder.out)) from None
    finally:
        for name in (REJECTS, LABELS, MANIFEST):
            if (here / name).is_file():
                with (here / name).open("rb") as file:
                    folder.write(name, file)
