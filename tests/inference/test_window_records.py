import csv
import json
import sys
import tracemalloc

import numpy as np
import pytest

from keras_t3d.inference import WindowPrediction, window_file, window_record

PREDICTION = WindowPrediction(4, 0.4, 1.0999999999, np.array([0.25, 0.7500001, 0], np.float32))
NAMES = ('cut "with", comma', "öffnen", "never")
RECORD = {
    "video": "a, b.mp4",
    "start": 0.4,
    "end": 1.1,
    "classes": [
        {"class": "öffnen", "probability": 0.75},
        {"class": 'cut "with", comma', "probability": 0.25},
    ],
}


def test_a_record_has_the_top_classes():
    assert window_record("a, b.mp4", PREDICTION, NAMES, top=2) == RECORD
    assert len(window_record("x", PREDICTION, NAMES, top=99)["classes"]) == 3


@pytest.mark.parametrize("count", [0, 1, 3])
def test_json_is_an_array_of_windows(tmp_path, count):
    with window_file(tmp_path / "w.json") as write:
        for _ in range(count):
            write(RECORD)
    assert json.loads((tmp_path / "w.json").read_text("utf-8")) == [RECORD] * count


def test_csv_has_a_row_per_class(tmp_path):
    with window_file(tmp_path / "new" / "w.CSV") as write:
        write(RECORD)
    with (tmp_path / "new" / "w.CSV").open(encoding="utf-8", newline="") as file:
        assert list(csv.reader(file)) == [
            ["video", "start", "end", "class", "probability"],
            ["a, b.mp4", "0.4", "1.1", "öffnen", "0.75"],
            ["a, b.mp4", "0.4", "1.1", 'cut "with", comma', "0.25"],
        ]


@pytest.mark.parametrize("name", ["w.json", "w.csv"])
def test_an_error_keeps_the_old_file(tmp_path, name):
    (tmp_path / name).write_text("old")

    def fail():
        with window_file(tmp_path / name) as write:
            write(RECORD)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert (tmp_path / name).read_text() == "old"


@pytest.mark.parametrize("name", ["w.txt", "w", "folder.csv"])
def test_other_files_are_rejected(tmp_path, name):
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(ValueError, match=r"\.json or \.csv"), window_file(tmp_path / name):
        pass


@pytest.mark.skipif(sys.platform == "win32", reason="file names are text there")
@pytest.mark.parametrize("name", ["w.json", "w.csv"])
def test_file_names_that_are_not_utf8(tmp_path, name):
    with window_file(tmp_path / name) as write:
        write({**RECORD, "video": b"caf\xe9.mp4".decode("utf-8", "surrogateescape")})
    assert r"caf\udce9.mp4" in (tmp_path / name).read_text("utf-8")


@pytest.mark.parametrize("name", ["w.json", "w.csv"])
def test_memory_does_not_grow_with_the_file(tmp_path, name):
    with window_file(tmp_path / name) as write:
        write(RECORD)
        tracemalloc.start()
        for _ in range(3000):
            write(RECORD)
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    size = (tmp_path / name).stat().st_size
    assert size > 200_000
    assert most < size / 4
