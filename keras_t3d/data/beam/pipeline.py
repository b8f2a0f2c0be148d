"""Runs a pipeline of Apache Beam whose input is the lines of a file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import apache_beam as beam
from apache_beam.io.filesystems import FileSystems
from apache_beam.options.pipeline_options import PipelineOptions

from keras_t3d.data.beam.errors import BeamError
from keras_t3d.errors import InvalidArgumentError


def run_over_lines(
    path: str, steps: Mapping[str, beam.PTransform], options: PipelineOptions
) -> None:
    """Runs a pipeline, and waits until it ends.

    A pipeline that holds all lines itself may exceed the size limit of a runner, so its workers
    read them from the file.

    Args:
        path: path or address of the file, which all workers see.
        steps: what follows the lines, by name.
        options: Beam's options.

    Raises:
        InvalidArgumentError: if Beam cannot build a pipeline with the options.
        BeamError: if the pipeline fails.
    """
    try:
        pipeline = beam.Pipeline(options=options)
    except ImportError:
        raise
    except Exception as error:
        raise InvalidArgumentError(
            f"Beam cannot run with these `beam_options`: {error}", argument="beam_options"
        ) from error
    values = (
        pipeline
        | "Plan" >> beam.Create([path])
        | "Lines" >> beam.FlatMap(_read_lines)
        | "Spread" >> beam.Reshuffle()
    )
    for name, step in steps.items():
        values = values | name >> step
    try:
        state = pipeline.run().wait_until_finish()
    except Exception as error:
        reason = str(error).strip() or type(error).__name__
        raise BeamError(
            f"The Beam pipeline failed: {reason}\nWhat is finished is kept: re-run to resume."
        ) from error
    if state != "DONE":
        raise BeamError(
            f"The Beam pipeline ended as {state}. What is finished is kept: re-run to resume."
        )


def _read_lines(path: str) -> Iterator[str]:
    with FileSystems.open(path) as file:
        for line in file:
            yield line.decode("ascii")
