"""Decodes a file or a live stream by PyAV, which has a newer FFmpeg than Debian.

decode.py INPUT PICTURES SOUND FORMAT [SECONDS]

Writes pictures of FORMAT (yuv420p or rgb24) without padding, and one channel of sound (f32, 48 kHz); prints the codecs, and
the first and the last time of the pictures.
"""

import sys

import av

SECONDS_OF_PATIENCE = 20


def rows(plane, samples):
    """The bytes of a plane without its padding."""
    data, length = bytes(plane), plane.width * samples
    return b"".join(data[row * plane.line_size :][:length] for row in range(plane.height))


def main(source, pictures, sound, form, seconds="inf"):
    samples = 3 if form == "rgb24" else 1
    resampler = av.AudioResampler(format="flt", layout="mono", rate=48000)
    times = []
    with av.open(source, timeout=SECONDS_OF_PATIENCE) as container, open(pictures, "wb") as video, open(sound, "wb") as audio:
        for packet in container.demux():
            for frame in packet.decode():
                if packet.stream.type == "video":
                    times.append(frame.time)
                    for plane in frame.reformat(format=form).planes:
                        video.write(rows(plane, samples))
                elif packet.stream.type == "audio":
                    for piece in resampler.resample(frame):
                        audio.write(bytes(piece.planes[0])[: 4 * piece.samples])
            if times and times[-1] - times[0] >= float(seconds):
                break
        streams = [*container.streams.video, *container.streams.audio]
        print(*(stream.codec_context.codec.canonical_name for stream in streams), times[0], times[-1])


main(*sys.argv[1:])
