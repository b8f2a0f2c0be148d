"""Files of predictions: their content, and that kills change nothing."""

import csv
import json
import os
import random
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from keras_t3d.errors import InvalidArgumentError, MissingPackageError
from keras_t3d.inference import (
    BulkOptions,
    load_predictor,
    predict_video,
    write_embeddings,
    write_predictions,
)
from tests.conftest import write_video

HERE = BulkOptions(workers=0)


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    """A good video, a damaged one, and a file that is no video."""
    root = tmp_path_factory.mktemp("archive")
    noise = np.random.default_rng(0).integers(0, 256, (60, 48, 64, 3), dtype=np.uint8)
    write_video(root / "a.mp4", noise[:20])
    whole = write_video(root / "whole.avi", noise, codec="mpeg4")
    (root / "b.avi").write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    whole.unlink()
    (root / 'c, "d".mp4').write_text("no video")
    return root


def rounded(model, path, top):
    return [{"class": n, "probability": round(p, 6)} for n, p in predict_video(model, path, top)]


@pytest.mark.filterwarnings("ignore:damaged")
def test_the_three_formats_hold_the_same(lite_path, archive, tmp_path):
    pq = pytest.importorskip("pyarrow.parquet")
    reports = [
        write_predictions(lite_path, archive, tmp_path / f"s.{suffix}", HERE, top=2)
        for suffix in ("jsonl", "csv", "parquet")
    ]
    assert [(r.videos, r.unreadable, r.damaged) for r in reports] == 3 * [(3, 1, 1)]
    a, b, c = (str(archive / name) for name in ("a.mp4", "b.avi", 'c, "d".mp4'))
    rows = [json.loads(line) for line in (tmp_path / "s.jsonl").read_text().splitlines()]
    assert [list(row) for row in rows] == 3 * [["video", "classes", "views", "damage", "error"]]
    assert [(row["video"], row["views"]) for row in rows] == [(a, 2), (b, 2), (c, 0)]
    assert [row["classes"] for row in rows] == [
        rounded(lite_path, a, 2),
        rounded(lite_path, b, 2),
        [],
    ]
    assert [row["damage"] for row in rows] == [
        *(None, "header says 60 frames, 21 decode", None),
    ]
    assert [row["error"] is None for row in rows] == [True, True, False]
    with (tmp_path / "s.csv").open(newline="") as file:
        cells = [tuple(line.values()) for line in csv.DictReader(file)]
    assert cells == [
        (
            row["video"],
            entry.get("class", ""),
            str(entry.get("probability", "")),
            str(row["views"]),
            row["damage"] or "",
            row["error"] or "",
        )
        for row in rows
        for entry in row["classes"] or [{}]
    ]
    assert pq.read_table(tmp_path / "s.parquet").to_pylist() == rows
    assert sorted(path.name for path in tmp_path.iterdir()) == ["s.csv", "s.jsonl", "s.parquet"]


@pytest.mark.skipif(sys.platform != "linux", reason="needs a file system of bytes")
def test_names_that_are_not_utf8(lite_path, archive, tmp_path):
    pq = pytest.importorskip("pyarrow.parquet")
    name = os.fsdecode(b"caf\xe9.mp4")
    (tmp_path / name).symlink_to(archive / "a.mp4")
    for suffix in ("jsonl", "csv", "parquet"):
        write_predictions(lite_path, tmp_path / name, tmp_path / f"s.{suffix}", HERE)
    assert json.loads((tmp_path / "s.jsonl").read_text())["video"] == str(tmp_path / name)
    written = str(tmp_path / "caf\\udce9.mp4")
    assert (tmp_path / "s.csv").read_text().splitlines()[1].startswith(written)
    assert pq.read_table(tmp_path / "s.parquet")["video"].to_pylist() == [written]


class Failing:
    """Fails after so many batches."""

    def __init__(self, predictor, batches):
        self.clip_spec, self.class_names = predictor.clip_spec, predictor.class_names
        self._predictor, self._batches = predictor, batches

    def probabilities(self, clips):
        self._batches -= 1
        if self._batches < 0:
            raise RuntimeError("out of memory")
        return self._predictor.probabilities(clips)


