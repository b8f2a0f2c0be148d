"""8-bit files: contents, predictions and report."""

import hashlib
import json
import os
import pathlib
import subprocess
import sys

import flatbuffers
import keras
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter
from keras import layers

from keras_t3d import models
from keras_t3d.cli import main
from keras_t3d.clips import ClipSpec
from keras_t3d.data import ConversionOptions
from keras_t3d.data import convert as convert_videos
from keras_t3d.deploy import TFLiteOptions, export_tflite, quantization_report
from keras_t3d.deploy.calibration import held_out_clips
from keras_t3d.deploy.comparison import keras_probabilities
from keras_t3d.deploy.integer_conversion import IntegerConversion, LayerError
from keras_t3d.deploy.quantization_report import (
    change_interval,
    compare,
    logit_correlation,
)
from keras_t3d.deploy.tflite_content import litert_file
from keras_t3d.deploy.tflite_conversion import convert
from keras_t3d.deploy.tflite_operations import check_builtins_only, list_ops
from keras_t3d.errors import InvalidArgumentError
from keras_t3d.inference.litert_predictor import LiteRTPredictor, LiteRTRunner
from keras_t3d.layers import SpatioTemporalChannelCorrelation
from tests.conftest import counting_frames, write_video
from tests.deploy.networks import clips_for, randomize, small_network, types_of
from tests.deploy.test_networks import NETWORKS

pytestmark = pytest.mark.export

ROOT = pathlib.Path(__file__).parents[2]
DEFAULT = ("stc_residual", "r2plus1d", "t3d")  # has grouped and factorized convolutions
INT8, FLOAT32 = schema.TensorType.INT8, schema.TensorType.FLOAT32


def keeping(*layers):
    return TFLiteOptions("int8", float_layers=layers)


@pytest.fixture(scope="module")
def calibration(model):
    return clips_for(model, 6)


@pytest.fixture(scope="module")
def licensed(tmp_path_factory):
    path = tmp_path_factory.mktemp("licence") / "licence.txt"
    path.write_text("CC0 1.0")
    return TFLiteOptions("int8", licence=path)


@pytest.fixture(scope="module")
def exported(model, calibration, licensed, tmp_path_factory):
    path = tmp_path_factory.mktemp("int8") / "model.tflite"
    return export_tflite(model, path, calibration=calibration, options=licensed)


@pytest.fixture(scope="module")
def conversion(model, calibration):
    return IntegerConversion(model, calibration)


