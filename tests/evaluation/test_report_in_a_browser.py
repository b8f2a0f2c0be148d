"""The report as Chromium shows it, at the width of a phone and of a desk, in both colours."""

import json
import pathlib
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from keras_t3d.data.shards.damage import split_records
from keras_t3d.evaluation import EvaluationOptions, score_videos, write_report
from tests.evaluation.written import FirstFrame, write_shards

pytestmark = pytest.mark.slow

LONG_NAME = "a_name_without_a_space_that_is_wider_than_a_phone_" * 2


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    pytest.importorskip(
        "PyQt6.QtWebEngineCore", reason="needs Chromium: pip install PyQt6-WebEngine"
    )
    folder = tmp_path_factory.mktemp("report")
    records = [(f"{LONG_NAME}{number}", number % 2, 3 + number) for number in range(12)]
    shards = write_shards(folder, [records])
    scores = score_videos(FirstFrame(), shards, "test", EvaluationOptions("t3d"))
    protocol = {"model": f"runs/{LONG_NAME}/best.keras", "split": "test"}
    write_report(scores, folder / "out", protocol, split_records(shards, "test"), previews=True)
    return folder / "out" / "index.html"


@pytest.mark.parametrize("width", [360, 1200])
@pytest.mark.parametrize("colours", ["light", "dark"])
def test_nothing_sticks_out(page, tmp_path, width, colours):
    screenshot = tmp_path / "page.png"
    script = pathlib.Path(__file__).with_name("browser.py")
    command = [sys.executable, script, page, screenshot, str(width), colours]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    assert json.loads(done.stdout) == []
    with Image.open(screenshot) as image:
        pixels = np.asarray(image.convert("L"))
    ground = np.median(pixels)  # of the page's background
    assert ground < 60 if colours == "dark" else ground > 220
    assert pixels.std() > 10  # there is text
