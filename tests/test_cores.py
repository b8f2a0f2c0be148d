import os

import pytest

from keras_t3d import cores


@pytest.mark.parametrize(
    ("quota", "expected"),
    [("max 100000", 4), ("200000 100000", 2), ("50000 100000", 1), ("9900000 100000", 4), ("", 4)],
)
def test_a_containers_limit_counts(monkeypatch, tmp_path, quota, expected):
    (tmp_path / "cpu.max").write_text(f"{quota}\n")
    monkeypatch.setattr(cores, "_QUOTA", tmp_path / "cpu.max")
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(4)), raising=False)
    assert cores.usable_cores() == expected


def test_where_there_are_no_limits(monkeypatch, tmp_path):
    monkeypatch.setattr(cores, "_QUOTA", tmp_path / "none")
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 7)
    assert cores.usable_cores() == 7
