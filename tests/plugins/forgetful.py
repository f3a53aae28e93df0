"""Converters that a user would take for sound, and that are not; each breaks one rule."""

import itertools
import random
from pathlib import Path

from phi3v_data import Converter, Example, Options, RawTurn, Source, SourceError

_CALLS = itertools.count()


class Sound(Converter):
    """Text files of lines; each is a source whose answer is its text."""

    name = "sound"
    version = "1"

    def sources(self):
        """List the files."""
        return {"train": [self.source(path) for path in self.root.glob("*.txt")]}

    def source(self, path):
        """Make the source of a file."""
        return Source(path=path.name, name=path.stem, size=path.stat().st_size)

    def convert(self, source):
        """Make one example."""
        return [Example(turns=[RawTurn(user="What does it say?", assistant=self.answer(source))])]

    def answer(self, source):
        """Return the text."""
        return (self.root / source.path).read_text()

    @classmethod
    def write_sample(cls, folder):
        """Write three files."""
        for word in ("one", "two", "three"):
            (folder / f"{word}.txt").write_text(word)


class Drawing(Sound):
    """Its answers are drawn anew each time."""

    def answer(self, source):
        return str(random.SystemRandom().random())


class Hashing(Sound):
    """Its answers differ from process to process."""

    def answer(self, source):
        return str(hash(source.path))


class Remembering(Sound):
    """Its answers depend on the sources that came before."""

    before = ""

    def answer(self, source):
        self.before += source.path
        return self.before


class Counting(Sound):
    """It counts its calls, in every process from zero."""

    def answer(self, source):
        return str(next(_CALLS))


class Wandering(Sound):
    """It lists other sizes each time."""

    def source(self, path):
        return Source(path=path.name, name=path.stem, size=next(_CALLS))


class Sharing(Sound):
    """What it shares depends on how often it was asked."""

    def sources(self):
        self.shared = {"asked": next(_CALLS)}
        return super().sources()


class Listing(Sound):
    """What it found while listing is not in `shared`, so that no worker knows it."""

    found = None

    def sources(self):
        self.found = "found"
        return super().sources()

    def answer(self, source):
        return self.found.upper()


class Leaking(Sound):
    """A group is in two splits."""

    def sources(self):
        files = sorted(self.root.glob("*.txt"))
        grouped = [Source(path=path.name, name=path.stem, group="scene") for path in files]
        return {"train": grouped[:1], "test": grouped[1:]}


class Writing(Sound):
    """It leaves something in the source."""

    def sources(self):
        (self.root / "index").mkdir(exist_ok=True)
        return super().sources()


class Shouting(Sound):
    """The codes of its rejects are no codes."""

    def answer(self, source):
        if source.name == "two":
            raise SourceError("Not good!", "it is two")
        return super().answer(source)


class Rambling(Sound):
    """The messages of its rejects have several lines."""

    def answer(self, source):
        if source.name == "two":
            raise SourceError("two", "it is two\nand not three")
        return super().answer(source)


class Silent(Sound):
    """It makes no example of a source."""

    def convert(self, source):
        return [] if source.name == "two" else super().convert(source)


class Refusing(Sound):
    """It rejects all there is."""

    def answer(self, source):
        raise SourceError("refused", "it is refused")


class Tagging(Sound):
    """Its questions hold image tags, which the validator finds."""

    def convert(self, source):
        return [Example(turns=[RawTurn(user="<|image_1|> What?", assistant="This.")])]


class Nameless(Sound):
    """It has no name of its own that could be a file's."""

    name = "a/b"


class AskingOptions(Options):
    """An option without a default."""

    prefix: str


class Asking(Sound):
    """It needs an option."""

    options_type = AskingOptions

    def answer(self, source):
        return self.options.prefix + super().answer(source)


class Careful(Sound):
    """It rejects what it should."""

    def answer(self, source):
        if source.name == "two":
            raise SourceError("two", "it is two, which nobody asked for")
        return super().answer(source)


class Bare(Sound):
    """It has no sample."""

    @classmethod
    def write_sample(cls, folder):
        super(Sound, cls).write_sample(folder)


class Pathological(Sound):
    """Its sample cannot be written."""

    @classmethod
    def write_sample(cls, folder):
        Path(folder / "no" / "such").write_text("")


def local():
    """Return a class that no other process can import."""

    class Local(Sound):
        """In a function."""

    return Local