class TestFile:
    def test_input_is_uint8_and_output_is_float32(self, exported, model):
        runner = Interpreter(str(exported.path)).get_signature_runner()
        (clip,) = runner.get_input_details().values()
        assert clip["name"].startswith("serving_default_clip")
        assert clip["dtype"] == np.uint8
        assert clip["quantization"] == (1.0, 0)  # a pixel's value is itself
        assert tuple(clip["shape"]) == (1, *model.clip_spec.input_shape)
        (found,) = runner.get_output_details().values()
        assert found["dtype"] == np.float32

    def test_only_the_head_computes_in_floats(self, exported):
        content = exported.path.read_bytes()
        assert set(types_of(content, "CONV_2D")) == {INT8}
        assert set(types_of(content, "DEPTHWISE_CONV_2D")) == {INT8}
        assert types_of(content, "FULLY_CONNECTED") == [FLOAT32]
        assert not [name for name in list_ops(exported.path) if name.startswith("CUSTOM")]

    def test_predictions_equal_the_float_model(self, exported, model, calibration):
        run = LiteRTRunner(exported.path.read_bytes())
        found = np.concatenate([run(clip[None]) for clip in calibration])
        expected = keras_probabilities(model, calibration)
        np.testing.assert_allclose(found.sum(1), 1, atol=1e-5)
        assert (found.argmax(1) == expected.argmax(1)).all()
        assert logit_correlation(expected, found) > 0.999

    def test_metadata(self, exported, model):
        model_file = schema.Model.GetRootAs(exported.path.read_bytes())
        entries = [model_file.Metadata(n) for n in range(model_file.MetadataLength())]
        (entry,) = [entry for entry in entries if entry.Name() == b"TFLITE_METADATA"]
        content = model_file.Buffers(entry.Buffer()).DataAsNumpy().tobytes()
        assert content[4:8] == b"M001"
        root = Fields.root(content)
        assert root.text(0) == model.name
        assert root.text(5) == "CC0 1.0"
        assert root.text(7) == "1.0.0"
        assert [file.text(0) for file in root.tables(6)] == ["clip_spec.json"]
        (graph,) = root.tables(3)
        (clip,), (found,) = graph.tables(2), graph.tables(3)
        assert (clip.text(0), found.text(0)) == ("clip", "probabilities")
        (labels,) = found.tables(6)
        assert labels.text(0) == "labels.txt"
        assert labels.byte(2) == 2  # labels of an axis

    def test_the_same_model_gives_the_same_bytes(
        self, exported, licensed, model, calibration, tmp_path
    ):
        again = export_tflite(
            model, tmp_path / "a.tflite", calibration=calibration, options=licensed
        )
        assert again.path.read_bytes() == exported.path.read_bytes()

    def test_integer_output(self, model, calibration, tmp_path):
        report = export_tflite(
            model,
            tmp_path / "a.tflite",
            calibration=calibration,
            options=TFLiteOptions("int8", integer_output=True),
        )
        content = report.path.read_bytes()
        runner = Interpreter(model_content=content).get_signature_runner()
        (found,) = runner.get_output_details().values()
        assert found["dtype"] == np.int8
        assert found["quantization"] == (1 / 256, -128)
        assert types_of(content, "FULLY_CONNECTED") == [INT8]
        expected = keras_probabilities(model, calibration)
        answers = np.concatenate([LiteRTRunner(content)(clip[None]) for clip in calibration])
        np.testing.assert_allclose(answers, expected, atol=0.1)
        predicted = LiteRTPredictor(report.path).probabilities(calibration)
        np.testing.assert_array_equal(predicted, answers)

    def test_integer_output_of_a_confident_model(self, model, calibration, tmp_path):
        """Most of its probabilities are below the file's step of 1/256."""
        sure = small_network()
        kernel, bias = sure.get_layer("logits").get_weights()
        sure.get_layer("logits").set_weights([40 * kernel, 40 * bias])
        assert keras_probabilities(sure, calibration).max(1).mean() > 0.9
        report = export_tflite(
            sure,
            tmp_path / "a.tflite",
            calibration=calibration,
            options=TFLiteOptions("int8", integer_output=True),
        )
        assert report.quantized.correlation > 0.95
        assert report.quantized.agreement == 1

    def test_dynamic_file_is_small(self, model, calibration, tmp_path):
        report = export_tflite(model, tmp_path / "a.tflite", "dynamic", calibration)
        assert report.num_bytes < 0.4 * report.quantized.float_bytes
        assert report.quantized.correlation > 0.999
        assert report.quantized.layer_errors == ()


class Fields:
    """A flatbuffer's table, by the places of its fields."""

    def __init__(self, table):
        self.table = table

    @classmethod
    def root(cls, content):
        start = flatbuffers.encode.Get(flatbuffers.packer.uoffset, content, 0)
        return cls(flatbuffers.table.Table(content, start))

    def at(self, place):
        return self.table.Offset(4 + 2 * place)

    def text(self, place):
        return self.table.String(self.table.Pos + self.at(place)).decode()

    def byte(self, place):
        return self.table.Get(flatbuffers.number_types.Int8Flags, self.table.Pos + self.at(place))

    def tables(self, place):
        start = self.table.Vector(self.at(place))
        for number in range(self.table.VectorLen(self.at(place))):
            position = self.table.Indirect(start + 4 * number)
            yield Fields(flatbuffers.table.Table(self.table.Bytes, position))


