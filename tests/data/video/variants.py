"""Codecs, containers, pixel formats and frame rates as `ffmpeg` writes them."""

from __future__ import annotations

import re
import shlex
import subprocess
from fractions import Fraction
from typing import NamedTuple

import numpy as np

from tests.data.video.films import find_ffmpeg, run_ffmpeg

_PICTURES = (
    "format=yuv444p,geq=lum='16+mod(5*X+3*Y+7*N,220)'"
    ":cb='128+50*sin(X/20+N/9)':cr='128+50*cos(Y/20+N/7)'"
)
_UNEVEN = "-vf select='not(mod(n\\,5))+lt(n\\,20)' -fps_mode passthrough "
_H264 = "-c:v libx264 -preset veryfast -g 30 "
_H264_B = _H264 + "-bf 3 -pix_fmt yuv420p "
_HEVC = "-c:v libx265 -preset ultrafast -x265-params log-level=error:keyint=30:bframes=3 "
_MPEG4 = "-c:v mpeg4 -q:v 3 -g 30 -pix_fmt yuv420p "
_MPEG2 = "-c:v mpeg2video -q:v 3 -bf 2 -pix_fmt yuv420p "
_VP8 = "-c:v libvpx -deadline realtime -b:v 500k -g 30 "
_VP9 = "-c:v libvpx-vp9 -deadline realtime -cpu-used 8 -b:v 500k -g 30 "
_AV1 = "-c:v libaom-av1 -usage realtime -cpu-used 8 -crf 40 -g 30 "
_MJPEG = "-c:v mjpeg -q:v 3 "


class Variant(NamedTuple):
    """A file that ffmpeg writes with these options."""

    options: str
    size: str = "128x96"
    fps: str = "25"
    frames: int = 50


