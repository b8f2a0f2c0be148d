"""The class names that the package carries."""

import subprocess
import sys

import pytest

from keras_t3d.artifact_files import is_class_name
from keras_t3d.transfer import kinetics400_classes
from tests.conftest import SHARED_DATA

PUBLISHED = SHARED_DATA / "annotations" / "label_maps" / "k400.txt"


def test_they_are_400_different_sorted_names():
    names = kinetics400_classes()
    assert (len(names), names[0], names[-1]) == (400, "abseiling", "zumba")
    assert sorted(set(names)) == list(names)
    assert all(map(is_class_name, names))


@pytest.mark.skipif(not PUBLISHED.exists(), reason=f"needs {PUBLISHED}")
def test_they_are_those_published():
    assert list(kinetics400_classes()) == PUBLISHED.read_text().splitlines()


def test_reading_them_imports_no_backend():
    code = (
        "import sys\nfrom keras_t3d.transfer import kinetics400_classes\nkinetics400_classes()\n"
        "assert not {'keras', 'tensorflow', 'torch'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