class TestFloatLayers:
    def test_layers_have_their_keras_names(self, conversion):
        assert conversion.layers[:3] == ["normalization", "stem/conv", "stem/pool"]
        assert "block1/layer1_conv2" in conversion.layers
        assert conversion.layers[-1] == "logits"

    def test_layer_is_kept_in_floats(self, conversion, calibration):
        before = types_of(conversion.convert(TFLiteOptions("int8")), "CONV_2D")
        content = conversion.convert(keeping("transition1/depth3_conv"))
        after = types_of(content, "CONV_2D")
        assert [a for a, b in zip(after, before, strict=True) if a != b] == [FLOAT32]
        LiteRTRunner(content)(calibration[:1])

    @pytest.mark.parametrize("layer", ["stem", "block1", "transition1", "transition1/depth6_conv"])
    def test_readers_of_a_float_layer_run(self, conversion, model, calibration, layer):
        """No runtime concatenates floats and integers."""
        run = LiteRTRunner(conversion.convert(keeping(layer)))
        found = np.concatenate([run(clip[None]) for clip in calibration])
        assert logit_correlation(keras_probabilities(model, calibration), found) > 0.999

    def test_all_layers_in_floats_equal_the_float_model(self, conversion, model, calibration):
        run = LiteRTRunner(conversion.convert(keeping(*conversion.layers)))
        found = np.concatenate([run(clip[None]) for clip in calibration])
        np.testing.assert_allclose(found, keras_probabilities(model, calibration), atol=0.02)

    def test_layer_errors_are_sorted(self, conversion, calibration):
        errors = conversion.layer_errors(TFLiteOptions("int8"))
        sizes = [error.error for error in errors]
        assert sizes == sorted(sizes, reverse=True)
        assert {error.layer for error in errors} <= set(conversion.layers)
        by_layer = {error.layer: error for error in errors}
        assert by_layer["stem/conv"].operation == "CONV_2D"
        assert 0 < by_layer["stem/conv"].error < 0.1
        assert "stem/conv" not in {e.layer for e in conversion.layer_errors(keeping("stem"))}

    def test_unknown_layer_is_rejected(self, conversion):
        with pytest.raises(
            InvalidArgumentError, match=r"`float_layers`.*stem/conv\?.*'stem/convv'"
        ):
            conversion.convert(keeping("stem/convv"))


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=() if name in DEFAULT else pytest.mark.slow) for name in NETWORKS],
)
def test_every_family_in_floats_and_int8(name, tmp_path):
    network, options = NETWORKS[name]
    model = randomize(network(input_shape=(8, 20, 19, 3), num_classes=5, **options))
    clips = clips_for(model, 4)
    expected = keras_probabilities(model, clips)
    for content, least in (
        (convert(model, "none"), 0.999999),
        (IntegerConversion(model, clips).convert(TFLiteOptions("int8")), 0.99),
    ):
        run = LiteRTRunner(content)
        found = np.concatenate([run(clip[None]) for clip in clips])
        assert logit_correlation(expected, found) > least
        check_builtins_only(content)


def test_head_is_the_input_of_the_softmax():
    """Dense layers inside the model, as in channel correlation, are not the head."""
    inputs = keras.Input((4, 12, 12, 3))
    x = layers.Conv3D(8, 3, padding="same", activation="relu")(inputs)
    x = SpatioTemporalChannelCorrelation(2)(x)
    x = layers.Conv3D(5, 3, padding="same", name="logits")(x)
    model = randomize(models.VideoClassifier(inputs, layers.GlobalAveragePooling3D()(x)))
    clips = clips_for(model, 4)
    content = IntegerConversion(model, clips).convert(TFLiteOptions("int8"))
    assert set(types_of(content, "CONV_2D")) == {INT8}
    assert set(types_of(content, "FULLY_CONNECTED")) == {INT8}
    assert types_of(content, "SOFTMAX") == [FLOAT32]