VARIANTS = {
    "b.mp4": Variant(_H264_B),
    "no_b.mp4": Variant(_H264 + "-bf 0 -pix_fmt yuv420p"),
    "b.mov": Variant(_H264_B),
    "b.mkv": Variant(_H264_B),
    "b.ts": Variant(_H264_B),
    "b.m2ts": Variant(_H264_B + "-f mpegts -mpegts_m2ts_mode 1"),
    "late.ts": Variant(_H264_B + "-output_ts_offset 90000"),
    "b.flv": Variant(_H264_B),
    "b.avi": Variant(_H264_B),
    "b.asf": Variant(_H264_B),
    "b.3gp": Variant(_H264_B),
    "b.nut": Variant(_H264_B),
    "raw.h264": Variant(_H264_B),
    "h264_422.mkv": Variant(_H264 + "-pix_fmt yuv422p"),
    "h264_444.mp4": Variant(_H264 + "-pix_fmt yuv444p"),
    "h264_10_bit.mp4": Variant(_H264 + "-pix_fmt yuv420p10le"),
    "h264_422_10_bit.mov": Variant(_H264 + "-pix_fmt yuv422p10le"),
    "h264_grey.mkv": Variant(_H264 + "-pix_fmt gray"),
    "h264_rgb.mkv": Variant("-c:v libx264rgb -preset veryfast"),
    "full_range.mp4": Variant(_H264 + "-pix_fmt yuvj420p"),
    "bt709.mp4": Variant(_H264_B + "-colorspace bt709 -color_primaries bt709 -color_trc bt709"),
    "odd_444.mp4": Variant(_H264 + "-pix_fmt yuv444p", "127x95"),
    "cropped.mp4": Variant(_H264_B, "130x98"),
    "top_first.mp4": Variant(_H264_B + "-flags +ildct+ilme -x264-params tff=1"),
    "bottom_first.ts": Variant(_H264_B + "-flags +ildct+ilme -x264-params bff=1"),
    "marked_interlaced.mkv": Variant(_H264_B + "-x264-params fake-interlaced=1"),
    "uneven.mp4": Variant(_UNEVEN + _H264_B),
    "uneven.mkv": Variant(_UNEVEN + _H264_B),
    "uneven.ts": Variant(_UNEVEN + _H264_B),
    "uneven.flv": Variant(_UNEVEN + _H264_B),
    "uneven.avi": Variant(_UNEVEN + _MPEG4),
    "uneven.webm": Variant(_UNEVEN + _VP9),
    "fragments.mp4": Variant(_H264_B + "-movflags frag_keyframe+empty_moov"),
    "cmaf.mp4": Variant(_H264_B + "-movflags frag_keyframe+empty_moov+default_base_moof+cmaf"),
    "negative.mp4": Variant(_H264_B + "-movflags negative_cts_offsets"),
    "open.mkv": Variant(_H264_B + "-x264-params open_gop=1:keyint=20:scenecut=0"),
    "pyramid.mp4": Variant(_H264_B + "-x264-params bframes=8:b-pyramid=2:b-adapt=0:ref=6"),
    "refresh.mkv": Variant(_H264_B + "-x264-params intra-refresh=1"),
    "lossless.mp4": Variant(_H264_B + "-qp 0"),
    "ntsc.mkv": Variant(_H264_B, fps="30000/1001"),
    "double_ntsc.mp4": Variant(_H264_B, fps="60000/1001", frames=80),
    "slow.mp4": Variant(_H264_B, fps="1", frames=20),
    "hevc.mp4": Variant(_HEVC + "-pix_fmt yuv420p"),
    "hevc.mov": Variant(_HEVC + "-pix_fmt yuv420p -tag:v hvc1"),
    "hevc.mkv": Variant(_HEVC + "-pix_fmt yuv420p"),
    "hevc.ts": Variant(_HEVC + "-pix_fmt yuv420p"),
    "raw.hevc": Variant(_HEVC + "-pix_fmt yuv420p"),
    "hevc_10_bit.mp4": Variant(_HEVC + "-pix_fmt yuv420p10le"),
    "hevc_422.mkv": Variant(_HEVC + "-pix_fmt yuv422p"),
    "hevc_444_12_bit.mkv": Variant(_HEVC + "-pix_fmt yuv444p12le"),
    "mpeg4.avi": Variant(_MPEG4),
    "mpeg4_b.avi": Variant(_MPEG4 + "-bf 2"),
    "mpeg4_b.mp4": Variant(_MPEG4 + "-bf 2"),
    "mpeg4_b.mkv": Variant(_MPEG4 + "-bf 2"),
    "mpeg4_b.asf": Variant(_MPEG4 + "-bf 2"),
    "mpeg4.3gp": Variant(_MPEG4),
    "mpeg4_odd.avi": Variant(_MPEG4, "127x95"),
    "mpeg4_interlaced.avi": Variant(_MPEG4 + "-flags +ildct+ilme"),
    "raw.m4v": Variant(_MPEG4),
    "mpeg2.mpg": Variant(_MPEG2 + "-f vob"),
    "mpeg2.ts": Variant(_MPEG2),
    "mpeg2.mkv": Variant(_MPEG2),
    "mpeg2_interlaced.vob": Variant(_MPEG2 + "-flags +ildct+ilme"),
    "mpeg2_422.mxf": Variant("-c:v mpeg2video -q:v 3 -pix_fmt yuv422p"),
    "mpeg2.wtv": Variant(_MPEG2),
    "raw.m2v": Variant(_MPEG2),
    "mpeg1.mpg": Variant("-c:v mpeg1video -q:v 3 -bf 2 -pix_fmt yuv420p"),
    "raw.m1v": Variant("-c:v mpeg1video -q:v 3 -pix_fmt yuv420p"),
    "vp8.webm": Variant(_VP8 + "-pix_fmt yuv420p"),
    "vp8.ivf": Variant(_VP8 + "-pix_fmt yuv420p"),
    "vp8_odd.mkv": Variant(_VP8 + "-pix_fmt yuv420p", "127x95"),
    "vp8_alpha.webm": Variant(_VP8 + "-auto-alt-ref 0 -pix_fmt yuva420p"),
    "vp8_hidden.webm": Variant(
        "-c:v libvpx -b:v 300k -auto-alt-ref 1 -lag-in-frames 16 -pix_fmt yuv420p"
    ),
    "vp9.webm": Variant(_VP9 + "-pix_fmt yuv420p"),
    "vp9.mp4": Variant(_VP9 + "-pix_fmt yuv420p"),
    "vp9.ivf": Variant(_VP9 + "-pix_fmt yuv420p"),
    "vp9_444.webm": Variant(_VP9 + "-pix_fmt yuv444p"),
    "vp9_10_bit.webm": Variant(_VP9 + "-pix_fmt yuv420p10le"),
    "vp9_rgb.webm": Variant(_VP9 + "-pix_fmt gbrp"),
    "av1.mp4": Variant(_AV1 + "-pix_fmt yuv420p"),
    "av1.webm": Variant(_AV1 + "-pix_fmt yuv420p"),
    "av1.ivf": Variant(_AV1 + "-pix_fmt yuv420p"),
    "av1.obu": Variant(_AV1 + "-pix_fmt yuv420p"),
    "av1_10_bit.mkv": Variant(_AV1 + "-pix_fmt yuv420p10le"),
    "mjpeg.avi": Variant(_MJPEG + "-pix_fmt yuvj420p"),
    "mjpeg.mov": Variant(_MJPEG + "-pix_fmt yuvj422p"),
    "mjpeg.mp4": Variant(_MJPEG + "-pix_fmt yuvj420p"),
    "mjpeg_444.mkv": Variant(_MJPEG + "-pix_fmt yuvj444p"),
    "raw.mjpeg": Variant(_MJPEG + "-pix_fmt yuvj420p"),
    "jpegls.avi": Variant("-c:v jpegls -pix_fmt rgb24"),
    "jpeg2000.mxf": Variant("-c:v jpeg2000 -pix_fmt yuv422p"),
    "ffv1.mkv": Variant("-c:v ffv1 -pix_fmt yuv420p"),
    "ffv1_10_bit.avi": Variant("-c:v ffv1 -pix_fmt yuv422p10le"),
    "huffyuv.avi": Variant("-c:v huffyuv -pix_fmt yuv422p"),
    "huffyuv_rgb.avi": Variant("-c:v huffyuv -pix_fmt rgb24"),
    "ffvhuff.avi": Variant("-c:v ffvhuff -pix_fmt yuv444p"),
    "utvideo.avi": Variant("-c:v utvideo -pix_fmt yuv422p"),
    "magicyuv.avi": Variant("-c:v magicyuv -pix_fmt gbrp"),
    "prores.mov": Variant("-c:v prores_ks -pix_fmt yuv422p10le"),
    "prores_4444.mov": Variant("-c:v prores_ks -profile:v 4444 -pix_fmt yuva444p10le"),
    "dnxhr.mov": Variant("-c:v dnxhd -profile:v dnxhr_sq -pix_fmt yuv422p", "256x128"),
    "dnxhd.mxf": Variant("-c:v dnxhd -b:v 60M -pix_fmt yuv422p", "1280x720", frames=5),
    "dv.dv": Variant("-c:v dvvideo -pix_fmt yuv420p", "720x576", frames=10),
    "dv.avi": Variant("-c:v dvvideo -pix_fmt yuv420p", "720x576", frames=10),
    "theora.ogv": Variant("-c:v libtheora -q:v 8 -g 30 -pix_fmt yuv420p"),
    "theora_444.ogg": Variant("-c:v libtheora -q:v 8 -pix_fmt yuv444p"),
    "theora.mkv": Variant("-c:v libtheora -q:v 8 -pix_fmt yuv420p"),
    "wmv1.wmv": Variant("-c:v wmv1 -q:v 3 -pix_fmt yuv420p"),
    "wmv2.wmv": Variant("-c:v wmv2 -q:v 3 -pix_fmt yuv420p"),
    "msmpeg4v2.avi": Variant("-c:v msmpeg4v2 -q:v 3 -pix_fmt yuv420p"),
    "msmpeg4v3.avi": Variant("-c:v msmpeg4 -q:v 3 -pix_fmt yuv420p"),
    "h261.avi": Variant("-c:v h261 -q:v 3 -pix_fmt yuv420p", "176x144", "30000/1001"),
    "h263.3gp": Variant("-c:v h263 -q:v 3 -pix_fmt yuv420p", "176x144"),
    "h263p.avi": Variant("-c:v h263p -q:v 3 -pix_fmt yuv420p", "176x144"),
    "flv1.flv": Variant("-c:v flv -q:v 3 -pix_fmt yuv420p"),
    "screen.flv": Variant("-c:v flashsv -pix_fmt bgr24"),
    "rawvideo.avi": Variant("-c:v rawvideo -pix_fmt yuv420p"),
    "rawvideo_rgb.avi": Variant("-c:v rawvideo -pix_fmt bgr24"),
    "rawvideo.nut": Variant("-c:v rawvideo -pix_fmt yuv420p"),
    "rawvideo.mov": Variant("-c:v rawvideo -pix_fmt uyvy422"),
    "rawvideo_odd.mkv": Variant("-c:v rawvideo -pix_fmt yuv420p -allow_raw_vfw 1", "127x95"),
    "rawvideo.y4m": Variant("-pix_fmt yuv420p"),
    "v210.mov": Variant("-c:v v210 -pix_fmt yuv422p10le"),
    "animation.gif": Variant(""),
    "animation.apng": Variant("-f apng -pix_fmt rgb24"),
    "png.mov": Variant("-c:v png -pix_fmt rgba"),
    "tiff.mov": Variant("-c:v tiff -pix_fmt rgb24"),
    "qtrle.mov": Variant("-c:v qtrle -pix_fmt rgb24"),
    "cinepak.mov": Variant("-c:v cinepak -pix_fmt rgb24", frames=10),
    "svq1.mov": Variant("-c:v svq1 -pix_fmt yuv410p"),
    "rv20.rm": Variant("-c:v rv20 -q:v 3 -pix_fmt yuv420p"),
    "snow.nut": Variant("-c:v snow -strict -2 -q:v 3 -pix_fmt yuv420p"),
    "vc2.mkv": Variant("-c:v vc2 -strict -1 -pix_fmt yuv422p"),
}


def write_variant(path, variant):
    """Writes a moving pattern with smooth colours, which all scalers restore alike."""
    seconds = variant.frames / float(Fraction(variant.fps))
    source = f"nullsrc=s={variant.size}:r={variant.fps}:d={seconds},{_PICTURES}"
    run_ffmpeg("-f", "lavfi", "-i", source, *shlex.split(variant.options), path)
    return path


def decoded_by_ffmpeg(path, height, width):
    """Returns the frames that ffmpeg passes through, and their seconds from the first one."""
    options = "-map 0:v:0 -vf showinfo -fps_mode passthrough -sws_flags bilinear"
    output = "-f rawvideo -pix_fmt rgb24 -"
    found = subprocess.run(
        [find_ffmpeg(), "-i", path, *options.split(), *output.split()],
        capture_output=True,
        check=True,
    )
    pixels = np.frombuffer(found.stdout, np.uint8).reshape(-1, height, width, 3)
    times = np.array(re.findall(rb" pts_time:(\S+)", found.stderr), float)
    return pixels, times - times[0]
