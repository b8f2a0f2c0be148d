"""Pipelines that cannot start, or fail."""

import pytest

from keras_t3d.data.beam.errors import BeamError
from keras_t3d.data.beam.options import pipeline_options
from keras_t3d.errors import InvalidArgumentError
from tests.beam_bucket import LOCAL, needs_beam

pytestmark = [pytest.mark.process, needs_beam]


def test_a_runner_that_does_not_exist(tmp_path):
    from keras_t3d.data.beam.pipeline import run_over_lines

    with pytest.raises(InvalidArgumentError, match=r"`beam_options`.*NoSuchRunner"):
        run_over_lines(str(tmp_path), {}, pipeline_options(["--runner=NoSuchRunner"]))


def test_a_step_that_raises(tmp_path):
    import apache_beam

    from keras_t3d.data.beam.pipeline import run_over_lines

    (tmp_path / "lines").write_text("0\n")
    divide = {"Divide": apache_beam.Map(lambda line: 1 // int(line))}
    with pytest.raises(BeamError, match="division"):
        run_over_lines(str(tmp_path / "lines"), divide, pipeline_options(LOCAL))