class TestReport:
    EXPECTED = np.array([[0.7, 0.2, 0.1], [0.5, 0.45, 0.05], [0.1, 0.8, 0.1], [0.2, 0.2, 0.6]])
    FOUND = np.array([[0.6, 0.3, 0.1], [0.45, 0.5, 0.05], [0.1, 0.8, 0.1], [0.5, 0.1, 0.4]])

    def test_measurements(self, exported, calibration, model):
        contents = (convert(model, "none"), exported.path.read_bytes())
        errors = (LayerError("stem/conv", "CONV_2D", 0.25),)
        files = tuple(map(litert_file, contents))
        report = compare(self.EXPECTED, self.FOUND, np.array([0, 1, 1, 2]), files, errors)
        assert report.num_clips == 4
        assert report.agreement == 0.5
        assert report.num_confident == 3
        assert report.confident_agreement == pytest.approx(2 / 3)
        assert report.largest_difference == pytest.approx(0.3)
        assert (report.float_top1, report.top1) == (0.75, 0.75)
        reach = 1.96 * np.sqrt(3 / 6) / np.sqrt(6)  # one gained, one lost, of four
        assert report.top1_interval == pytest.approx((-reach, reach))
        assert (report.float_bytes, report.num_bytes) == tuple(map(len, contents))
        assert min(report.milliseconds, report.float_milliseconds) > 0
        said = "\n".join(report.lines())
        assert "50.0% of 4 clips; 66.7% of the 3" in said
        assert "25.00%  stem/conv (CONV_2D)" in said

    def test_interval_of_few_clips_is_not_empty(self):
        same = np.ones(30, bool)
        low, high = change_interval(same, same)
        assert (low, high) == pytest.approx((-1.96 / 32, 1.96 / 32))
        low, high = change_interval(np.array([True] * 90 + [False] * 10), np.array([False] * 100))
        assert -1 < low < -0.85 < high < -0.8

    def test_without_labels_there_is_no_accuracy(self, exported):
        assert exported.quantized.top1 is None
        assert exported.quantized.num_clips == 6
        assert not [line for line in exported.quantized.lines() if line.startswith("top-1")]

    def test_correlation_of_logits(self):
        logits = np.array([[1.0, 2.0, 4.0]])
        probabilities = np.exp(logits) / np.exp(logits).sum()
        other = np.exp(2 * logits) / np.exp(2 * logits).sum()
        assert logit_correlation(probabilities, other) == pytest.approx(1)
        assert logit_correlation(probabilities, probabilities[:, ::-1]) < 0
        ties = np.array([[0.501, 0.499], [0.499, 0.501], [0.9, 0.1], [0.2, 0.8]])
        assert logit_correlation(ties, ties[[1, 0, 2, 3]]) > 0.999  # two classes: nothing lost
        assert logit_correlation(np.ones((3, 1)), np.ones((3, 1))) == 1
        found = np.array([[0.0, 0.25, 0.75]])  # no number between 0 and 0.25
        expected = np.array([[0.01, 0.29, 0.7]])
        assert logit_correlation(expected, found, 0.125) > 0.99 > logit_correlation(expected, found)


@pytest.mark.parametrize(
    ("options", "argument"),
    [
        ({"quantization": "int4"}, "quantization"),
        ({"quantization": "int8", "float_layers": "stem"}, "float_layers"),
        ({"quantization": "none", "float_layers": ["stem"]}, "float_layers"),
        ({"quantization": "float16", "integer_output": True}, "integer_output"),
        ({"report_clips": 0}, "report_clips"),
    ],
)
def test_wrong_options(options, argument):
    with pytest.raises(InvalidArgumentError, match="Received: ") as raised:
        TFLiteOptions(**options)
    assert raised.value.argument == argument


@pytest.mark.parametrize(
    ("arguments", "argument"),
    [
        ({"quantization": "int8", "calibration": None}, "calibration"),
        ({"quantization": "int8", "evaluation": []}, "evaluation"),
        ({"quantization": "int8", "options": TFLiteOptions("dynamic")}, "quantization"),
    ],
)
def test_wrong_arguments(model, calibration, tmp_path, arguments, argument):
    arguments = {"calibration": calibration[:2], **arguments}
    with pytest.raises(InvalidArgumentError, match="Received: ") as raised:
        export_tflite(model, tmp_path / "a.tflite", **arguments)
    assert raised.value.argument == argument
    assert not list(tmp_path.iterdir())


