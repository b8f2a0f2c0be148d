from keras_t3d.data.conversion.options import ConversionOptions
from keras_t3d.data.conversion.shard_plan import plan_shards
from keras_t3d.data.sources.listing import VideoEntry


def entries(tmp_path, count):
    (tmp_path / "x.mp4").write_bytes(b"x")
    return [VideoEntry(f"{n}.mp4", str(tmp_path / "x.mp4"), "a", "train") for n in range(count)]


def test_each_video_lies_in_one_shard(tmp_path):
    shards = plan_shards(entries(tmp_path, 50), ConversionOptions())
    ids = [entry.video_id for shard in shards for entry in shard.entries]
    assert sorted(ids) == sorted(f"{n}.mp4" for n in range(50))
    assert [shard.name for shard in shards][:2] == [
        "train-00000-of-00006.tfrecord",
        "train-00001-of-00006.tfrecord",
    ]


def test_seed_and_names_alone_decide(tmp_path):
    videos = entries(tmp_path, 30)
    shards = plan_shards(videos, ConversionOptions())
    assert shards == plan_shards(videos[::-1], ConversionOptions())
    assert shards != plan_shards(videos, ConversionOptions(seed=1))
