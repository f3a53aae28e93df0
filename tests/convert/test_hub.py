"""The hub over real HTTP on loopback: the happy path, every way it breaks, what is left for the next run."""

from __future__ import annotations

import hashlib
import io
import os
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.hub_machine import Machine, Runner, content, facts
from tests.hub_server import Fault, HubServer, Repo

if TYPE_CHECKING:
    from collections.abc import Iterator

NAME = "data.tar.gz"
NOISE = b"".join(hashlib.sha256(b"%d" % number).digest() for number in range(10_000))
FILES = {"train/A/a.avi": NOISE, "test/A/b.avi": b"second"}


def make_tar(mode: Any, files: dict[str, bytes] = FILES) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


PLAIN = make_tar("w")
CARD = {"license": "cc-by-4.0"}


@pytest.fixture(scope="module")
def runner() -> Iterator[Runner]:
    with Runner() as runner:
        yield runner


@pytest.fixture
def hub() -> Iterator[HubServer]:
    with HubServer(**{"o/n": Repo({NAME: PLAIN, "README.md": b"---"}, card=CARD)}) as server:
        yield server


@pytest.fixture
def machine(hub: HubServer, tmp_path: Path, runner: Runner) -> Machine:
    return Machine(tmp_path, hub.url, runner)


def test_download_then_from_the_cache(hub: HubServer, machine: Machine) -> None:
    first = machine.run()
    assert content(first) == FILES
    expected = {
        "root": first["root"],
        "kind": "hub",
        "name": f"o/n/{NAME}",
        "revision": "c" * 40,
        "sha256": hashlib.sha256(PLAIN).hexdigest(),
        "licence": "cc-by-4.0",
        "unsafe": [],
        "warnings": [],
    }
    assert facts(first) == expected
    assert first["lines"] == [f"Downloading o/n/{NAME} (0 MB)", f"Unpacking o/n/{NAME}"]
    assert hub.count("GET", NAME) == 1
    second = machine.run()
    assert facts(second) == expected
    assert hub.count("GET", NAME) == 1
    assert second["lines"] == []


@pytest.mark.parametrize(
    "repo",
    [
        Repo({NAME: make_tar("w:gz")}, large=False),
        Repo({NAME: PLAIN}, elsewhere=True, card={"license": ["mit", "other"]}),
        Repo({NAME: PLAIN}, card={}),
    ],
    ids=["gzip, Git's hash, no card", "other host, two licences", "no licence"],
)
def test_other_repositories(hub: HubServer, machine: Machine, repo: Repo) -> None:
    hub.repos["o/n"] = repo
    result = machine.run()
    assert content(result) == FILES
    assert result["licence"] == ("mit, other" if repo.elsewhere else None)
    assert result["sha256"] == hashlib.sha256(repo.files[NAME]).hexdigest()
    assert result["warnings"] == []


def test_a_dropped_connection_is_resumed(hub: HubServer, machine: Machine) -> None:
    # The client writes, and so keeps, 10 MiB at a time.
    large = make_tar("w", {"a.avi": NOISE * 40})
    hub.repos["o/n"].files[NAME] = large
    hub.faults.append(Fault("GET", NAME, cut_after=11_000_000))
    assert content(machine.run()) == {"a.avi": NOISE * 40}
    gets = [seen.range for seen in hub.requests if seen.method == "GET" and seen.path.endswith(NAME)]
    assert gets == [None, f"bytes={10 << 20}-"]


def test_a_connection_dropped_early_is_tried_again(hub: HubServer, machine: Machine) -> None:
    hub.faults.append(Fault("GET", NAME, cut_after=1000))
    assert content(machine.run()) == FILES
    assert hub.count("GET", NAME) == 2


