"""Flags derived from declarations."""

import dataclasses
from collections.abc import Sequence
from typing import Literal

import jsonargparse
import pytest

from keras_t3d.cli import COMMANDS, command_parser
from keras_t3d.cli.options import add_options, flags_of, selected


@dataclasses.dataclass(frozen=True)
class Options:
    """Options of a test.

    Args:
        short_side: short side in pixels, with a description
            that is longer than a line
        layout: layout of the source
        quick: whether to be quick
        frozen: whether to freeze
        names: names of layers
        limit: highest number
        ratio: share of training videos
    """

    short_side: int = 128
    layout: Literal["folder", "csv"] = "folder"
    quick: bool = False
    frozen: bool | None = None
    names: Sequence[str] = ()
    limit: float | None = None
    ratio: str | None = None


@dataclasses.dataclass(frozen=True)
class MoreOptions(Options):
    """More options.

    Args:
        quality: quality of images
    """

    quality: int = 90


@pytest.fixture
def parser():
    parser = jsonargparse.ArgumentParser(exit_on_error=False)
    add_options(parser, Options, flags={"limit": "--most"})
    return parser


def parse(parser, *words):
    return Options(**selected(parser.parse_args(words), Options))


def test_defaults_come_from_the_declaration(parser):
    assert parse(parser) == Options()


def test_every_kind_of_flag(parser):
    words = "--short-side 64 --layout csv --quick --no-frozen --names a b/c --most 2 --ratio 0.5"
    expected = Options(64, "csv", True, False, ("a", "b/c"), 2.0, "0.5")
    assert parse(parser, *words.split()) == expected
    assert parse(parser, "--frozen").frozen is True


@pytest.mark.parametrize("text", ["", "null", "1e3", "[a]"])
def test_strings_stay_as_typed(parser, text):
    assert parse(parser, "--ratio", text).ratio == text


@pytest.mark.parametrize("words", [["--short-side", "x"], ["--layout", "tar"], ["--short_side=1"]])
def test_wrong_values_and_flags_raise(parser, words):
    with pytest.raises(jsonargparse.ArgumentError):
        parser.parse_args(words)


def test_help_comes_from_the_docstring(parser):
    text = " ".join(parser.format_help().split())
    assert "short side in pixels, with a description that is longer than a line" in text
    assert "128" in text


def test_flags_of_names(parser):
    flags = flags_of(parser)
    assert flags["short_side"] == "--short-side"
    assert flags["limit"] == "--most"


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_of_every_command_has_help(name):
    parser = command_parser(name)
    for action in parser._actions:
        if action.option_strings and not action.dest.endswith(".help"):
            assert action.help, action.dest


def test_inherited_options_keep_their_help():
    parser = jsonargparse.ArgumentParser()
    add_options(parser, MoreOptions)
    text = " ".join(parser.format_help().split())
    assert "short side in pixels" in text
    assert "quality of images" in text
