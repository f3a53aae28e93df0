"""Parquet files of the hub over real HTTP on loopback: which are chosen, every way it breaks, what is kept."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.hub_machine import Machine, Runner, content, facts
from tests.hub_server import Fault, HubServer, Repo

if TYPE_CHECKING:
    from collections.abc import Iterator

CONVERSION = "refs/convert/parquet"
PATTERNS = ("nlvr2/*.parquet", "data/*.parquet", "*.parquet")
FILES = {f"nlvr2/train-0000{number}-of-00003.parquet": b"PAR1" + b"%d" % number * 1000 for number in range(3)}
FIRST, SECOND, THIRD = FILES
OTHERS = {"README.md": b"---", "vqav2/train-00000-of-00001.parquet": b"PAR1 other", "nlvr2/note.txt": b"text"}
OLD, NEW = "c" * 40, "d" * 40
SCRIPT = {"n.py": b"raise SystemExit", "README.md": b"---"}


@pytest.fixture(scope="module")
def runner() -> Iterator[Runner]:
    with Runner() as runner:
        yield runner


@pytest.fixture
def hub() -> Iterator[HubServer]:
    with HubServer(**{"o/n": Repo({**OTHERS, **FILES}, card={"license": "mit"})}) as server:
        yield server


@pytest.fixture
def machine(hub: HubServer, tmp_path: Path, runner: Runner) -> Machine:
    return Machine(tmp_path, hub.url, runner, *PATTERNS)


def downloaded(hub: HubServer) -> list[str]:
    """Return the files that were asked for, in order, each time they were."""
    paths = [seen.path for seen in hub.requests if seen.method == "GET" and "/resolve/" in seen.path]
    return [path.split("/", 6)[6] for path in paths]


def converted(files: dict[str, bytes]) -> Repo:
    """Return a repository that has only a loading script, with the hub's Parquet conversion of it."""
    return Repo(SCRIPT, card={"license": "mit"}, revisions={CONVERSION: Repo(files, commit=NEW, branches=())})


def test_only_what_fits_the_pattern_is_fetched_and_only_once(hub: HubServer, machine: Machine) -> None:
    first = machine.run()
    expected = {
        "root": first["root"],
        "kind": "hub",
        "name": "o/n/nlvr2/*.parquet",
        "revision": OLD,
        "sha256": None,
        "licence": "mit",
        "unsafe": [],
        "warnings": [],
    }
    assert facts(first) == expected
    assert content(first) == FILES
    assert first["lines"] == [
        f"Downloading o/n/{name} (0 MB, file {number} of 3)" for number, name in enumerate(FILES, 1)
    ]
    assert downloaded(hub) == list(FILES)
    (note,) = machine.cache.glob("notes/*.json")
    kept, asked = note.stat(), len(hub.requests)
    second = machine.run()
    assert facts(second) == expected
    assert (second["lines"], note.stat()) == ([], kept)
    paths = [seen.path for seen in hub.requests[asked:]]
    assert [path for path in paths if "/datasets/" in path] == ["/api/datasets/o/n/revision/main"]


def test_nothing_is_stored_twice(machine: Machine) -> None:
    root = Path(machine.run()["root"])
    blobs = {blob.resolve() for blob in machine.blobs()}
    assert {path.resolve() for path in root.rglob("*.parquet")} == blobs
    assert all((root / name).is_symlink() for name in FILES)


@pytest.mark.parametrize(
    ("names", "pattern", "chosen"),
    [
        (["data/b.parquet", "data/a.parquet", "x/a.parquet"], "data/*.parquet", ["data/a.parquet", "data/b.parquet"]),
        (["top.parquet", "a.PARQUET", ".hidden/a.parquet", "._a.parquet"], "*.parquet", ["top.parquet"]),
        (["one/deep/er.parquet", "one/a.parquet"], "*.parquet", ["one/a.parquet", "one/deep/er.parquet"]),
        (
            ["../a.parquet", "/a.parquet", "x/../../a.parquet", "a\\b.parquet", "ok.parquet"],
            "*.parquet",
            ["ok.parquet"],
        ),
    ],
    ids=["preferred", "hidden, other case", "folders below", "hostile"],
)
def test_which_files_are_chosen(
    hub: HubServer, machine: Machine, names: list[str], pattern: str, chosen: list[str]
) -> None:
    hub.repos["o/n"].files = {name: name.encode() for name in names}
    result = machine.run()
    assert result["name"] == f"o/n/{pattern}"
    assert sorted(content(result)) == chosen
    assert downloaded(hub) == chosen


