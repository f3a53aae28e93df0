"""Read the files of dialogues."""

import json
from pathlib import PurePosixPath

from phi3v_data import SourceError


def read_dialogue(path):
    """Return the document of a file, whose turns are pairs of texts."""
    try:
        document = json.loads(path.read_bytes())
        turns = [(str(question), str(answer)) for question, answer in document["turns"]]
        picture = PurePosixPath(document["picture"]).name  # they all lie in one folder
        return {"topic": str(document["topic"]), "picture": picture, "turns": turns}
    except (ValueError, KeyError, TypeError) as error:
        raise SourceError("not_a_dialogue", f"it is no dialogue: {type(error).__name__}") from error
