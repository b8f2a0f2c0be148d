"""A section of a Markdown page that a script writes, between two markers."""

from __future__ import annotations


def placed(page: str, section: str, begin: str, end: str) -> str:
    """Returns a page with a section between its markers, or at its end where it has none.

    Args:
        page: str. Markdown.
        section: str. Markdown, without markers.
        begin: str. Marker before the section.
        end: str. Marker behind it.

    Raises:
        ValueError: if the page has one of the markers only.
    """
    marked = f"{begin}\n{section}\n{end}\n"
    if begin not in page and end not in page:
        return f"{page.rstrip()}\n\n{marked}".lstrip()
    before, found, rest = page.partition(begin)
    _, closed, after = rest.partition(end)
    if not found or not closed:
        raise ValueError(
            f"The page must have both {begin} and {end}, in this order, or neither. "
            f"Received: only {begin if found else end}, or the other way round"
        )
    return before + marked + after.removeprefix("\n")
