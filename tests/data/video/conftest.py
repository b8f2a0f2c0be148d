"""ffmpeg, for files that PyAV cannot write."""

import pytest

from tests.data.video import films


@pytest.fixture
def ffmpeg():
    """Runs ffmpeg with the given arguments."""
    if films.find_ffmpeg() is None:
        pytest.skip("needs ffmpeg: pip install imageio-ffmpeg")
    return films.run_ffmpeg


@pytest.fixture
def film(ffmpeg):
    """Writes a film of numbered frames, see `write_film`."""
    return films.write_film