class TestCommand:
    def test_int8_with_shards(self, shards, tmp_path, capsys):
        model_path = tmp_path / "two.keras"
        small_network(("bright", "dark")).save(model_path)
        out, licence = tmp_path / "t.tflite", tmp_path / "licence.txt"
        licence.write_text("MIT")
        words = ["--quantization", "int8", "--calibration", str(shards), "--report-clips", "5"]
        words += ["--float-layers", "stem", "--licence", str(licence)]
        assert main(["export", "tflite", str(model_path), str(out), *words]) == 0
        said = capsys.readouterr().out
        assert "ranges of 20 clips, comparing on clips of test" in said
        assert "of 5 clips" in said
        report = json.loads((tmp_path / "t.report.json").read_text())
        assert report["num_clips"] == 5
        assert 0 <= report["top1"] <= 1
        assert {error["layer"] for error in report["layer_errors"]}
        assert (report["clips"], report["split"], report["clips_of_ranges"]) == (
            *(str(shards), "test", 20),
        )
        assert (report["quantization"], report["float_layers"]) == ("int8", ["stem"])
        assert report["sha256"] == hashlib.sha256(out.read_bytes()).hexdigest()
        assert b"MIT" in out.read_bytes()

    def test_evaluation_clips_are_reported(self, model_path, videos, tmp_path, capsys):
        unlabelled = tmp_path / "shards"
        convert_videos(
            videos / "train",
            unlabelled,
            ConversionOptions(layout="unlabelled", short_side=40, workers=1),
        )
        words = ["export", "tflite", str(model_path), str(tmp_path / "t.tflite")]
        words += ["--quantization", "dynamic", "--report-clips", "2"]
        assert main(words) == 0
        assert "Compared on generated clips" in capsys.readouterr().out
        assert json.loads((tmp_path / "t.report.json").read_text())["clips"] == "generated"
        assert main([*words, "--calibration", str(unlabelled)]) == 0
        said = capsys.readouterr().out
        assert "train is optimistic" in said
        assert "accuracy is not measured" in said
        assert "top-1" not in said

    def test_rejected_model_leaves_its_report(
        self, model_path, shards, tmp_path, capsys, monkeypatch
    ):
        monkeypatch.setattr(quantization_report, "LEAST_CORRELATION", 1.1)
        words = ["--quantization", "int8", "--calibration", str(shards), "--report-clips", "2"]
        assert main(["export", "tflite", str(model_path), str(tmp_path / "t.tflite"), *words]) == 1
        said = capsys.readouterr()
        assert "--float-layers" in said.err
        assert "stem" in said.err or "block1" in said.err
        assert "stem/conv (CONV_2D)" in said.out
        assert [path.name for path in tmp_path.iterdir()] == ["t.report.json"]
        assert "correlate" in json.loads((tmp_path / "t.report.json").read_text())["refused"]

    def test_int8_needs_shards(self, model_path, tmp_path, capsys):
        words = ["export", "tflite", str(model_path), str(tmp_path / "t.tflite")]
        assert main([*words, "--quantization", "int8"]) == 1
        (line,) = capsys.readouterr().err.splitlines()
        assert "calibration" in line
        assert not list(tmp_path.iterdir())

    def test_labels_of_other_classes_are_ignored(self, shards, spec):
        split, labelled, batches = held_out_clips(str(shards), spec, ("bright", "dark"), 3)
        assert (split, labelled) == ("test", True)
        ((clips, labels),) = batches
        assert len(clips) == len(labels) == 3
        _, labelled, batches = held_out_clips(str(shards), spec, ("dark", "bright"), 3)
        assert not labelled
        ((_, labels),) = batches
        assert labels is None


@pytest.mark.process
def test_example_needs_only_litert(model, exported, tmp_path):
    example = ROOT / "docs" / "examples" / "litert_alone.py"
    path = exported.path
    video = write_video(tmp_path / "v.mp4", counting_frames(20))
    code = f"""
import runpy, sys
for name in ("tensorflow", "keras", "keras_t3d"):
    sys.modules[name] = None
sys.argv = ["litert_alone.py", {str(path)!r}, {str(video)!r}]
runpy.run_path({str(example)!r})
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=os.sep
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert len(lines) == 5
    assert {line.split("%", 1)[1].strip() for line in lines} < set(model.class_names)
    assert main(["predict", str(path), str(video), "--top", "1"]) == 0


def test_predictor_reads_the_clip_spec_of_a_file(exported):
    from keras_t3d.inference import load_predictor

    predictor = load_predictor(str(exported.path))
    assert isinstance(predictor.clip_spec, ClipSpec)
    assert predictor.probabilities(
        np.zeros((1, *predictor.clip_spec.input_shape), np.uint8)
    ).shape == (1, 6)
