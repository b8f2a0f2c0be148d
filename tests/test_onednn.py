import os
import sys
import warnings

import pytest

from keras_t3d import onednn
from keras_t3d.errors import KerasT3DWarning

WITH_VNNI = "processor\t: 0\nflags\t\t: fpu avx2 avx512_vnni\n"
WITHOUT_VNNI = "processor\t: 0\nflags\t\t: fpu avx2\n"
ARM = "processor\t: 0\nFeatures\t: fp asimd\n"


def turn_on(chosen, processor, tmp_path, monkeypatch):
    """Returns whether it warns after TensorFlow was imported."""
    monkeypatch.setitem(sys.modules, "tensorflow", None)
    monkeypatch.delenv(onednn.VARIABLE, raising=False)
    if chosen is not None:
        monkeypatch.setenv(onednn.VARIABLE, chosen)
    monkeypatch.setattr(onednn, "_PROCESSOR", tmp_path / "cpuinfo")
    if processor is not None:
        (tmp_path / "cpuinfo").write_text(processor)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        onednn.turn_on_onednn()
    assert os.environ[onednn.VARIABLE] == (chosen or "1")
    return [warning.category for warning in caught] == [KerasT3DWarning]


@pytest.mark.parametrize("processor", [WITH_VNNI, ARM, None])
def test_no_warning_where_it_is_on_or_nothing_is_known(processor, tmp_path, monkeypatch):
    assert not turn_on(None, processor, tmp_path, monkeypatch)


def test_a_late_import_warns_unless_the_variable_is_set(tmp_path, monkeypatch):
    assert turn_on(None, WITHOUT_VNNI, tmp_path, monkeypatch)
    assert not turn_on("0", WITHOUT_VNNI, tmp_path, monkeypatch)
    assert not turn_on("1", WITHOUT_VNNI, tmp_path, monkeypatch)
