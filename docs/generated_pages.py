"""Pages of the documentation site that no file of docs/ holds; MkDocs calls these functions."""

from __future__ import annotations

import contextlib
import importlib
import io
import os
import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[1]
# Documents at the root of the repository, and their pages.
_AT_THE_ROOT = {"CONTRIBUTING.md": "contributing.md", "CHANGELOG.md": "changelog.md"}
_PACKAGES = (
    *("data", "models", "layers", "optimization", "training", "transfer", "evaluation"),
    *("inference", "streaming", "deploy", "hub", "motion_set"),
)

_COMPLETION = """\
bash and zsh complete commands, flags and choices, with `pip install "keras-t3d[completion]"`:

```
keras-t3d completion bash > ~/.local/share/bash-completion/completions/keras-t3d
keras-t3d completion zsh > ~/.zsh/_keras-t3d    # a folder of your fpath
```"""


def on_files(files: Files, config: Any) -> Files:
    """Adds the pages on commands and packages, and the documents at the root."""
    pages = {"reference/commands.md": _commands()}
    pages["reference/python/keras_t3d.md"] = "# keras_t3d\n\n::: keras_t3d.ClipSpec\n"
    for name in _PACKAGES:
        pages[f"reference/python/{name}.md"] = _package(name)
    for source, page in _AT_THE_ROOT.items():
        text = (ROOT / source).read_text(encoding="utf-8")
        pages[page] = text.replace("](docs/", "](")
    for page, text in pages.items():
        files.append(File.generated(config, page, content=text))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Leads links to documents at the root of the repository to their pages."""
    up = os.path.relpath(".", os.path.dirname(page.file.src_uri) or ".")
    for source, target in _AT_THE_ROOT.items():
        markdown = re.sub(rf"\]\((?:\.\./)+{source}", f"]({up}/{target}", markdown)
    return markdown


def _package(name: str) -> str:
    """Returns the page of a package: its public names."""
    package = importlib.import_module(f"keras_t3d.{name}")
    public = [member for member in dir(package) if not member.startswith("_")]
    parts = [f"# keras_t3d.{name}"]
    if name == "models":
        table, named = _named_networks()
        parts.append(table)
        public = [member for member in public if member not in named]
    parts += [f"::: keras_t3d.{name}.{member}" for member in public]
    return "\n\n".join(parts) + "\n"


def _named_networks() -> tuple[str, set[str]]:
    """Returns a table of the functions that build named networks, and their names."""
    from keras_t3d.models.registry import configurations

    lines = ["| function | name for `create` | family | |", "| --- | --- | --- | --- |"]
    for name, configuration in configurations().items():
        function, family = configuration.build.__name__, configuration.family.__name__
        summary = (configuration.build.__doc__ or "").partition("\n")[0]
        lines.append(f"| `{function}` | `{name}` | {family} | {summary} |")
    return "\n".join(lines), {each.build.__name__ for each in configurations().values()}


def _commands() -> str:
    """Returns the page of the help of every command."""
    from keras_t3d.cli import COMMANDS
    from keras_t3d.deploy.options import EXPORT_TARGETS

    parts = ["# Commands", _COMPLETION]
    for name, summary in COMMANDS.items():
        parts.append(f"## {name}\n\n{summary[0].upper()}{summary[1:]}.")
        forms = [[name, target] for target in EXPORT_TARGETS] if name == "export" else [[name]]
        parts += [f"```\n{_help(words)}```" for words in forms]
    return "\n\n".join(parts) + "\n"


def _help(words: list[str]) -> str:
    from keras_t3d.cli import main

    text = io.StringIO()
    with contextlib.redirect_stdout(text), contextlib.suppress(SystemExit):
        main([*words, "--help"])
    return text.getvalue()