def test_files_at_the_root_and_in_data_are_one_configuration(hub: HubServer, machine: Machine) -> None:
    hub.repos["o/n"].files = {"a.parquet": b"a", "data/b.parquet": b"b"}
    machine.patterns = ("*.parquet",)
    assert content(machine.run()) == {"a.parquet": b"a", "data/b.parquet": b"b"}


def test_several_configurations_are_not_mixed(hub: HubServer, machine: Machine) -> None:
    hub.repos["o/n"].files = {"b\u202e/0.parquet": b"", "a/0.parquet": b"", "0.parquet": b""}
    assert machine.fails() == (
        "the dataset o/n holds several configurations: a, b\\u202e, data; download the one you want "
        '(`hf download o/n --include "CONFIG/*" --repo-type dataset --local-dir DIR`) and give its folder'
    )
    hub.repos["o/n"].branches = ("main", "v2")
    assert "--repo-type dataset --revision v2 --local-dir DIR" in machine.fails("hub:o/n@v2")
    assert downloaded(hub) == []


def test_the_archive_of_a_default_goes_before_the_patterns_and_any_other_after_them(
    hub: HubServer, machine: Machine
) -> None:
    archive = {"a.zip": b"PK\x05\x06" + bytes(18)}
    hub.repos["o/n"].files |= archive
    hub.repos["x/only"] = Repo(archive)
    default = {"repo": "o/n", "filename": "a.zip"}
    assert machine.run(None, default)["name"] == "o/n/a.zip"
    assert machine.run("hub:x/only")["name"] == "x/only/a.zip"
    assert machine.run()["name"] == "o/n/nlvr2/*.parquet"


def test_a_repository_with_nothing_that_fits(hub: HubServer, machine: Machine) -> None:
    hub.repos["o/n"].files = {"train.csv": b"", "scripts/make.py": b""}
    assert machine.fails() == (
        "the dataset o/n should hold nlvr2/*.parquet or data/*.parquet or *.parquet or exactly one archive, "
        "it holds none: download what you need and give its path or folder"
    )


def test_every_file_is_of_the_commit_that_was_resolved_though_the_branch_moves(
    hub: HubServer, machine: Machine
) -> None:
    def move() -> None:
        changed = dict.fromkeys(FILES, b"PAR1 changed")
        hub.repos["o/n"] = Repo(changed, commit=NEW, revisions={OLD: hub.repos["o/n"]})

    hub.faults.append(Fault("HEAD", FIRST, before=move))
    before = machine.run()
    assert (before["revision"], content(before)) == (OLD, FILES)
    after = machine.run()
    assert (after["revision"], set(content(after).values())) == (NEW, {b"PAR1 changed"})


def test_a_broken_download_goes_on_in_the_middle_of_a_file(hub: HubServer, machine: Machine) -> None:
    # The client writes, and so keeps, 10 MiB at a time.
    hub.repos["o/n"].files[SECOND] = FILES[SECOND] * 11_000
    hub.faults.append(Fault("GET", SECOND, cut_after=10_700_000))
    assert content(machine.run()) == FILES | {SECOND: FILES[SECOND] * 11_000}
    assert downloaded(hub) == [FIRST, SECOND, SECOND, THIRD]
    assert [seen.range for seen in hub.requests if seen.method == "GET" and seen.path.endswith(SECOND)] == [
        None,
        f"bytes={10 << 20}-",
    ]


def test_the_next_run_fetches_only_the_files_that_are_missing(hub: HubServer, machine: Machine) -> None:
    hub.faults.extend([Fault("GET", SECOND, status=503)] * 5)
    assert machine.fails() == "the dataset o/n cannot be downloaded, the hub answers 503: run it again to go on"
    result = machine.run()
    assert content(result) == FILES
    assert result["lines"] == [
        f"Downloading o/n/{SECOND} (0 MB, file 2 of 3)",
        f"Downloading o/n/{THIRD} (0 MB, file 3 of 3)",
    ]
    assert downloaded(hub) == [FIRST, *[SECOND] * 6, THIRD]


