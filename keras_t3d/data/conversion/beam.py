"""Converts videos to clip shards on many machines, with Apache Beam."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import os
import pathlib
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from keras_t3d.artifact_files import LABELS
from keras_t3d.data.beam.errors import BeamError
from keras_t3d.data.beam.options import check_beam, check_places, pipeline_options
from keras_t3d.data.conversion.options import ConversionOptions
from keras_t3d.data.conversion.output_folder import STATE
from keras_t3d.data.conversion.plan import ConversionPlan, check_space, plan_conversion
from keras_t3d.data.conversion.report import ConversionReport, finish_conversion
from keras_t3d.data.shards.object_store import is_address
from keras_t3d.data.shards.shard_set import MANIFEST, REJECTS
from keras_t3d.data.sources.listing import Listing
from keras_t3d.errors import InvalidArgumentError, KerasT3DError

if TYPE_CHECKING:
    from apache_beam.options.pipeline_options import PipelineOptions

    from keras_t3d.data.beam.folder import BeamFolder

_PLAN = f"{STATE}/plan.jsonl"


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
        ConversionError: as `convert` does.
        BeamError: if the pipeline fails.

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
    check_beam("Converting")
    from keras_t3d.data.beam.folder import BeamFolder
    from keras_t3d.data.beam.videos import path_of_workers
    from keras_t3d.data.conversion.beam_state import clear, enter, leave, summaries
    from keras_t3d.data.conversion.beam_steps import plan_lines

    runner_options = pipeline_options(beam_options)
    source, out = os.path.abspath(source), os.fspath(out)
    in_bucket = is_address(out)
    check_places(out, videos_at)
    with tempfile.TemporaryDirectory(prefix="keras_t3d-") as here:
        plan = plan_conversion(source, here if in_bucket else out, options)
        listed(plan.listing)
        is_new = not os.path.exists(out)
        folder = BeamFolder(out if in_bucket else os.path.abspath(out))
        if not in_bucket:
            check_space(plan)
        enter(folder, plan.fingerprint())
        finished = summaries(folder)
        pending = [shard for shard in plan.shards if shard.name not in finished]
        if pending:
            paths = path_of_workers(source, videos_at)
            lines = "".join(plan_lines(pending, plan.listing.class_ids, paths))
            _write_shards(folder, plan, lines, runner_options)
        shards = _in_order(summaries(folder), folder, plan)
        if not any(shard["examples"] for shard in shards):
            clear(folder, remove=is_new)
        with _uploaded(folder, pathlib.Path(here)):
            report = finish_conversion(dataclasses.replace(plan, out=pathlib.Path(here)), shards)
        leave(folder)
    where: Any = out if in_bucket else pathlib.Path(out)
    return dataclasses.replace(report, folder=where)


def _write_shards(
    folder: BeamFolder, plan: ConversionPlan, lines: str, options: PipelineOptions
) -> None:
    """Runs the pipeline."""
    import apache_beam as beam

    from keras_t3d.data.beam.pipeline import run_over_lines
    from keras_t3d.data.conversion.beam_steps import DecodeVideo, WriteShard

    folder.write(_PLAN, io.BytesIO(lines.encode("ascii")))
    steps = {
        "Decode": beam.ParDo(DecodeVideo(plan.options)),
        "Shards": beam.GroupByKey(),
        "Write": beam.ParDo(WriteShard(folder)),
    }
    run_over_lines(folder.path(_PLAN), steps, options)


def _in_order(
    finished: Mapping[str, dict[str, Any]], folder: BeamFolder, plan: ConversionPlan
) -> list[dict[str, Any]]:
    """Returns the summaries of all shards of a plan."""
    absent = [shard.name for shard in plan.shards if shard.name not in finished]
    if absent:
        raise BeamError(
            f"The workers finished, but {len(absent)} of {len(plan.shards)} shards are missing "
            f"here, such as {absent[0]}: `out` must be a folder that the workers share, or in a "
            f"bucket. Received: {folder.folder}"
        )
    return [finished[shard.name] for shard in plan.shards]


@contextlib.contextmanager
def _uploaded(folder: BeamFolder, here: pathlib.Path) -> Iterator[None]:
    """Copies what the block writes to `here` into the folder, the manifest last."""
    try:
        yield
    except KerasT3DError as error:
        raise type(error)(str(error).replace(str(here), folder.folder)) from None
    finally:
        for name in (REJECTS, LABELS, MANIFEST):
            if (here / name).is_file():
                with (here / name).open("rb") as file:
                    folder.write(name, file)
