"""Conversion under Apache Beam: the same bytes as the local one, on Beam's local runner."""

import csv
import io
import os
import pathlib
import random
import shutil
import sys

import numpy as np
import pytest

from keras_t3d.data.beam.errors import BeamError
from keras_t3d.data.conversion.beam import convert_with_beam
from keras_t3d.data.conversion.convert import convert
from keras_t3d.data.conversion.errors import ConversionError
from keras_t3d.data.conversion.options import ConversionOptions
from keras_t3d.data.conversion.shard_plan import plan_shards
from keras_t3d.data.sources.layouts import list_videos
from keras_t3d.errors import InvalidArgumentError
from tests.beam_bucket import LOCAL, needs_beam
from tests.conftest import counting_frames, write_video

pytestmark = pytest.mark.process


def beam_convert(source, out, videos_at=None, **options):
    return convert_with_beam(
        source, out, ConversionOptions(**options), videos_at=videos_at, beam_options=LOCAL
    )


def content(folder):
    return {path.name: path.read_bytes() for path in pathlib.Path(folder).iterdir()}


def spoil(videos):
    """Makes videos undecodable without changing their sizes, which name a conversion."""
    for video in videos:
        video.write_bytes(bytes(video.stat().st_size))


@pytest.fixture(scope="module")
def nine_videos(videos, tmp_path_factory):
    """Eight videos that decode and one that does not."""
    source = tmp_path_factory.mktemp("nine") / "videos"
    shutil.copytree(videos / "test", source / "test")
    (source / "test" / "dark" / "empty.mp4").write_bytes(b"")
    return source


@pytest.fixture
def some_videos(nine_videos, tmp_path):
    """A copy of them to change."""
    return shutil.copytree(nine_videos, tmp_path / "videos")


@pytest.fixture(scope="module")
def converted_locally(nine_videos, tmp_path_factory):
    """The files that the local runner writes for them, by name."""
    out = tmp_path_factory.mktemp("local") / "shards"
    convert(nine_videos, out, ConversionOptions(workers=1))
    return content(out)


@needs_beam
def test_the_folder_is_that_of_the_local_runner(videos, shards, tmp_path):
    report = beam_convert(videos, tmp_path / "out", short_side=40)
    assert content(tmp_path / "out") == content(shards)
    assert report.folder == tmp_path / "out"
    assert report.videos == {"train": 20, "val": 0, "test": 8}
    assert report.bytes == sum(p.stat().st_size for p in shards.glob("*.tfrecord"))


@needs_beam
def test_worker_processes_write_the_same(videos, shards, tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(pathlib.Path(__file__).parents[2]))
    processes = ("--direct_running_mode=multi_processing", "--direct_num_workers=2")
    convert_with_beam(
        videos,
        tmp_path / "out",
        ConversionOptions(short_side=40),
        beam_options=(*LOCAL, *processes),
    )
    assert content(tmp_path / "out") == content(shards)


