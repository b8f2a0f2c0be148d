"""The documentation site: what its pages have in common, and that it builds."""

import pathlib
import re
import subprocess
import sys

import pytest

DOCS = pathlib.Path(__file__).parents[1] / "docs"
PAGES = sorted(DOCS.rglob("*.md"))
# Guides: what a user wants to do; the other folders are for looking things up.
GUIDES = [
    page
    for page in sorted(DOCS.glob("*.md"))
    if page.stem not in {"architecture", "dependencies", "index", "results"}
]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(DOCS)))
def test_a_page_can_be_read_at_one_sitting(page):
    assert len(page.read_text(encoding="utf-8").split()) <= 1600


@pytest.mark.parametrize("page", GUIDES, ids=lambda page: page.stem)
def test_a_guide_starts_with_what_to_do(page):
    first = re.search(r"^```", page.read_text(encoding="utf-8"), re.MULTILINE)
    assert first is not None
    assert page.read_text(encoding="utf-8")[: first.start()].count("\n") <= 6


@pytest.mark.slow  # ten seconds; CI runs `make docs`
def test_the_site_builds_without_a_warning(tmp_path):
    pytest.importorskip("mkdocs", reason="needs MkDocs: make test EXTRAS=dev,docs")
    command = [sys.executable, "-m", "mkdocs", "build", "--quiet", "--site-dir", str(tmp_path)]
    done = subprocess.run(command, cwd=DOCS.parent, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "export_tflite" in (tmp_path / "reference" / "python" / "deploy.html").read_text()
    assert "--calibration" in (tmp_path / "reference" / "commands.html").read_text()
