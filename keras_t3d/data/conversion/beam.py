"""Videos to clip shards on many machines: `keras_t3d.data.convert` under Apache Beam."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import os
import pathlib
import tempfile
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from keras_t3d.artifact_files import LABELS
from keras_t3d.data.conversion.folder import STATE
from keras_t3d.data.conversion.isolation import ConversionError, check_time_limit
from keras_t3d.data.conversion.plan import ConversionPlan, check_space, plan_conversion
from keras_t3d.data.conversion.report import ConversionReport, finish_conversion
from keras_t3d.data.conversion.shard_plan import PlannedShard
from keras_t3d.data.shards.shard_set import MANIFEST, REJECTS

if TYPE_CHECKING:
    from apache_beam.options.pipeline_options import PipelineOptions

    from keras_t3d.data.conversion.beam_folder import BeamFolder

_PLAN = f"{STATE}/plan.jsonl"
# Their job servers know options of their own, which Beam's Python part does not.
_RUNNERS_WITH_JOB_SERVER = ("flink", "portable", "spark")


def convert_with_beam(
    source: str | os.PathLike[str],
    out: str | os.PathLike[str],
    layout: str = "folder",
    *,
    annotations: str | os.PathLike[str] | None = None,
    split_id: int | None = None,
    split_ratio: str | None = None,
    group_regex: str | None = None,
    short_side: int = 128,
    jpeg_quality: int = 90,
    max_seconds: float = 30.0,
    seed: int = 0,
    time_limit: float = 120.0,
    max_rejects: int | None = None,
    videos_at: str | None = None,
    beam_options: Sequence[str] = (),
) -> ConversionReport:
    """Converts videos to TFRecord clip shards with an Apache Beam pipeline.

    Writes the same bytes as `keras_t3d.data.convert`. The videos are listed here;
    the workers decode them and write the shards; labels, rejects and manifest are
    written here. Run again with the same arguments, it makes only those shards that
    are not finished.

    Args:
        source: as for `convert`. The workers must see it at the same path, if
            `videos_at` is not given.
        out: folder to write, that launcher and workers share, or its address in a
            bucket (`gs://`, `s3://`, `hdfs://`), for which Beam needs its own extra.
        layout: as for `convert`, like all that follow, but the last two. Defaults
            to `"folder"`.
        annotations: defaults to `None`.
        split_id: int. Defaults to `None`.
        split_ratio: str. Defaults to `None`.
        group_regex: str. Defaults to `None`.
        short_side: int, in pixels. Defaults to `128`.
        jpeg_quality: int, 1 to 100. Defaults to `90`.
        max_seconds: float. Defaults to `30.0`.
        seed: int. Defaults to `0`.
        time_limit: float, in seconds. Defaults to `120.0`.
        max_rejects: int. Known only when all videos are decoded. Defaults to no limit.
        videos_at: str. Where the workers find the folder of videos, if not where it
            lies here: an absolute path, or an address such as `gs://bucket/videos`,
            from which each worker fetches what it decodes. Defaults to `None`.
        beam_options: words of Beam's command line, such as `"--runner=FlinkRunner"`.
            Defaults to none, which means Beam's DirectRunner.

    Returns:
        A ConversionReport. Its folder is a str where `out` is in a bucket.

    Raises:
        ImportError: if Apache Beam, or the part of it that a runner needs, is absent.
        ValueError: as `convert` does, and if Beam does not know an option.
        ConversionError: if the pipeline fails.

    Example:

    ```python
    options = ["--direct_num_workers=4", "--direct_running_mode=multi_processing"]
    convert_with_beam("videos", "shards", split_ratio="0.8", beam_options=options)
    ```

    Reference:
        https://beam.apache.org/documentation/runners/capability-matrix
    """
    check_time_limit(time_limit)
    _check_beam()
    from keras_t3d.data.conversion.beam_folder import BeamFolder, is_in_bucket

    options = _pipeline_options(beam_options)
    source, out = os.path.abspath(source), os.fspath(out)
    in_bucket = is_in_bucket(out)
    for address in (out, videos_at or ""):
        if is_in_bucket(address):
            _check_address(address)
    if in_bucket and any(character in out for character in "*?["):
        raise ValueError(f"OUT in a bucket must not contain any of * ? [. Received: {out}")
    with tempfile.TemporaryDirectory(prefix="keras_t3d-") as here:
        plan = plan_conversion(
            source,
            here if in_bucket else out,
            layout,
            annotations=annotations,
            split_id=split_id,
            split_ratio=split_ratio,
            group_regex=group_regex,
            short_side=short_side,
            jpeg_quality=jpeg_quality,
            max_seconds=max_seconds,
            seed=seed,
        )
        made_folder = not os.path.exists(out)
        folder = BeamFolder(out if in_bucket else os.path.abspath(out))
        if not in_bucket:
            check_space(plan)
        folder.enter(plan.fingerprint())
        finished = folder.summaries()
        pending = [shard for shard in plan.shards if shard.name not in finished]
        if pending:
            _write_shards(folder, plan, _moved(pending, source, videos_at), time_limit, options)
        summaries = _all_summaries(folder, plan)
        if not any(shard["examples"] for shard in summaries):
            folder.clear(remove=made_folder)
        with _sent(folder, pathlib.Path(here)):
            report = finish_conversion(
                dataclasses.replace(plan, out=pathlib.Path(here)), summaries, max_rejects
            )
        folder.leave()
    where: Any = out if in_bucket else pathlib.Path(out)
    return dataclasses.replace(report, folder=where)


def _check_beam() -> None:
    try:
        import apache_beam  # noqa: F401
    except ModuleNotFoundError as error:
        if error.name != "apache_beam":  # it is there, but cannot be loaded
            raise
        raise ImportError(
            "Converting on many machines needs Apache Beam: pip install 'keras-t3d[beam]'"
        ) from None


def _check_address(address: str) -> None:
    from apache_beam.io.filesystems import FileSystems

    try:
        FileSystems.get_filesystem(address)
    except ValueError:
        raise ValueError(
            "Beam knows no such address: install its part for it, as with "
            "pip install 'apache-beam[gcp]' for gs:// or 'apache-beam[aws]' for s3://. "
            f"Received: {address}"
        ) from None


def _pipeline_options(words: Sequence[str]) -> PipelineOptions:
    """Checks what of Beam's options can be checked before a pipeline is made."""
    from apache_beam.io.filesystems import FileSystems
    from apache_beam.options.pipeline_options import PipelineOptions, StandardOptions

    if isinstance(words, str):
        raise ValueError(
            "beam_options must be a list of words, for example "
            f'["--runner=FlinkRunner", "--flink_master=localhost:8081"]. Received: {words!r}'
        )
    said = io.StringIO()
    parsers: list[Any] = []
    try:
        with contextlib.redirect_stderr(said):
            options = PipelineOptions(list(words))
            options.get_all_options(add_extra_args_fn=parsers.append)
            _, unknown = parsers[0].parse_known_args(list(words))
    except SystemExit as error:
        if not error.code:  # --help was among them
            raise
        reason = said.getvalue().strip().rpartition("error: ")[2]
        raise ValueError(f"Beam refuses its options: {reason}. Received: {list(words)}") from None
    runner = (options.view_as(StandardOptions).runner or "").lower().removesuffix("runner")
    if runner in _RUNNERS_WITH_JOB_SERVER:
        unknown = [word for word in unknown if not word.startswith("--")]
    if unknown:
        raise ValueError(
            "Beam knows no such option; write --name=value, for example --runner=FlinkRunner. "
            f"Received: {' '.join(unknown)}"
        )
    FileSystems.set_options(options)
    return options