@pytest.mark.parametrize("suffix", ["jsonl", "csv"])
def test_a_stopped_call_resumes_with_the_same_bytes(model, videos, tmp_path, suffix):
    predictor, options = load_predictor(model), BulkOptions(workers=0, batch_size=5)
    write_predictions(predictor, videos, tmp_path / f"whole.{suffix}", options)
    out, part = tmp_path / f"s.{suffix}", tmp_path / f"s.{suffix}.part"
    lengths = []
    for batches in (2, 4):
        with pytest.raises(RuntimeError, match="memory"):
            write_predictions(Failing(predictor, batches), videos, out, options)
        lengths.append(len(part.read_bytes().splitlines()))
        assert not out.exists()
    assert 1 < lengths[0] < lengths[1] < 29
    with pytest.raises(InvalidArgumentError, match=r"`batch_size` 5, now 6; `top` 5, now 4"):
        other = BulkOptions(workers=0, batch_size=6)
        write_predictions(predictor, videos, out, other, top=4)
    seen = []
    write_predictions(
        predictor, videos, out, options, progress=lambda done, total: seen.append((done, total))
    )
    assert seen == [(done, 28) for done in range(lengths[1], 29)]
    assert out.read_bytes() == (tmp_path / f"whole.{suffix}").read_bytes()
    assert not part.exists()


def test_another_model_and_another_list_are_refused(lite_path, model_path, videos, tmp_path):
    out = tmp_path / "s.csv"
    with pytest.raises(RuntimeError):
        write_predictions(Failing(load_predictor(lite_path), 1), videos, out, HERE)
    with pytest.raises(InvalidArgumentError, match=r"`model`.*now"):
        write_predictions(lite_path, videos, out, HERE)  # a file; it was a model in memory
    with pytest.raises(InvalidArgumentError, match=r"`videos` 28 of \w+, now 8 of"):
        predictor = Failing(load_predictor(lite_path), 1)
        write_predictions(predictor, videos / "test", out, HERE)


@pytest.mark.parametrize("name", ["s.txt", "s", "s.json"])
def test_other_formats_are_refused(lite_path, archive, tmp_path, name):
    with pytest.raises(InvalidArgumentError, match=r"`out`.*\.jsonl or \.csv or \.parquet"):
        write_predictions(lite_path, archive, tmp_path / name, HERE)


def test_parquet_without_pyarrow_says_what_to_install(lite_path, archive, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(MissingPackageError, match=r"pip install 'keras-t3d\[parquet\]'"):
        write_predictions(lite_path, archive, tmp_path / "s.parquet", HERE)
    assert list(tmp_path.iterdir()) == []


# Kills of all processes of a command.


def start(model, videos, out):
    words = ("predict", model, videos, "--out", out, "--batch-size", 3, "--workers", 2)
    command = [sys.executable, "-m", "keras_t3d.cli", *map(str, words)]
    return subprocess.Popen(command, stderr=subprocess.DEVNULL, start_new_session=True)


def kill(process):
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def lines(path):
    return path.read_bytes().count(b"\n") if path.exists() else 0


@pytest.fixture(scope="module")
def whole(lite_path, videos, tmp_path_factory):
    """The result of a run that is not interrupted."""
    out = tmp_path_factory.mktemp("whole") / "s.jsonl"
    write_predictions(lite_path, videos, out, BulkOptions(workers=0, batch_size=3))
    return out.read_bytes()


@pytest.mark.process
def test_a_killed_command_resumes_with_the_same_bytes(lite_path, videos, whole, tmp_path):
    out, part = tmp_path / "s.jsonl", tmp_path / "s.jsonl.part"
    for count in (4, 12):
        process = start(lite_path, videos, out)
        while process.poll() is None and lines(part) < count:
            time.sleep(0.002)
        kill(process)
    assert start(lite_path, videos, out).wait() == 0
    assert out.read_bytes() == whole
    assert list(tmp_path.iterdir()) == [out]


@pytest.mark.slow
def test_twenty_random_kills_change_nothing(lite_path, videos, whole, tmp_path):
    draw = random.Random(0)
    begin = time.perf_counter()
    assert start(lite_path, videos, tmp_path / "first.jsonl").wait() == 0
    seconds = time.perf_counter() - begin
    kills = 0
    for number in range(200):
        out = tmp_path / f"{number}.jsonl"
        while not out.exists():
            process = start(lite_path, videos, out)
            try:
                process.wait(draw.uniform(0.3, 1.1) * seconds if kills < 20 else None)
            except subprocess.TimeoutExpired:
                kill(process)
                kills += 1
        assert out.read_bytes() == whole
        if kills >= 20:
            break
    assert kills == 20


def test_embeddings_do_not_go_on_with_predictions(model_path, archive, tmp_path):
    pytest.importorskip("pyarrow")
    out = tmp_path / "x.parquet"

    def stopped(done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_predictions(model_path, archive, out, HERE, progress=stopped)
    with pytest.raises(InvalidArgumentError, match="`work` predictions, now embeddings"):
        write_embeddings(model_path, archive, out, HERE)
