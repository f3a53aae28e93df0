"""A converter that breaks its contract in the way that it is told."""

import threading

from phi3v_data import Converter, Example, Image, Options, RawTurn, Reject, Source, SourceError
from phi3v_data.errors import UsageError

JPEG = bytes.fromhex(
    "ffd8ffe000104a46494600010100000100010000ffdb004300080606070605080707070909080a0c140d0c0b0b0c1912130f141d1a1f1e"
    "1d1a1c1c20242e2720222c231c1c2837292c30313434341f27393d38323c2e333432ffc0000b080001000101011100ffc4001400010000"
    "0000000000000000000000000000ffda0008010100003f003fffd9"
)
IMAGE = Image(JPEG)
ONE = Source(path="a", name="a")


class Odd(BaseException):
    """Raised in a group."""


def leave(code):
    raise SystemExit(code)


def refuse(error):
    raise error


def yielding_then(error):
    yield ONE
    raise error


def source(**fields):
    return {"train": [Source(**{"path": "a", "name": "a", **fields})]}


def example(**fields):
    return [Example(**{"turns": [RawTurn(user="What?", assistant="This.", images=[IMAGE])], **fields})]


def turn(**fields):
    return example(turns=[RawTurn(**{"user": "What?", "assistant": "This.", "images": [IMAGE], **fields})])


def image(**fields):
    return turn(images=[Image(**{"data": JPEG, **fields})])


class FaultyOptions(Options):
    """Python that makes the listing, or the examples."""

    init: str = "None"
    listing: str = "{'train': [ONE]}"
    shared: str = "{}"
    made: str = "example()"


class Faulty(Converter[FaultyOptions]):
    """Evaluates its options."""

    name = "faulty"
    version = "1"
    options_type = FaultyOptions

    def __init__(self, options, root):
        super().__init__(options, root)
        eval(options.init)

    def sources(self):
        self.shared = eval(self.options.shared)
        return eval(self.options.listing)

    def convert(self, source):
        return eval(self.options.made)


NAMES = (Reject, SourceError, UsageError, threading)  # what the options may use