@pytest.mark.parametrize(
    ("method", "ending", "status"),
    [("GET", "revision/main", 500), ("HEAD", NAME, 502), ("GET", NAME, 503), ("HEAD", NAME, 504)],
)
def test_errors_that_pass_are_tried_again(
    hub: HubServer, machine: Machine, method: str, ending: str, status: int
) -> None:
    hub.faults.extend([Fault(method, ending, status=status)] * 2)
    result = machine.run()
    assert content(result) == FILES
    assert result["asked"] == [1.0, 2.0]
    waits = [line for line in result["lines"] if "try" in line]
    assert waits == [f"The hub answers {status}; try {1 + n} of 5 in {n} s" for n in (1, 2)]


def test_the_wait_the_hub_asks_for_is_kept_up_to_a_limit(hub: HubServer, machine: Machine) -> None:
    for seconds in ("7", "100000"):
        hub.faults.append(Fault("GET", "revision/main", status=429, headers=(("Retry-After", seconds),)))
    result = machine.run()
    assert content(result) == FILES
    assert result["asked"] == [7.0, 60.0]


def test_it_gives_up_after_five_tries(hub: HubServer, machine: Machine) -> None:
    hub.faults.extend([Fault("GET", "revision/main", status=503)] * 5)
    error = machine.fails()
    assert error == "the dataset o/n cannot be downloaded, the hub answers 503: run it again to go on"
    assert hub.count("GET", "revision/main") == 5


def test_a_wrong_checksum_is_refused_and_a_corrected_hub_is_taken(hub: HubServer, machine: Machine) -> None:
    hub.repos["o/n"].tags[NAME] = "0" * 64
    error = machine.fails()
    assert error.startswith(f"o/n/{NAME} is not what the hub says it is (another checksum): ")
    assert machine.blobs() == []
    hub.repos["o/n"].tags.clear()
    assert content(machine.run()) == FILES


def test_a_file_spoilt_in_the_clients_cache_is_downloaded_anew(hub: HubServer, machine: Machine) -> None:
    root = Path(machine.run()["root"])
    (blob,) = machine.blobs()
    blob.write_bytes(PLAIN[:-1024])
    (root.parent / "entry.json").unlink()
    assert machine.run()["error"] == (
        f"o/n/{NAME} is not what the hub says it is ({len(PLAIN) - 1024:,} bytes of {len(PLAIN):,}): "
        "the download was removed, run it again"
    )
    assert content(machine.run()) == FILES


def test_a_mirror_without_hashes_is_worth_a_warning(hub: HubServer, machine: Machine) -> None:
    hub.repos["o/n"].tags[NAME] = "abc-5"
    first, second = machine.run(), machine.run()
    assert first["warnings"] == [f"the hub states no hash for o/n/{NAME}: it could not be verified"]
    assert facts(first) == facts(second)
    assert content(first) == FILES


@pytest.mark.parametrize(
    ("refusal", "expected"),
    [
        (
            (403, "GatedRepo"),
            "the dataset o/n is gated: accept its terms on its page on the hub, then log in with",
        ),
        (
            (401, "GatedRepo"),
            "the dataset o/n is gated: accept its terms on its page on the hub, then log in with",
        ),
        ((401, "RepoNotFound"), "the hub has no o/n, or it is private: check it, or log in with"),
        ((403, ""), "the hub refuses access to the dataset o/n (403): log in with"),
    ],
)
def test_no_access(hub: HubServer, machine: Machine, refusal: tuple[int, str], expected: str) -> None:
    hub.repos["o/n"].refusal = refusal
    error = machine.fails()
    assert error.startswith(expected)
    assert "`hf auth login` or set HF_TOKEN" in error


@pytest.mark.parametrize(
    ("spec", "default", "expected"),
    [
        ("hub:o/absent", None, "the hub has no o/absent, or it is private: check it"),
        ("hub:o/n@v9", None, "the dataset o/n has no revision 'v9': give a branch or commit after @"),
        (
            None,
            {"repo": "o/n", "filename": "no.tar"},
            "the dataset o/n has no file 'no.tar' at revision 'main'",
        ),
    ],
)
def test_what_is_not_there(machine: Machine, spec: str, default: dict[str, Any], expected: str) -> None:
    assert machine.fails(spec, default).startswith(expected)


