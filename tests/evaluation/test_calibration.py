import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_t3d.evaluation.calibration import compute_calibration


def test_error_by_hand():
    # Bin (9/15, 10/15]: two of confidence 0.62 and 0.66, one right. Bin (14/15, 1]: both right.
    confidences = np.array([0.62, 0.66, 0.95, 0.99])
    figures = compute_calibration(confidences, np.array([True, False, True, True]))
    assert figures["ece"] == pytest.approx(2 / 4 * abs(0.5 - 0.64) + 2 / 4 * abs(1 - 0.97))
    filled = {i: entry for i, entry in enumerate(figures["bins"]) if entry["videos"]}
    assert list(filled) == [9, 14]
    assert filled[9]["above"] == pytest.approx(0.6)
    assert filled[9]["up_to"] == pytest.approx(2 / 3)
    assert (filled[9]["videos"], filled[9]["accuracy"]) == (2, 0.5)
    assert filled[9]["confidence"] == pytest.approx(0.64)


def test_an_edge_belongs_to_the_bin_below():
    figures = compute_calibration(np.array([0.2, 0.0, 1.0, 1.0000001]), np.ones(4, bool))
    assert [entry["videos"] for entry in figures["bins"]] == [1, 0, 1, *[0] * 11, 2]
    assert figures["bins"][14]["confidence"] == 1.0


def test_empty_bins_have_no_figures():
    figures = compute_calibration(np.array([0.5]), np.array([True]))
    assert len(figures["bins"]) == 15
    assert figures["bins"][0]["confidence"] is None
    assert figures["bins"][0]["accuracy"] is None


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1))
def test_invariants(pairs):
    confidences, correct = (np.array(values) for values in zip(*pairs, strict=True))
    figures = compute_calibration(confidences, correct)
    assert 0 <= figures["ece"] <= 1
    assert sum(entry["videos"] for entry in figures["bins"]) == len(pairs)
    for entry in figures["bins"]:
        if entry["videos"]:
            assert entry["above"] <= entry["confidence"] + 1e-12
            assert entry["confidence"] <= entry["up_to"] + 1e-12
    # No binning can make the whole look better calibrated than its bins together are.
    assert figures["ece"] >= abs(correct.mean() - confidences.mean()) - 1e-9


@given(st.lists(st.booleans(), min_size=1))
def test_a_model_that_is_sure_errs_by_its_errors(correct):
    correct = np.array(correct)
    assert compute_calibration(np.ones(len(correct)), correct)["ece"] == pytest.approx(
        1 - correct.mean()
    )
