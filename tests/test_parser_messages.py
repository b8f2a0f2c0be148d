import jsonargparse
import pytest

from keras_t3d.cli import command_parser
from keras_t3d.cli.options import flags_of
from keras_t3d.errors import InvalidArgumentError
from keras_t3d.parser_messages import explained
from keras_t3d.training.command_line import config_parser, parse_config


@pytest.mark.parametrize(
    ("words", "named"),
    [
        ("--layout foldr", ["`layout`", "'segments'", "Did you mean 'folder'?", "Received: foldr"]),
        ("--layot csv", ["--layot csv", "Did you mean '--layout'?"]),
        ("--short_side 3", ["Did you mean '--short-side'?"]),
        ("--short-side x", ["`short_side`", "int", "Received: x"]),
        ("--workers x", ["`workers` must be of type int or null. Received: x"]),
    ],
)
def test_messages_name_the_option_and_what_it_takes(words, named):
    parser = command_parser("convert")
    with pytest.raises(jsonargparse.ArgumentError) as error:
        parser.parse_args(["videos", "shards", *words.split()])
    message = explained(str(error.value), flags_of(parser).values())
    for text in named:
        assert text in message
    assert not any(word in message for word in ("Parser key", "typing", "class"))


@pytest.mark.parametrize(
    ("content", "named"),
    [
        ("model: t3d_tiny", ["`model`", "Received: t3d_tiny"]),
        ("optimizer: {schedule: cosin}", ["`optimizer.schedule`", "Did you mean 'cosine'?"]),
        ("epohs: 3", ["epohs", "Did you mean epochs?", "mine.yaml"]),
        ("", ["`config`", "`epochs: 3`", "mine.yaml"]),
        ("- epochs", ["`config`", "`epochs: 3`", "mine.yaml"]),
        ("epochs: [1", ["`config`", "line 1", "mine.yaml"]),
    ],
)
def test_messages_about_a_configuration_file(content, named, tmp_path):
    (tmp_path / "mine.yaml").write_text(content)
    with pytest.raises(InvalidArgumentError) as error:
        parse_config(config_parser(), ["--config", str(tmp_path / "mine.yaml")])
    for text in named:
        assert text in str(error.value)


def test_an_abbreviated_flag_is_refused_with_the_right_one():
    with pytest.raises(InvalidArgumentError, match=r"--epoch 3\. Did you mean '--epochs'\?$"):
        parse_config(config_parser(), ["--epoch", "3"])
