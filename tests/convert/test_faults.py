"""Converters that break the contract: one sentence for a listing, one reject for a source, never a traceback."""

from __future__ import annotations

from pathlib import Path

import pytest

from phi3v_data.convert.console import ListingStatus
from phi3v_data.errors import CannotRun, SourceError, UsageError
from tests.converters.converting import convert_folder
from tests.helpers import read_lines, run

FAULTY = f"{Path(__file__).parents[1]}/plugins/faulty.py:Faulty"


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    folder = tmp_path / "raw"
    folder.mkdir()
    return folder


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"init": "{}['a']"}, "KeyError: 'a'"),
        ({"listing": "leave(0)"}, "SystemExit: 0"),
        ({"listing": "refuse(BaseExceptionGroup('two\\nlines', [Odd()]))"}, "BaseExceptionGroup: two lines (1 sub"),
        ({"listing": "{'train': yielding_then(RuntimeError('midway'))}"}, "RuntimeError: midway"),
        ({"listing": "None"}, "sources() returned None, expected a mapping of split names to sources"),
        ({"listing": "[ONE]"}, "sources() returned a list, expected a mapping of split names to sources"),
        ({"listing": "{'train': None}"}, "sources() maps 'train' to None, expected an iterable of Source and Reject"),
        ({"listing": "{'train': 'abc'}"}, "sources() listed a str, expected a Source or a Reject"),
        ({"listing": "{7: [ONE]}"}, "sources() names a split 7, expected text"),
        ({"listing": "{'': [ONE]}"}, "sources() names a split '', which has an empty part and cannot be a part of"),
        ({"listing": "{'a/b': [ONE]}"}, "sources() names a split 'a/b', which holds '/' and cannot be a part of"),
        ({"listing": "{'a_b': [ONE]}"}, "sources() names a split 'a_b', which holds '_' and cannot be a part of"),
        ({"listing": "{'..': [ONE]}"}, "sources() names a split '..', which leaves the folder and cannot be a part"),
        ({"listing": "source(path=7)"}, "the path of a Source is an int, expected text"),
        ({"listing": "source(name=None)"}, "the name of a Source is None, expected text"),
        ({"listing": "source(size=-1)"}, "the size of the Source 'a' is -1, expected bytes"),
        ({"listing": "source(size=2 ** 63)"}, "the size of the Source 'a' is 9223372036854775808, expected bytes"),
        ({"listing": "source(size=1.5)"}, "the size of a Source is a float, expected an integer"),
        ({"listing": "source(label=3)"}, "the label of a Source is an int, expected text or None"),
        ({"listing": "source(group=['g'])"}, "the group of a Source is a list, expected text or None"),
        ({"listing": "source(data=[1])"}, "the data of a Source is a list, expected a mapping"),
        ({"listing": "source(data={'a': {1, 2}})"}, "the data of the Source 'a' is not JSON (Object of type set"),
        ({"listing": "source(data={1: 'a', 'b': 2})"}, "the data of the Source 'a' is not JSON ('<' not supported"),
        ({"listing": "{'train': [Reject(source='a', code='c', message='m', split=3)]}"}, "the split of a Reject is"),
        ({"shared": "{'a': object()}"}, "self.shared is not JSON (Object of type object is not JSON serializable)"),
        ({"shared": "{1: 'a'}"}, "self.shared is not a dict whose keys are text"),
    ],
)
def test_a_listing_that_fails_is_one_sentence(options: dict[str, str], says: str, raw: Path, tmp_path: Path) -> None:
    with pytest.raises(CannotRun) as caught:
        convert_folder(FAULTY, raw, tmp_path / "out", **options)
    text = str(caught.value)
    assert text.startswith(f"the converter 'faulty' failed while it listed its sources: {says}")
    assert text.endswith(": this is a fault in it; --debug shows where")
    assert "\n" not in text
    assert not (tmp_path / "out").exists()


def test_as_a_user_sees_it(raw: Path, tmp_path: Path) -> None:
    for flag, says in (("--init", "ZeroDivisionError: division by zero"), ("--listing", "NameError: name 'x' is not")):
        value = "1 / 0" if flag == "--init" else "x"
        done = run("convert", FAULTY, "--source", raw, "--out_dir", tmp_path / "out", flag, value, code=3)
        assert done.stderr.startswith(f"Error: the converter 'faulty' failed while it listed its sources: {says}")
        assert done.stderr.count("\n") == 1
    done = run("convert", FAULTY, "--source", raw, "--dry_run", "--listing", "None", code=3)
    assert "sources() returned None" in done.stderr


