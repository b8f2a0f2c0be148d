import json
import os

import keras
import numpy as np
import pytest

from keras_t3d.clips import ClipSpec, take_view
from keras_t3d.data import load_clips
from keras_t3d.data.clips.frame_features import FrameFeatures
from keras_t3d.data.clips.record_keys import record_key
from keras_t3d.transfer import FrameTeacher, write_frame_features
from tests.transfer.pairs import tiny_teacher

pytestmark = pytest.mark.fit


@pytest.fixture(scope="module")
def own_shards(videos, tmp_path_factory):
    """Shards that no other test writes features beside."""
    from keras_t3d.data import ConversionOptions, convert

    out = tmp_path_factory.mktemp("features") / "shards"
    convert(videos, out, ConversionOptions(short_side=40, workers=1))
    return out


@pytest.fixture(scope="module")
def folder(own_shards, spec):
    return write_frame_features(tiny_teacher(), own_shards, "test", spec)


def stored_videos(shards, split):
    from keras_t3d.data.shards.record import stored_video
    from keras_t3d.data.shards.record_file import read_record, record_offsets

    for path in sorted(shards.glob(f"{split}-*.tfrecord")):
        for offset in record_offsets(path):
            with path.open("rb") as file:
                yield stored_video(read_record(file, int(offset)))


def test_every_frame_of_the_centre_view(own_shards, folder, spec):
    import io

    from PIL import Image

    teacher, features = tiny_teacher(), FrameFeatures.open(folder)
    assert features.width == teacher.width
    seen = 0
    for video in stored_videos(own_shards, "test"):
        frames = np.stack([np.asarray(Image.open(io.BytesIO(f))) for f in video.frames])
        one_by_one = ClipSpec(len(frames), 1, spec.resize, spec.crop)
        expected = np.asarray(teacher.frame_features(take_view(frames, one_by_one, 0)))
        key = record_key(video.video_id, video.frames[0])
        for number, row in enumerate(expected):
            np.testing.assert_allclose(
                features.mean(key, np.array([number])), row, rtol=2e-3, atol=1e-3
            )
        seen += 1
    assert seen == 8


def test_features_match_the_teacher_on_centre_views(own_shards, folder, spec):
    teacher = tiny_teacher()
    clips = load_clips(
        own_shards, "test", spec, 8, labelled=False, transforms=[FrameFeatures.open(folder)]
    )
    batch = next(iter(clips))
    # Pillow's and TensorFlow's JPEG decoders differ by a level or so.
    live = np.asarray(teacher(batch["clips"]))
    np.testing.assert_allclose(batch["frame_features"], live, rtol=0.03, atol=0.01)
    assert not np.allclose(batch["frame_features"][::-1], live, rtol=0.03, atol=0.01)
    labelled = next(iter(load_clips(own_shards, "test", spec, 8)))
    np.testing.assert_array_equal(batch["clips"], labelled[0])


def test_stored_features_are_not_computed_again(own_shards, folder, spec, monkeypatch):
    reported = []
    monkeypatch.setattr(keras.Model, "predict_on_batch", lambda *a: pytest.fail("computed again"))
    again = write_frame_features(
        tiny_teacher(), own_shards, "test", spec, progress=lambda *done: reported.append(done)
    )
    assert again == folder
    assert reported[-1] == (8, 8)


def test_an_interrupted_call_is_completed(own_shards, folder, spec):
    index = sorted(folder.glob("test-*.json"))[0]
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    index.unlink()  # as killed before it was written
    write_frame_features(tiny_teacher(), own_shards, "test", spec)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_the_folder_depends_on_teacher_view_and_preprocessing(own_shards, folder, spec):
    teacher = tiny_teacher()
    others = [
        write_frame_features(tiny_teacher(seed=1), own_shards, "test", spec),
        write_frame_features(FrameTeacher(teacher.network, "caffe"), own_shards, "test", spec),
        write_frame_features(
            FrameTeacher(teacher.network, "tf", image_size=16), own_shards, "test", spec
        ),
        write_frame_features(
            teacher, own_shards, "test", ClipSpec(num_frames=8, resize=34, crop=32)
        ),
    ]
    assert len({folder, *others}) == 5
    # Number and stride of frames do not matter: features are stored per frame.
    longer = ClipSpec(num_frames=12, frame_stride=1, resize=36, crop=32)
    assert write_frame_features(teacher, own_shards, "test", longer) == folder


def test_a_damaged_record_is_named_and_can_be_skipped(own_shards, spec, tmp_path):
    import shutil

    copy = tmp_path / "shards"
    shutil.copytree(own_shards, copy, ignore=shutil.ignore_patterns("frame_features"))
    path = sorted(copy.glob("test-*.tfrecord"))[0]
    whole = path.read_bytes()
    data = bytearray(whole)
    data[200] ^= 255
    path.write_bytes(data)
    with pytest.raises(ValueError, match=os.path.basename(path)):
        write_frame_features(tiny_teacher(), copy, "test", spec)
    with pytest.warns(UserWarning, match="1 of 8 records"):
        folder = write_frame_features(tiny_teacher(), copy, "test", spec, skip_damaged=True)
    keys = [k for p in folder.glob("*.json") for k in json.loads(p.read_text()).get("keys", [])]
    assert len(keys) == 7
    path.write_bytes(whole)  # restored, it is computed with the others
    assert write_frame_features(tiny_teacher(), copy, "test", spec) == folder
    assert len(FrameFeatures.open(folder)._places) == 8


def test_shards_of_other_writers(own_shards, spec, tmp_path):
    """Such shards have any names, and no checksums."""
    import shutil

    from keras_t3d.data import ShardSet

    source = sorted(own_shards.glob("t*-*.tfrecord"))
    paths = [tmp_path / f"hmdb.train.tfrecord-0000{n}-of-00002" for n in range(2)]
    for path, shard in zip(paths, (source[0], source[-1]), strict=True):
        shutil.copy(shard, path)
    shards = ShardSet.of_files({"train": paths}, class_names=["bright", "dark"])
    first = write_frame_features(tiny_teacher(), shards, "train", spec)
    assert len(FrameFeatures.open(first)._places) == shards.num_videos("train")
    os.utime(paths[0], ns=(0, 0))  # written again
    assert write_frame_features(tiny_teacher(), shards, "train", spec) != first


def test_errors_of_decoding_name_shard_and_video(own_shards, spec, monkeypatch):
    from PIL import Image, UnidentifiedImageError

    def refuse(file):
        raise UnidentifiedImageError("cannot identify image file")

    monkeypatch.setattr(Image, "open", refuse)
    other = tiny_teacher()
    with pytest.raises(ValueError, match=r"test-0.*tfrecord, byte 0"):
        write_frame_features(FrameTeacher(other.network, "zero_one"), own_shards, "test", spec)
