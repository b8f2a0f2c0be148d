"""Copies of videos that are damaged or trimmed."""

from __future__ import annotations

import av


def mjpeg(path, frames, fps=10):
    """Writes pictures that each stand by themselves."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mjpeg", rate=fps)
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt = "yuvj420p"
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())
    return path


def with_packets(source, target, change):
    """Copies a video; `change(index, content)` gives each packet's new content."""
    with av.open(str(source)) as old, av.open(str(target), "w") as new:
        stream = old.streams.video[0]
        copied = new.add_stream_from_template(stream)
        packets = (packet for packet in old.demux(stream) if packet.size)
        for index, packet in enumerate(packets):
            replaced = av.Packet(change(index, bytes(packet)))
            replaced.pts, replaced.dts = packet.pts, packet.dts
            replaced.time_base = packet.time_base
            replaced.duration, replaced.is_keyframe = packet.duration, packet.is_keyframe
            replaced.stream = copied
            new.mux(replaced)
    return target


def with_bad_packets(source, target, *bad):
    return with_packets(source, target, lambda index, old: b"no picture" if index in bad else old)


def trimmed(source, target, seconds):
    """Copies a video without its first seconds, as phones do: an edit list skips them."""
    with av.open(str(source)) as old, av.open(str(target), "w") as new:
        stream = old.streams.video[0]
        copied = new.add_stream_from_template(stream)
        shift = int(seconds / stream.time_base)
        for packet in old.demux(stream):
            if packet.size:
                packet.pts, packet.dts = packet.pts - shift, packet.dts - shift
                packet.stream = copied
                new.mux(packet)
    return target


def trimmed_at_the_end(source, target, seconds):
    """Writes a length into an mp4's edit list: what comes later is not shown."""
    content = bytearray(source.read_bytes())
    length = content.index(b"elst") + 12  # after version, flags and the number of edits
    content[length : length + 4] = round(1000 * seconds).to_bytes(4, "big")
    target.write_bytes(content)
    return target
