import threading

import pytest

from keras_t3d.data.video.parallel_decoding import decoded_in_order


class Decoder:
    stopped = False

    def stop(self):
        self.stopped = True


def test_results_come_in_order_whichever_is_ready_first():
    second_is_done = threading.Event()

    def decode(decoder, number):
        if number == 0:
            assert second_is_done.wait(30)
        if number == 1:
            second_is_done.set()
        return 10 * number

    decoders = [Decoder(), Decoder()]
    with decoded_in_order(decoders, decode, range(5), ahead=3) as results:
        assert list(results) == [0, 10, 20, 30, 40]
        assert not any(decoder.stopped for decoder in decoders)
    assert all(decoder.stopped for decoder in decoders)


def test_videos_are_read_as_results_are_taken():
    read = []

    def videos():
        for number in range(100):
            read.append(number)
            yield number

    with decoded_in_order([Decoder()], lambda decoder, n: n, videos(), ahead=4) as results:
        next(results), next(results)
        assert read == list(range(5))


def test_an_error_stops_the_decoders():
    def fail(decoder, number):
        raise KeyError(number)

    decoder = Decoder()
    with pytest.raises(KeyError), decoded_in_order([decoder], fail, range(9), 2) as results:
        next(results)
    assert decoder.stopped
