"""A JSON file is a dialogue of several turns about one picture: `train/first.json` beside `pictures/a.png`."""

import json
from typing import Literal

from pydantic import Field

from phi3v_data import Converter, Example, Image, Options, RawTurn, Reject, Source, SourceError
from phi3v_dialogues.reading import read_dialogue


class DialoguesOptions(Options):
    """What shapes the records."""

    turns: int = Field(default=8, ge=1, description="At most this many turns.")
    system: Literal["none", "topics"] = Field(default="topics", description="What the system prompt says.")


class Dialogues(Converter[DialoguesOptions]):
    """JSON files with dialogues about pictures.

    All topics are named in each system prompt, so that listing has to tell converting.
    """

    name = "dialogues"
    version = "2.1"
    options_type = DialoguesOptions

    def sources(self):
        """List the files of every split."""
        files = {split: sorted((self.root / split).glob("*.json")) for split in ("train", "test")}
        listing = {split: [self.entry(split, path) for path in paths] for split, paths in files.items()}
        self.shared = {
            "topics": sorted({entry.label for entries in listing.values() for entry in entries if entry.label})
        }
        return listing

    def entry(self, split, path):
        """Make the source of a file."""
        place = f"{split}/{path.name}"
        try:
            document = read_dialogue(path)
        except SourceError as error:
            return Reject.because(error, place, split)
        size, group = path.stat().st_size, f"{split}:{document['picture']}"
        return Source(path=place, name=path.stem, size=size, group=group, label=document["topic"], data=document)

    def convert(self, source):
        """Make one record of a dialogue, with the picture in its first turn."""
        image = Image((self.root / "pictures" / source.data["picture"]).read_bytes(), suffix=".png")
        turns = [
            RawTurn(user=question, assistant=answer, images=[] if number else [image])
            for number, (question, answer) in enumerate(source.data["turns"][: self.options.turns])
        ]
        topics = "Topics: " + ", ".join(self.shared["topics"]) + "."
        system = topics if self.options.system == "topics" else None
        return [Example(turns=turns, system=system, metadata={"file": source.path})]

    @classmethod
    def write_sample(cls, folder):
        """Write dialogues about two coloured pictures."""
        import PIL.Image

        for name in ("train", "test", "pictures"):
            (folder / name).mkdir(parents=True)
        for split, name, colour in (("train", "first", "red"), ("train", "second", "blue"), ("test", "third", "lime")):
            PIL.Image.new("RGB", (40, 30), colour).save(folder / "pictures" / f"{name}.png")
            turns = [["What is this?", "A colour."], ["Which one?", colour]]
            document = {"topic": f"{colour} things", "picture": f"{name}.png", "turns": turns}
            (folder / split / f"{name}.json").write_text(json.dumps(document))