@pytest.mark.parametrize(
    ("method", "ending", "status"),
    [("GET", "revision/main", 429), ("HEAD", SECOND, 500), ("GET", THIRD, 503), ("HEAD", FIRST, 408)],
)
def test_errors_that_pass_are_tried_again(
    hub: HubServer, machine: Machine, method: str, ending: str, status: int
) -> None:
    hub.faults.append(Fault(method, ending, status=status, headers=(("Retry-After", "7"),)))
    result = machine.run()
    assert content(result) == FILES
    assert result["asked"] == [7.0]
    assert f"The hub answers {status}; try 2 of 5 in 7 s" in result["lines"]


@pytest.mark.parametrize(
    ("refusal", "expected"),
    [
        ((403, "GatedRepo"), "the dataset o/n is gated: accept its terms on its page on the hub, then log in with"),
        ((401, "RepoNotFound"), "the hub has no o/n, or it is private: check it, or log in with"),
    ],
)
def test_no_access(hub: HubServer, machine: Machine, refusal: tuple[int, str], expected: str) -> None:
    hub.repos["o/n"].refusal = refusal
    assert machine.fails().startswith(expected)


def test_a_dataset_that_vanished(hub: HubServer, machine: Machine) -> None:
    machine.run()
    del hub.repos["o/n"]
    assert machine.run()["error"].startswith("the hub has no o/n, or it is private: check it, or log in with")


def test_offline_with_and_without_a_copy(hub: HubServer, machine: Machine) -> None:
    wanted = "nlvr2/*.parquet or data/*.parquet or *.parquet"
    assert machine.fails(HF_HUB_OFFLINE="1") == (
        f"offline mode is on and {wanted} of the dataset o/n is not in the cache: unset HF_HUB_OFFLINE for one run"
    )
    before, asked = machine.run(), len(hub.requests)
    assert facts(machine.run(HF_HUB_OFFLINE="1")) == facts(before)
    assert len(hub.requests) == asked


def test_no_network_then_a_stale_copy(machine: Machine) -> None:
    with HubServer() as gone:
        nobody = gone.url
    before, after = machine.run(), machine.run(HF_ENDPOINT=nobody)
    assert after["warnings"] == [f"the hub cannot be reached: taking o/n as of the last run, {OLD}"]
    assert facts(after) | {"warnings": []} == facts(before)


def test_links_into_a_purged_cache_are_made_anew(hub: HubServer, machine: Machine) -> None:
    before = machine.run()
    shutil.rmtree(machine.hub_cache)
    assert "is not in the cache: unset HF_HUB_OFFLINE" in machine.run(HF_HUB_OFFLINE="1")["error"]
    after = machine.run()
    assert facts(after) == facts(before)
    assert content(after) == FILES
    assert downloaded(hub) == [*FILES, *FILES]


def test_links_follow_the_hubs_cache_to_another_folder(machine: Machine) -> None:
    machine.run()
    machine.hub_cache.rename(machine.hub_cache.with_name("moved"))
    machine.hub_cache = machine.hub_cache.with_name("moved")
    result = machine.run(HF_HUB_OFFLINE="1")
    assert content(result) == FILES
    assert result["lines"] == []


def test_a_note_of_another_shape_is_ignored(machine: Machine) -> None:
    before = machine.run()
    (note,) = machine.cache.glob("notes/*.json")
    ours = json.loads(note.read_text())
    old = {"filename": "a.zip", "commit": OLD, "etag": "0" * 64, "size": 5, "licence": None}
    for text in (old, [], ours | {"files": [5]}, ours | {"files": None}, ours | {"more": 1}):
        note.write_text(json.dumps(text))
        assert "error" in machine.run(HF_HUB_OFFLINE="1")
        assert facts(machine.run()) == facts(before)
        assert json.loads(note.read_text()) == ours


