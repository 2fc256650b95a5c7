#!/usr/bin/env python3
"""A vision program for lianmai-mixer: frames the faces that OpenCV's Haar cascade finds in the hosts' pictures.

The daemon starts it, beside each mixer, with `--socket PATH`:

    lianmai-edge --vision "python3 /usr/local/lib/lianmai/faces.py"

It needs a Python with `opencv-python-headless<5` (from 5 on OpenCV has no cascades). The protocol is described in
docs/protocol.md, "Mixer and vision program": write your own detector in place of `Faces`.
"""

import argparse
import json
import mmap
import os
import socket
import sys
import time

import cv2
import numpy as np

# Faces smaller than this part of the picture's height are not looked for.
SMALLEST = 1 / 10


class Faces:
    """Finds faces in a picture of luma, an array of rows."""

    def __init__(self):
        self.cascade = cv2.CascadeClassifier(
            os.path.join(cv2.data.haarcascades, "haarcascade_frontalface_default.xml")
        )

    def __call__(self, luma):
        height, width = luma.shape
        side = max(20, int(height * SMALLEST))
        found = self.cascade.detectMultiScale(
            cv2.equalizeHist(luma), scaleFactor=1.2, minNeighbors=5, minSize=(side, side)
        )
        return [
            {
                "x": float(x / width),
                "y": float(y / height),
                "width": float(w / width),
                "height": float(h / height),
                "label": "face",
            }
            for x, y, w, h in found[:16]
        ]


def connect(path, patience=5.0):
    """The mixer makes the socket about when it starts this program."""
    deadline = time.monotonic() + patience
    while True:
        try:
            mixer = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            mixer.connect(path)
            return mixer
        except OSError as error:
            if time.monotonic() > deadline:
                sys.exit(f"faces: cannot connect to {path}: {error}")
            time.sleep(0.05)


def greet(mixer):
    """The first line, the memory that comes with it, and what came behind it."""
    data, descriptors, _, _ = socket.recv_fds(mixer, 65536, 1)
    while b"\n" not in data:
        more = mixer.recv(65536)
        if not more:
            sys.exit("faces: the mixer closed the socket before it said hello")
        data += more
    line, rest = data.split(b"\n", 1)
    hello = json.loads(line)
    if hello["type"] != "hello" or hello["version"] != 1 or hello["format"] != "i420" or not descriptors:
        sys.exit(f"faces: this mixer speaks another protocol: {hello}")
    memory = mmap.mmap(descriptors[0], hello["bytes"], prot=mmap.PROT_READ)
    os.close(descriptors[0])
    return memory, rest


def lines(mixer, rest):
    """What the mixer says, until it is gone."""
    while True:
        while b"\n" in rest:
            line, rest = rest.split(b"\n", 1)
            yield json.loads(line)
        more = mixer.recv(65536)
        if not more:
            return
        rest += more


def main():
    arguments = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    arguments.add_argument("--socket", required=True, help="where the mixer listens")
    mixer = connect(arguments.parse_args().socket)
    try:
        # The mix goes before.
        os.nice(10)
    except OSError:
        # The systemd unit in deploy/ does not allow it.
        pass
    cv2.setNumThreads(1)
    detect = Faces()
    memory, rest = greet(mixer)
    for said in lines(mixer, rest):
        if said["type"] != "frame":
            continue
        width, height = said["width"], said["height"]
        luma = np.frombuffer(memory, np.uint8, width * height, said["offset"]).reshape(height, width)
        answer = {"frame": said["frame"], "boxes": detect(luma)}
        mixer.sendall(json.dumps(answer).encode() + b"\n")


if __name__ == "__main__":
    main()
