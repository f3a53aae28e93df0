"""A stranger's converter, installed from a folder: each source is a text file that says how to behave.

ok        one record with one image
two       two records that share their image
big       one record with a megabyte of image
nothing   no record
raise     an exception of its own
refuse    a SourceError
wrong     a record that breaks the schema
noimage   bytes that are no JPEG
kill      the worker dies
hang      the worker never comes back
"""

import os
import signal
import sys
import threading
from pathlib import Path

from phi3v_data import Converter, Example, Image, Options, RawTurn, Reject, Source, SourceError
from phi3v_data.tokens import image_tokens

JPEG = bytes.fromhex(
    "ffd8ffe000104a46494600010100000100010000ffdb004300080606070605080707070909080a0c140d0c0b0b0c1912130f141d1a1f1e"
    "1d1a1c1c20242e2720222c231c1c2837292c30313434341f27393d38323c2e333432ffc0000b080001000101011100ffc4001400010000"
    "0000000000000000000000000000ffc40014100100000000000000000000000000000000ffda0008010100003f003fffd9"
)


class Odd(Converter):
    """Text files that say how to behave."""

    name = "odd"
    version = "1"

    def sources(self):
        return {
            split.name: [
                Source(path=f"{split.name}/{path.name}", name=path.stem, size=path.stat().st_size, label=path.stem[0])
                if path.suffix != ".rejected"
                else Reject(source=f"{split.name}/{path.name}", code="listed", message="it was refused while listing")
                for path in split.iterdir()
            ]
            for split in sorted(self.root.iterdir(), key=lambda path: ("train", "val", "test").index(path.name))
        }

    def convert(self, source):
        word = Path(self.root, source.path).read_text().strip()
        if word == "raise":
            raise RuntimeError("an odd fault")
        if word == "refuse":
            raise SourceError("too_odd", "it is too odd; straighten it")
        if word == "exit":
            sys.exit(0)
        if word == "data":
            image_tokens(100_000, 1, 4)
        if word == "print":
            sys.stdout.write("words\n")
        if word == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        if word == "hang":
            threading.Event().wait()
        if word == "nothing":
            return []
        data = {"noimage": b"GIF", "broken": JPEG[:20], "big": JPEG + bytes(1 << 20)}.get(word, JPEG)
        image = Image(data, ".tiff" if word == "tiff" else ".jpg")
        turn = RawTurn(
            user="" if word == "wrong" else source.name,
            assistant=word,
            images=[image],
            answers=("x",) if word == "tuple" else None,
        )
        return [Example(turns=[turn])] * (2 if word == "two" else 1)


class GreedyOptions(Options):
    """An option that every conversion has already."""

    workers: int = 1


class Greedy(Odd):
    """A converter whose option has a taken name."""

    name = "greedy"
    options_type = GreedyOptions
