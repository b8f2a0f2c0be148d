"""Options of Apache Beam: what can be checked before a pipeline starts."""

import pytest

from keras_t3d.data.beam.options import pipeline_options
from tests.beam_bucket import needs_beam


@needs_beam
@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--runer=FlinkRunner"], "`beam_options`.*--runer=FlinkRunner"),
        (["DirectRunner"], "`beam_options`.*Received: DirectRunner"),
        (["--direct_num_workers=many"], "invalid int value: 'many'"),
        ("--runner=DirectRunner", "`beam_options` must be a list"),
        (["--runner=FlinkRunner", "parallelism=2"], "`beam_options`.*parallelism=2"),
    ],
)
def test_bad_options_are_refused(words, message):
    with pytest.raises(ValueError, match=message):
        pipeline_options(words)


@needs_beam
def test_options_of_a_job_server_are_left_to_it():
    from apache_beam.options.pipeline_options import FlinkRunnerOptions

    words = ["--runner=flink", "--flink_master=host:8081", "--of_the_job_server=4"]
    options = pipeline_options(words)
    assert options.view_as(FlinkRunnerOptions).flink_master == "host:8081"