@needs_beam
def test_videos_in_parts_broken_ones_and_odd_names(videos, tmp_path, monkeypatch):
    source = shutil.copytree(videos / "test" / "dark", tmp_path / "v" / "test" / "dark").parents[1]
    good = sorted((source / "test" / "dark").iterdir())[0]
    shutil.copy(os.fsencode(good), os.fsencode(source) + b"/test/dark/g\xfft.mp4")
    (source / "test" / "dark" / "empty.mp4").write_bytes(b"")
    (source / "test" / "dark" / "notes.txt").write_text("no video")
    write_video(source / "test" / "long" / "long.mp4", counting_frames(50), fps=20)
    noise = np.random.default_rng(0).integers(0, 256, (60, 48, 64, 3), dtype=np.uint8)
    cut = write_video(source / "test" / "long" / "cut.avi", noise)
    cut.write_bytes(cut.read_bytes()[: cut.stat().st_size // 2])
    local = convert(source, tmp_path / "local", ConversionOptions(max_seconds=1, workers=1))
    monkeypatch.chdir(tmp_path)  # the workers have other folders than the launcher
    report = beam_convert("v", "odd [1]*", max_seconds=1)
    assert content(tmp_path / "odd [1]*") == content(tmp_path / "local")
    assert report.cut == local.cut
    assert report.cut["test/long/long.mp4"] == 3
    assert [video["video"] for video in report.damaged] == ["test/long/cut.avi"]
    assert {(reject.source, reject.stage) for reject in report.rejects} == {
        ("test/dark/empty.mp4", "decode"),
        ("test/dark/notes.txt", "list"),
    }


@needs_beam
def test_a_list_of_spans_is_converted_as_the_local_runner_does(videos, tmp_path):
    shutil.copytree(videos / "train" / "dark", tmp_path / "videos")
    first, second = sorted(path.name for path in (tmp_path / "videos").iterdir())[:2]
    listing = tmp_path / "list.csv"
    listing.write_text(
        "path,label,split,start,end\n"
        f"videos/{first},a,train,0,0.2\nvideos/{first},b,train,0.2,\nvideos/{second},b,val,,\n"
    )
    convert(listing, tmp_path / "local", ConversionOptions(layout="csv", workers=1))
    convert_with_beam(
        listing, tmp_path / "out", ConversionOptions(layout="csv"), beam_options=LOCAL
    )
    assert content(tmp_path / "out") == content(tmp_path / "local")


@needs_beam
def test_videos_without_labels(some_videos, tmp_path):
    convert(some_videos, tmp_path / "local", ConversionOptions(layout="unlabelled", workers=1))
    report = beam_convert(some_videos, tmp_path / "out", layout="unlabelled")
    assert report.videos == {"train": 0, "val": 0, "test": 8}
    assert [reject.source for reject in report.rejects] == ["test/dark/empty.mp4"]
    assert content(tmp_path / "out") == content(tmp_path / "local")


@needs_beam
def test_pieces_may_arrive_in_any_order(videos, shards, tmp_path):
    from keras_t3d.data.beam.folder import BeamFolder
    from keras_t3d.data.conversion.beam_steps import DecodeVideo, WriteShard, plan_lines

    options = ConversionOptions(short_side=40)
    listing = list_videos(videos, options)
    shard = plan_shards(listing.entries, options)[0]
    decode = DecodeVideo(options)
    decode.setup()
    lines = plan_lines([shard], listing.class_ids, str)
    pieces = [piece for line in lines for _, piece in decode.process(line)]
    decode.teardown()
    assert len(pieces) == 2 * len(shard.entries) == 20
    for seed in range(3):
        random.Random(seed).shuffle(pieces)
        WriteShard(BeamFolder(str(tmp_path / str(seed)))).process((shard.name, pieces))
        assert (tmp_path / str(seed) / shard.name).read_bytes() == (
            shards / shard.name
        ).read_bytes()


@needs_beam
def test_too_many_rejects_fail_and_a_second_run_decodes_nothing_again(
    some_videos, converted_locally, tmp_path
):
    out = tmp_path / "out"
    with pytest.raises(ConversionError, match=r"`max_rejects` \(0\)") as told:
        beam_convert(some_videos, out, max_rejects=0)
    assert str(out / "rejects.csv") in str(told.value)
    assert not (out / "manifest.json").exists()
    spoil((some_videos / "test").rglob("*.mp4"))
    beam_convert(some_videos, out, max_rejects=1)
    assert content(out) == converted_locally
    with pytest.raises(InvalidArgumentError, match=r"`out`.*Received"):
        beam_convert(some_videos, out, max_rejects=1)


@needs_beam
def test_only_unfinished_shards_are_made(videos, tmp_path):
    source, out = shutil.copytree(videos, tmp_path / "v"), tmp_path / "out"
    (source / "train" / "dark" / "empty.mp4").write_bytes(b"")
    convert(source, tmp_path / "local", ConversionOptions(workers=1))
    with pytest.raises(ConversionError, match="`max_rejects`"):
        beam_convert(source, out, max_rejects=0)
    first, *finished = plan_shards(
        list_videos(source, ConversionOptions()).entries, ConversionOptions()
    )
    assert finished
    (out / ".conversion" / f"{first.name}.json").unlink()
    (out / first.name).write_bytes(b"of a run before that was killed")
    (out / ".part-1-x").write_bytes(b"too")
    spoil(pathlib.Path(entry.path) for shard in finished for entry in shard.entries)
    beam_convert(source, out)
    assert content(out) == content(tmp_path / "local")


@needs_beam
def test_either_runner_goes_on_where_the_other_stopped(some_videos, converted_locally, tmp_path):
    with pytest.raises(ConversionError, match="`max_rejects`"):
        convert(some_videos, tmp_path / "a", ConversionOptions(workers=1, max_rejects=0))
    beam_convert(some_videos, tmp_path / "a")
    with pytest.raises(ConversionError, match="`max_rejects`"):
        beam_convert(some_videos, tmp_path / "b", max_rejects=0)
    with pytest.raises(InvalidArgumentError, match=r"`out`.*unfinished"):
        convert(some_videos, tmp_path / "b", ConversionOptions(seed=1))
    spoil((some_videos / "test").rglob("*.mp4"))
    convert(some_videos, tmp_path / "b", ConversionOptions(workers=1))
    assert content(tmp_path / "a") == content(tmp_path / "b") == converted_locally


@needs_beam
def test_other_conversions_and_files_are_left_alone(some_videos, tmp_path):
    out = tmp_path / "out"
    with pytest.raises(ConversionError, match="`max_rejects`"):
        beam_convert(some_videos, out, max_rejects=0)
    with pytest.raises(InvalidArgumentError, match=r"`out`.*unfinished"):
        beam_convert(some_videos, out, seed=1)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "letter.txt").write_text("dear")
    with pytest.raises(InvalidArgumentError, match="`out`"):
        beam_convert(some_videos, tmp_path / "full")
    assert content(tmp_path / "full") == {"letter.txt": b"dear"}


@needs_beam
@pytest.mark.parametrize("there", [True, False])
def test_nothing_decodable_leaves_nothing(there, tmp_path):
    for label in "ab":
        (tmp_path / "v" / "train" / label).mkdir(parents=True)
        (tmp_path / "v" / "train" / label / "x.mp4").write_bytes(b"")
    if there:
        (tmp_path / "out").mkdir()
    with pytest.raises(ConversionError, match=r"of 2 .*x\.mp4"):
        beam_convert(tmp_path / "v", tmp_path / "out")
    assert (tmp_path / "out").exists() == there
    assert not there or not list((tmp_path / "out").iterdir())


@needs_beam
def test_a_bucket_gets_the_same_files(some_videos, converted_locally, bucket, tmp_path):
    with pytest.raises(ConversionError, match=r"box://b/shards/rejects\.csv"):
        beam_convert(some_videos, "box://b/shards", max_rejects=0)
    rows = list(
        csv.DictReader(io.StringIO((bucket.root / "b" / "shards" / "rejects.csv").read_text()))
    )
    assert [row["source"] for row in rows] == ["test/dark/empty.mp4"]
    with pytest.raises(InvalidArgumentError, match=r"`out`.*unfinished"):
        beam_convert(some_videos, "box://b/shards", seed=1)
    spoil((some_videos / "test").rglob("*.mp4"))
    report = beam_convert(some_videos, "box://b/shards/")
    assert content(bucket.root / "b" / "shards") == converted_locally
    assert report.folder == "box://b/shards/"
    with pytest.raises(InvalidArgumentError, match=r"`out`.*Received"):
        beam_convert(some_videos, "box://b/shards")
    (bucket.root / "taken" / "deep").mkdir(parents=True)
    (bucket.root / "taken" / "deep" / "letter.txt").write_text("dear")
    with pytest.raises(InvalidArgumentError, match="`out`"):
        beam_convert(some_videos, "box://taken")


@needs_beam
def test_workers_fetch_videos_from_where_they_find_them(
    some_videos, converted_locally, bucket, tmp_path
):
    shutil.copytree(some_videos, bucket.root / "videos")
    shutil.copytree(some_videos, tmp_path / "mount")
    spoil((some_videos / "test").rglob("*.mp4"))
    for index, place in enumerate(("box://videos/", str(tmp_path / "mount"))):
        beam_convert(some_videos, tmp_path / str(index), videos_at=place)
        assert content(tmp_path / str(index)) == converted_locally


@needs_beam
def test_videos_that_the_workers_do_not_see_are_no_rejects(
    some_videos, converted_locally, tmp_path
):
    with pytest.raises(BeamError, match="nowhere"):
        beam_convert(some_videos, tmp_path / "out", videos_at=str(tmp_path / "nowhere"))
    assert not list((tmp_path / "out").glob("*.tfrecord"))
    beam_convert(some_videos, tmp_path / "out")
    assert content(tmp_path / "out") == converted_locally


@needs_beam
@pytest.mark.parametrize("there", ["mount", "box://gone"])
def test_a_video_that_is_gone_is_a_reject(there, some_videos, bucket, tmp_path):
    """As in the local runner, whose decoder says so."""
    place = bucket.root / "gone" if there.startswith("box:") else tmp_path / "mount"
    shutil.copytree(some_videos, place)
    first, *_ = sorted((place / "test" / "bright").iterdir())
    first.unlink()
    at = there if there.startswith("box:") else str(place)
    report = beam_convert(some_videos, tmp_path / "out", videos_at=at)
    assert report.videos["test"] == 7
    assert {(reject.source, reject.stage): reject.reason for reject in report.rejects} == {
        (f"test/bright/{first.name}", "decode"): "No such file",
        ("test/dark/empty.mp4", "decode"): report.rejects[-1].reason,
    }


@needs_beam
@pytest.mark.parametrize("there", ["mount", "box://nothing"])
def test_a_folder_without_any_video_is_one_that_the_workers_do_not_see(
    there, some_videos, bucket, tmp_path
):
    for label in ("bright", "dark"):
        (tmp_path / "mount" / "test" / label).mkdir(parents=True)  # nothing is mounted there
    at = there if there.startswith("box:") else str(tmp_path / "mount")
    with pytest.raises(BeamError, match="test/"):
        beam_convert(some_videos, tmp_path / "out", videos_at=at)
    assert not list((tmp_path / "out").glob("*.tfrecord"))


@needs_beam
def test_a_disk_without_space_is_seen_before(some_videos, tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(9, 9, 1000))
    with pytest.raises(ConversionError, match="GiB"):
        beam_convert(some_videos, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@needs_beam
def test_videos_elsewhere_than_below_the_source_cannot_be_moved(videos, tmp_path):
    paths = sorted((videos / "train").rglob("*.mp4"))[::15]
    rows = "".join(f"{path},{path.parent.name},train\n" for path in paths)
    (tmp_path / "list.csv").write_text(f"path,label,split\n{rows}")
    with pytest.raises(InvalidArgumentError, match="`videos_at`"):
        beam_convert(tmp_path / "list.csv", tmp_path / "out", layout="csv", videos_at="/mnt")


@needs_beam
def test_shards_that_only_the_workers_see_are_an_error(some_videos, tmp_path, monkeypatch):
    from keras_t3d.data.conversion import beam_state

    monkeypatch.setattr(beam_state, "summaries", lambda folder: {})
    with pytest.raises(BeamError, match="1 of 1 shards"):
        beam_convert(some_videos, tmp_path / "out")


@needs_beam
@pytest.mark.parametrize(
    ("out", "message"),
    [
        ("nosuch://b/shards", "Received: nosuch://b/shards"),
        ("box://b/shards*", "`out`.*box://b/shards"),
    ],
)
def test_bad_addresses_are_refused(out, message, some_videos, bucket):
    with pytest.raises(ValueError, match=message):
        beam_convert(some_videos, out)


@needs_beam
def test_a_bad_address_of_the_videos_is_refused(some_videos, tmp_path):
    with pytest.raises(ValueError, match="Received: nosuch://b/videos"):
        beam_convert(some_videos, tmp_path / "out", videos_at="nosuch://b/videos")
    assert not (tmp_path / "out").exists()


def test_without_beam_it_says_what_to_install(some_videos, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "apache_beam", None)
    with pytest.raises(ImportError, match=r"pip install 'keras-t3d\[beam\]'"):
        convert_with_beam(some_videos, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_workers_are_not_an_option_of_beam(some_videos, tmp_path):
    with pytest.raises(InvalidArgumentError, match=r"`workers`.*Received: 2"):
        convert_with_beam(some_videos, tmp_path / "out", ConversionOptions(workers=2))
