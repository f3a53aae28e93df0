"""The conformance test: what it returns for a sound converter, and what it says of each fault."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from phi3v_data.convert.registry import import_converter, load_converter
from phi3v_data.testing import check_converter

if TYPE_CHECKING:
    from pathlib import Path

    from phi3v_data import Converter


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """Files for the converters that read text."""
    folder = tmp_path / "files"
    folder.mkdir()
    load("Sound").write_sample(folder)
    return folder


def load(name: str) -> type[Converter]:
    return import_converter(f"{__file__.rpartition('/')[0]}/plugins/forgetful.py:{name}")


def complaint(name: str) -> str:
    """Return what is said of a converter of `forgetful.py`."""
    with pytest.raises(AssertionError) as caught:
        check_converter(load(name))
    return str(caught.value)


def test_a_sound_one_gives_its_records(files: Path) -> None:
    for checked in (check_converter(load("Sound")), check_converter(load("Sound"), str(files), workers=3)):
        assert [record.conversations[0].assistant for record in checked.records] == ["one", "three", "two"]
        assert checked.manifest.files[0].records == 3
        assert checked.rejects == []


def test_rejects_that_say_why_are_no_fault() -> None:
    checked = check_converter(load("Careful"))
    assert [(reject.source, reject.split, reject.code) for reject in checked.rejects] == [("two.txt", "train", "two")]
    assert len(checked.records) == 2


def test_options_are_given_or_have_defaults() -> None:
    asking = load("Asking")
    for options in ({"prefix": "> "}, asking.options_type(prefix="> ")):
        assert check_converter(asking, options=options).records[0].conversations[0].assistant == "> one"
    assert complaint("Asking") == "the option 'prefix' has no default: pass options={'prefix': …}"
    with pytest.raises(AssertionError, match=r"the options \{'prefix': 'a', 'more': 1\} do not fit AskingOptions"):
        check_converter(asking, options={"prefix": "a", "more": 1})


@pytest.mark.parametrize("name", ["docvqa", "hateful_memes", "nlvr2"])
def test_the_built_in_ones_are_sound(name: str) -> None:
    checked = check_converter(load_converter(name))
    assert checked.records and not checked.rejects


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("Drawing", "sound_train.jsonl differs when the source is converted again, with 2 workers: convert() depends"),
        ("Hashing", "sound_train.jsonl differs when the source is converted again"),
        ("Remembering", "convert() makes other examples of 'two.txt' when it is converted alone: it must depend"),
        ("Counting", "convert() makes other examples of 'two.txt' when it is converted alone"),
        ("Wandering", "sources() lists other sources the second time"),
        ("Sharing", "sources() leaves something else in self.shared the second time"),
        ("Listing", "the reject of 'one.txt' (converter_error: \"the converter failed: AttributeError: 'NoneType' obj"),
        ("Leaking", "the group 'scene' is in the splits 'train' and 'test'"),
        ("Writing", "the converter writes into its source: look at 'index'"),
        ("Shouting", "the reject of 'two.txt' (Not good!: 'it is two') has a code that is not in snake_case"),
        ("Rambling", "the reject of 'two.txt' (two: 'it is two\\nand not three') does not say why in one line"),
        ("Silent", "the reject of 'two.txt' (no_examples: 'the converter made no example from it') is a fault of the"),
        ("Refusing", "the converter made no record of the source"),
        ("Tagging", "the dataset has errors: E"),
        ("Nameless", "'Nameless' has the name 'a/b': give the class one of letters"),
        ("Bare", "the converter 'sound' has no embedded sample: pass a folder of raw data as source, or define write"),
        ("Pathological", "write_sample() failed: FileNotFoundError: "),
    ],
)
def test_each_fault_has_its_sentence(name: str, says: str) -> None:
    found = complaint(name)
    assert found.startswith(says)
    assert "\n" not in found


def test_a_class_that_no_worker_finds() -> None:
    local = sys.modules[load("Sound").__module__].local()
    with pytest.raises(AssertionError, match=r"a worker cannot import .*: put the class at the top of a module"):
        check_converter(local)


def test_a_source_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="the source cannot be converted: there is no "):
        check_converter(load("Sound"), tmp_path / "gone")
