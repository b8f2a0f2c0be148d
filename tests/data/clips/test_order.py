import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_t3d.data.clips.order import (
    CLIPS,
    SEGMENTS,
    draws,
    epoch_order,
    reading_order,
    shard_order,
)

EXPECTED_ORDER = [[1, 0], [0, 1], [0, 0], [2, 0], [0, 2], [1, 1], [2, 2], [2, 1], [2, 3]]
EXPECTED_DRAWS = [0.5283214882494863, 0.7278097756514846, 0.4775424733234971]
EXAMPLES = st.lists(st.integers(0, 9), min_size=1, max_size=40)


class TestEpochOrder:
    @given(EXAMPLES, st.integers(0, 5), st.integers(0, 5), st.integers(1, 20))
    @settings(deadline=None, max_examples=60)
    def test_has_every_record_once(self, examples, seed, epoch, shuffle_buffer):
        order = epoch_order(examples, seed, epoch, shuffle_buffer)
        assert order.dtype == np.int64
        assert sorted(map(tuple, order.tolist())) == [
            (shard, record) for shard, count in enumerate(examples) for record in range(count)
        ]

    @given(EXAMPLES, st.integers(1, 20))
    @settings(deadline=None, max_examples=40)
    def test_no_record_leaves_its_window(self, examples, shuffle_buffer):
        read = reading_order(examples, 3, 1).tolist()
        order = epoch_order(examples, 3, 1, shuffle_buffer).tolist()
        for start in range(0, len(read), shuffle_buffer):
            window = slice(start, start + shuffle_buffer)
            assert sorted(read[window]) == sorted(order[window])

    def test_a_window_of_one_keeps_the_order_of_reading(self):
        assert epoch_order([3, 4], 0, 0, 1).tolist() == reading_order([3, 4], 0, 0).tolist()

    def test_is_the_same_on_every_machine_and_version(self):
        assert epoch_order([3, 2, 4], 7, 2, 4).tolist() == EXPECTED_ORDER

    def test_differs_between_seeds_and_epochs(self):
        orders = {
            str(epoch_order([30], seed, epoch, 30).tolist()) for seed in (0, 1) for epoch in (0, 1)
        }
        assert len(orders) == 4


class TestReadingOrder:
    def test_takes_one_record_of_each_shard_in_turn(self):
        shards = shard_order(3, 0, 0).tolist()
        assert sorted(shards) == [0, 1, 2]
        counts = [2, 2, 2]
        counts[shards[1]] = 1
        first, second, third = shards
        assert reading_order(counts, 0, 0).tolist() == [
            [first, 0], [second, 0], [third, 0], [first, 1], [third, 1],
        ]  # fmt: skip

    def test_opens_sixteen_shards_at_a_time(self):
        read = reading_order([2] * 20, 0, 0)
        shards = shard_order(20, 0, 0)
        assert set(read[:32, 0]) == set(shards[:16])
        assert read[32:, 0].tolist() == [*shards[16:], *shards[16:]]

    def test_each_shard_is_read_from_its_beginning_to_its_end(self):
        read = reading_order([5, 3, 7], 1, 1)
        for shard, count in enumerate([5, 3, 7]):
            assert read[read[:, 0] == shard, 1].tolist() == list(range(count))

    def test_empty_shards_give_nothing(self):
        assert reading_order([0, 2, 0], 0, 0).tolist() == [[1, 0], [1, 1]]
        assert epoch_order([0], 0, 0, 5).shape == (0, 2)


class TestDraws:
    @given(
        st.lists(st.integers(0, 10**6), min_size=1, max_size=20),
        st.integers(0, 2**64 - 1),
        st.integers(0, 100),
    )
    @settings(deadline=None, max_examples=50)
    def test_a_row_depends_on_its_position_alone(self, positions, seed, epoch):
        rows = draws(seed, epoch, CLIPS, positions, 8)
        alone = np.concatenate([draws(seed, epoch, CLIPS, [place], 8) for place in positions])
        assert rows.shape == (len(positions), 8)
        assert np.array_equal(rows, alone)
        assert ((rows >= 0) & (rows < 1)).all()

    def test_are_the_same_on_every_machine_and_version(self):
        assert draws(7, 2, CLIPS, [5], 8)[0, :3].tolist() == EXPECTED_DRAWS

    def test_no_number_comes_twice(self):
        numbers = [
            draws(seed, epoch, stream, range(50), 8)
            for stream in (CLIPS, SEGMENTS)
            for seed in (0, 1)
            for epoch in (0, 1)
        ]
        assert len(np.unique(numbers)) == np.size(numbers)

    def test_are_uniform(self):
        numbers = draws(0, 0, CLIPS, range(20_000), 8)
        counts = np.apply_along_axis(lambda n: np.histogram(n, 10, (0, 1))[0], 0, numbers)
        assert (abs(counts - 2000) < 5 * np.sqrt(2000)).all()
        assert abs(np.corrcoef(numbers.T) - np.eye(8)).max() < 0.04

    @pytest.mark.parametrize("num_segments", [1, 4, 5, 16])
    def test_segments_take_as_many_as_asked(self, num_segments):
        rows = draws(0, 0, SEGMENTS, [9, 3, 4], num_segments)
        assert rows.shape == (3, num_segments)
        assert np.array_equal(rows[1], draws(0, 0, SEGMENTS, [3], num_segments)[0])