def _moved(
    shards: Sequence[PlannedShard], source: str, videos_at: str | None
) -> list[PlannedShard]:
    """The shards with their videos' paths as the workers know them."""
    if videos_at is None:
        return list(shards)
    root = source if os.path.isdir(source) else os.path.dirname(source)

    def moved(path: str) -> str:
        below = os.path.relpath(path, root)
        if below.startswith(os.pardir):
            raise ValueError(
                f"--videos-at stands for {root}, where all videos must lie then. Received: {path}"
            )
        return f"{str(videos_at).rstrip('/')}/{below}"

    return [
        dataclasses.replace(
            shard,
            entries=tuple(
                dataclasses.replace(entry, path=moved(entry.path)) for entry in shard.entries
            ),
        )
        for shard in shards
    ]


def _write_shards(
    folder: BeamFolder,
    plan: ConversionPlan,
    shards: Sequence[PlannedShard],
    time_limit: float,
    options: PipelineOptions,
) -> None:
    """Runs the pipeline to its end."""
    import apache_beam as beam

    from keras_t3d.data.conversion.beam_steps import DecodeVideo, WriteShard, plan_lines, read_lines

    lines = "".join(plan_lines(shards, plan.listing.class_ids))
    folder.write(_PLAN, io.BytesIO(lines.encode("ascii")))
    try:
        pipeline = beam.Pipeline(options=options)
    except ImportError:
        raise
    except Exception as error:
        raise ValueError(f"Beam cannot run with these options: {error}") from error
    _ = (
        pipeline
        | "Plan" >> beam.Create([folder.path(_PLAN)])
        | "Videos" >> beam.FlatMap(read_lines)
        | "Spread" >> beam.Reshuffle()
        | "Decode" >> beam.ParDo(DecodeVideo(plan.options, time_limit))
        | "Shards" >> beam.GroupByKey()
        | "Write" >> beam.ParDo(WriteShard(folder))
    )
    try:
        state = pipeline.run().wait_until_finish()
    except Exception as error:
        reason = str(error).strip() or type(error).__name__
        raise ConversionError(
            f"The Beam pipeline failed: {reason}\nFinished shards are kept: run again to go on."
        ) from error
    if state != "DONE":
        raise ConversionError(
            f"The Beam pipeline ended as {state}. Finished shards are kept: run again to go on."
        )


def _all_summaries(folder: BeamFolder, plan: ConversionPlan) -> list[dict[str, Any]]:
    summaries = folder.summaries()
    absent = [shard.name for shard in plan.shards if shard.name not in summaries]
    if absent:
        raise ConversionError(
            f"The workers ended, but {len(absent)} of {len(plan.shards)} shards are not to be seen "
            f"from here, {absent[0]} the first: OUT must be a folder that the workers share, or "
            f"in a bucket. Received: {folder.out}"
        )
    return [summaries[shard.name] for shard in plan.shards]


@contextlib.contextmanager
def _sent(folder: BeamFolder, here: pathlib.Path) -> Iterator[None]:
    """Sends what the block writes beside the shards, the manifest last."""
    try:
        yield
    except ValueError as error:
        raise ValueError(str(error).replace(str(here), folder.out)) from None
    finally:
        for name in (REJECTS, LABELS, MANIFEST):
            if (here / name).is_file():
                with (here / name).open("rb") as file:
                    folder.write(name, file)