def test_what_a_converter_says_on_purpose_passes_as_it_is(raw: Path, tmp_path: Path) -> None:
    for listing, kind, says in (
        ("refuse(UsageError('no such layout: look again'))", UsageError, "no such layout: look again"),
        ("refuse(SourceError('a', 'the index is cut short'))", SourceError, "the index is cut short"),
        ("refuse(FileNotFoundError(2, 'No such file', 'index.csv'))", CannotRun, "index.csv: No such file"),
    ):
        with pytest.raises(kind) as caught:
            convert_folder(FAULTY, raw, tmp_path / "out", listing=listing)
        assert str(caught.value) == says
    with pytest.raises(KeyboardInterrupt):
        convert_folder(FAULTY, raw, tmp_path / "out", listing="refuse(KeyboardInterrupt())")


@pytest.mark.parametrize(
    ("made", "code", "says"),
    [
        ("None", "converter_error", "convert() returned None, expected an iterable of Example"),
        ("5", "converter_error", "convert() returned an int, expected an iterable of Example"),
        ("Example(turns=[])", "converter_error", "convert() returned an Example, expected an iterable of Example"),
        ("[{'turns': []}]", "converter_error", "convert() made a dict, expected an Example"),
        ("example(turns='What?')", "converter_error", "the turns of an Example is a str, expected a list of RawTurn"),
        ("example(turns=['What?'])", "converter_error", "the turns of an Example hold a str, expected RawTurn"),
        ("example(system=1)", "converter_error", "the system of an Example is an int, expected text or None"),
        ("example(label=1)", "converter_error", "the label of an Example is an int, expected text or None"),
        (
            "example(metadata=[1])",
            "converter_error",
            "the metadata of an Example is a list, expected a mapping",
        ),
        (
            "example(metadata={'a': {1}})",
            "converter_error",
            "the metadata of an Example is not JSON (Object of",
        ),
        ("turn(user=None)", "converter_error", "the user of a RawTurn is None, expected text"),
        ("turn(assistant=7)", "converter_error", "the assistant of a RawTurn is an int, expected text or None"),
        (
            "turn(answers='yes')",
            "converter_error",
            "the answers of a RawTurn is a str, expected a list of texts",
        ),
        ("turn(images=IMAGE)", "converter_error", "the images of a RawTurn is an Image, expected a list of Image"),
        ("turn(images=[JPEG])", "converter_error", "the images of a RawTurn hold a bytes, expected Image"),
        ("image(data='x')", "converter_error", "the data of an Image is a str, expected bytes"),
        ("image(suffix=None)", "converter_error", "the suffix of an Image is None, expected text"),
        ("refuse(BaseExceptionGroup('g', [Odd()]))", "converter_error", "BaseExceptionGroup: g (1 sub-exception)"),
        ("leave('bye')", "converter_error", "SystemExit: bye"),
        ("example(label='\\ud800')", "not_unicode", "its class or metadata holds half of a surrogate pair"),
        ("example(metadata={'a': ['\\ud800']})", "not_unicode", "its class or metadata holds half of a surrogate pair"),
        ("refuse(SourceError(7, ValueError('dark')))", "7", "dark"),
        ("turn(user='')", "invalid_record", "the converter made a bad record: /conversations/0/user"),
        ("image(suffix='.png')", "invalid_image", "the converter made an image that is no .png file"),
    ],
)
def test_an_example_that_is_none_costs_its_source(made: str, code: str, says: str, raw: Path, tmp_path: Path) -> None:
    listing = "{'train': [ONE, Source(path='b', name='b')]}"
    made = f"({made}) if source.path == 'a' else example()"
    manifest = convert_folder(FAULTY, raw, tmp_path / "out", listing=listing, made=made)
    (reject,) = read_lines(tmp_path / "out/rejects.jsonl")
    assert (reject["source"], reject["code"]) == ("a", code)
    assert reject["message"].removeprefix("the converter failed: ").startswith(says)
    assert manifest.files[0].records == 1


def test_a_long_listing_says_that_it_goes_on(capsys: pytest.CaptureFixture[str]) -> None:
    told, silent = ListingStatus(every=0), ListingStatus(every=3600)
    for _ in range(3):
        told()
        silent()
    assert capsys.readouterr().err == "".join(f"Listing the sources: {count} so far\n" for count in (1, 2, 3))
