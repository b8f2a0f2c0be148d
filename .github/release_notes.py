"""Drafts the notes of a release from CHANGELOG.md.

python .github/release_notes.py                # of what is not released yet
python .github/release_notes.py 0.1.0
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

CHANGELOG = Path(__file__).parents[1] / "CHANGELOG.md"


def release_notes(changelog: str, version: str) -> str:
    """Returns the section of a version.

    Args:
        changelog: text in the Keep-a-Changelog form.
        version: `0.1.0`, or `Unreleased`.

    Raises:
        ValueError: if there is no such section.
    """
    sections = re.split(r"^## \[([^\]]+)\].*\n", changelog, flags=re.MULTILINE)
    for name, text in zip(sections[1::2], sections[2::2], strict=True):
        if name == version:
            return f"# keras_t3d {version}\n\n{text.strip()}\n"
    known = ", ".join(sections[1::2])
    raise ValueError(f"The version must be one of {known}. Received: {version}")


if __name__ == "__main__":
    print(release_notes(CHANGELOG.read_text(encoding="utf-8"), (sys.argv[1:] or ["Unreleased"])[0]))