def test_no_network_then_a_stale_copy(hub: HubServer, machine: Machine) -> None:
    with HubServer() as gone:
        nobody = gone.url
    error = machine.fails(HF_ENDPOINT=nobody)
    assert error.startswith("the dataset o/n cannot be downloaded, the hub cannot be reached")
    before = machine.run()
    after = machine.run(HF_ENDPOINT=nobody)
    assert after["warnings"] == [f"the hub cannot be reached: taking o/n as of the last run, {'c' * 40}"]
    assert facts(after) | {"warnings": []} == facts(before)


def test_offline_with_and_without_a_copy(hub: HubServer, machine: Machine) -> None:
    error = machine.fails(HF_HUB_OFFLINE="1")
    assert error.startswith(f"offline mode is on and {NAME} of the dataset o/n is not in the cache: unset")
    before, asked = machine.run(), len(hub.requests)
    assert facts(machine.run(HF_HUB_OFFLINE="1")) == facts(before)
    assert len(hub.requests) == asked


def test_offline_with_a_file_the_hubs_own_tool_fetched(hub: HubServer, machine: Machine) -> None:
    code = "import huggingface_hub as h, sys; h.hf_hub_download('o/n', sys.argv[1], repo_type='dataset')"
    env = os.environ | {"HF_ENDPOINT": hub.url, "HF_HUB_CACHE": str(machine.hub_cache), "NO_PROXY": "*"}
    subprocess.run([sys.executable, "-c", code, NAME], env=env, check=True, capture_output=True)
    result = machine.run(HF_HUB_OFFLINE="1")
    assert content(result) == FILES
    assert (result["revision"], result["warnings"]) == ("c" * 40, [])


def test_a_commit_is_pinned_and_not_asked_for_again(hub: HubServer, machine: Machine) -> None:
    first = machine.run(f"hub:o/n@{'c' * 40}")
    asked = len(hub.requests)
    assert facts(machine.run(f"hub:o/n@{'c' * 40}")) == facts(first)
    assert len(hub.requests) == asked


def test_a_branch_that_moved_is_followed(hub: HubServer, machine: Machine) -> None:
    machine.run()
    hub.repos["o/n"] = Repo({NAME: make_tar("w", {"new.avi": b"new"})}, commit="d" * 40)
    result = machine.run()
    assert content(result) == {"new.avi": b"new"}
    assert result["revision"] == "d" * 40


def test_choosing_the_archive_of_somebody_elses_repository(hub: HubServer, machine: Machine) -> None:
    hub.repos["x/one"] = Repo({"a.txt": b"", "videos.tar": PLAIN})
    hub.repos["x/two"] = Repo({"b.zip": b"", "a.tgz": b""})
    hub.repos["x/known"] = Repo({"b.zip": b"", NAME: PLAIN})
    assert machine.run("hub:x/two")["error"] == (
        "the dataset x/two should hold exactly one archive, it holds a.tgz, b.zip: "
        "download what you need and give its path or folder"
    )
    assert machine.run("hub:x/one")["name"] == "x/one/videos.tar"
    assert machine.run("hub:x/known")["name"] == f"x/known/{NAME}"


@pytest.mark.parametrize("known", [{"known_size": 5}, {"known_sha256": "0" * 64}])
def test_figures_at_second_hand_only_warn(machine: Machine, known: dict[str, Any]) -> None:
    result = machine.run(default={"repo": "o/n", "filename": NAME} | known)
    assert content(result) == FILES
    assert result["warnings"] == [f"o/n/{NAME} has changed since this converter was written: results may differ"]


def test_a_damaged_archive_that_is_what_the_hub_says(hub: HubServer, machine: Machine) -> None:
    hub.repos["o/n"].files[NAME] = PLAIN[:2000]
    assert machine.fails().startswith(f"o/n/{NAME} is no tar or zip archive, or is cut or damaged")
