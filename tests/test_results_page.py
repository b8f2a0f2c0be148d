"""The pages of results are what studies/results_page.py generates."""

import importlib.util
import json
import pathlib

import pytest

ROOT = pathlib.Path(__file__).parents[1]
_SPEC = importlib.util.spec_from_file_location("results_page", ROOT / "studies/results_page.py")
results_page = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(results_page)


def test_the_pages_are_up_to_date():
    for path, page in results_page.render_pages(results_page.RESULTS).items():
        assert path.read_text(encoding="utf-8") == page, "run make results"


def test_the_pages_show_pictures_that_exist():
    newest = results_page.newest_results(results_page.RESULTS)
    assert "jhmdb" in newest
    for path in newest.values():
        for block in json.loads(path.read_text(encoding="utf-8"))["blocks"]:
            if "picture" in block and not isinstance(block, str):
                assert (results_page.DOCS / block["picture"]).is_file()


def test_the_newest_result_of_a_name_is_shown(tmp_path):
    for date, value in (("2026-01-02", 2), ("2025-12-31", 1)):
        table = {"columns": ["a", "b"], "rows": [["x", value], ["y", [1.0, 2.0]], ["z", None]]}
        result = {"title": "T", "command": "run", "blocks": [table]}
        (tmp_path / f"{date}-serving.json").write_text(json.dumps(result))
    page, contents = sorted(results_page.render_pages(tmp_path).items())
    assert "(results/serving.md)\n    - T\n" in contents[1]
    assert page[0].name == "serving.md"
    assert "| x | 2 |\n| y | 1.5 ± 0.7 (1.0, 2.0) |\n| z |  |" in page[1]
    assert "2026-01-02, data: `studies/results/2026-01-02-serving.json`, command: `run`." in page[1]
    assert page[1].count("## T") == 1


@pytest.mark.parametrize("name", ["serving.json", "2026-01-02-unknown.json"])
def test_a_file_with_another_name_is_refused(tmp_path, name):
    (tmp_path / name).write_text("{}")
    with pytest.raises(ValueError, match=name):
        results_page.newest_results(tmp_path)