@pytest.mark.parametrize("digits", [40, 64], ids=["Git's", "SHA-256"])
def test_a_file_of_another_hash_is_refused_and_alone_fetched_again(
    hub: HubServer, machine: Machine, digits: int
) -> None:
    hub.repos["o/n"].large = digits == 64
    hub.repos["o/n"].tags[SECOND] = "0" * digits
    assert machine.fails() == (
        f"o/n/{SECOND} is not what the hub says it is (another checksum): the download was removed, run it again"
    )
    assert [blob.read_bytes() for blob in machine.blobs()] == [FILES[FIRST]]
    hub.repos["o/n"].tags.clear()
    assert content(machine.run()) == FILES
    assert downloaded(hub) == [FIRST, SECOND, SECOND, THIRD]


def test_a_mirror_without_hashes_is_worth_a_warning(hub: HubServer, machine: Machine) -> None:
    hub.repos["o/n"].tags = {name: f"{number}-5" for number, name in enumerate(FILES)}
    first, second = machine.run(), machine.run()
    assert first["warnings"] == ["the hub states no hash for o/n/nlvr2/*.parquet: it could not be verified"]
    assert facts(first) == facts(second)
    assert content(first) == FILES


def test_a_loading_script_is_replaced_by_the_hubs_conversion(hub: HubServer, machine: Machine) -> None:
    hub.repos["o/n"] = converted({"default/test/0000.parquet": b"b", "default/train/0000.parquet": b"a"})
    result = machine.run()
    assert content(result) == {"default/test/0000.parquet": b"b", "default/train/0000.parquet": b"a"}
    assert (result["name"], result["revision"], result["warnings"]) == ("o/n/*.parquet", NEW, [])
    assert result["licence"] == "mit"  # of the dataset's own card: the conversion has none
    asked = len(hub.requests)
    assert facts(machine.run(HF_HUB_OFFLINE="1")) == facts(result)
    assert len(hub.requests) == asked
    assert facts(machine.run()) == facts(result)
    assert not any("/resolve/" in seen.path for seen in hub.requests[asked:])


def test_the_conversion_can_be_asked_for(hub: HubServer, machine: Machine) -> None:
    hub.repos["x/y"] = converted({"default/train/0000.parquet": b"a"})
    result = machine.run(f"hub:x/y@{CONVERSION}")
    assert (content(result), result["revision"]) == ({"default/train/0000.parquet": b"a"}, NEW)


def test_a_conversion_of_several_configurations_is_not_mixed(hub: HubServer, machine: Machine) -> None:
    hub.repos["o/n"] = converted({"a/train/0000.parquet": b"", "b/train/0000.parquet": b""})
    error = machine.fails()
    assert "several configurations: a, b; " in error
    assert f'`hf download o/n --include "CONFIG/*" --repo-type dataset --revision {CONVERSION} --local-dir' in error


def test_a_conversion_of_the_first_part_only_is_worth_a_warning(hub: HubServer, machine: Machine) -> None:
    hub.repos["o/n"] = converted({f"default/{split}/0000.parquet": b"" for split in ("partial-train", "test")})
    expected = ["the hub's Parquet conversion of o/n holds only the first part of: train"]
    assert machine.run()["warnings"] == machine.run(HF_HUB_OFFLINE="1")["warnings"] == expected


def test_a_loading_script_without_a_conversion(hub: HubServer, machine: Machine) -> None:
    hub.repos["o/n"] = Repo(SCRIPT)
    assert machine.fails() == (
        "the dataset o/n has only a loading script, which is not run, and the hub has no Parquet conversion of it: "
        "get its files from its page and give their folder"
    )


def test_a_loading_script_at_a_revision_that_was_given(hub: HubServer, machine: Machine) -> None:
    hub.repos["o/n"] = converted({"default/train/0000.parquet": b"a"})
    assert machine.fails("hub:o/n@main") == (
        "the dataset o/n has only a loading script, which is not run, and the hub's Parquet conversion belongs to "
        f"another revision than 'main': leave out @main or write @{CONVERSION}"
    )


def test_names_that_cannot_be_together_are_one_sentence(hub: HubServer, machine: Machine) -> None:
    hub.repos["o/n"].files = {"data/a.parquet": b"x", "data/a.parquet/b.parquet": b"y"}
    assert "data/a.parquet cannot be used (" in machine.fails()


def test_a_client_that_makes_no_links(machine: Machine) -> None:
    result = machine.run(HF_HUB_DISABLE_SYMLINKS="1")
    assert content(result) == FILES
