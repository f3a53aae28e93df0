"""The engine, through the command line, with a plug-in whose sources say how to behave."""

from __future__ import annotations

import hashlib
import json
import os
import random
import re
import resource
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from phi3v_data.convert.converter import Source
from phi3v_data.convert.job import Claims, Job
from phi3v_data.convert.plan import write_plan
from phi3v_data.convert.worker import PartDone, convert_parts

PLUGIN = Path(__file__).parents[1] / "plugins" / "odd"
ENVIRONMENT = {**os.environ, "PYTHONPATH": os.pathsep.join([str(PLUGIN), *sys.path])}


def make_source(folder: Path, **splits: dict[str, str]) -> Path:
    """Write one text file per source: split → name → how to behave."""
    for split, sources in splits.items():
        (folder / split).mkdir(parents=True)
        for name, word in sources.items():
            (folder / split / f"{name}.txt").write_text(word)
    return folder


def command(source: Path, out: Path, *flags: str) -> list[str]:
    words = ["-m", "phi3v_data", "convert", "odd", "--source", str(source), "--out_dir", str(out)]
    return [sys.executable, *words, *flags]


def convert(source: Path, out: Path, *flags: str, code: int = 0) -> subprocess.CompletedProcess[str]:
    """Run the converter to its end and hold it to its exit code; no traceback ever reaches a user."""
    done = subprocess.run(
        command(source, out, *flags), env=ENVIRONMENT, capture_output=True, text=True, timeout=120, check=False
    )
    assert "Traceback" not in done.stderr, done.stderr
    assert done.returncode == code, (done.returncode, done.stdout, done.stderr)
    return done


def tree(folder: Path) -> dict[str, str]:
    """Return the hash of every file below a folder."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def records(out: Path, split: str = "train") -> list[dict]:
    return [json.loads(line) for line in (out / f"odd_{split}.jsonl").read_text().splitlines()]


def parts_done(out: Path) -> int:
    return sum((out / f".convert/parts/part-{number:05d}").exists() for number in range(9))


def rejects(out: Path) -> dict[str, str]:
    return {line["source"]: line["code"] for line in map(json.loads, (out / "rejects.jsonl").read_text().splitlines())}


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """120 sources in two splits: eight parts."""
    folder = tmp_path_factory.mktemp("many")
    words = {f"s{number:03d}": "two" if number % 7 == 0 else "ok" for number in range(100)}
    return make_source(folder / "source", train=words, test={f"t{number:03d}": "ok" for number in range(20)})


@pytest.fixture(scope="module")
def expected(many: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The bytes of an uninterrupted run."""
    out = tmp_path_factory.mktemp("expected") / "out"
    convert(many, out, "--workers", "1")
    return tree(out)


def test_any_number_of_workers_gives_the_same_bytes(many: Path, expected: dict[str, str], tmp_path: Path) -> None:
    assert {"manifest.json", "odd_train.jsonl", "odd_test.jsonl", "contact_sheet.jpg"} <= expected.keys()
    for workers in ("2", "3"):
        convert(many, tmp_path / workers, "--workers", workers)
        assert tree(tmp_path / workers) == expected


def test_the_same_data_elsewhere_gives_the_same_bytes(many: Path, expected: dict[str, str], tmp_path: Path) -> None:
    moved = shutil.copytree(many, tmp_path / "moved")
    convert(moved, tmp_path / "out")
    assert tree(tmp_path / "out") == expected


@pytest.mark.parametrize("seed", range(3))
def test_killed_and_run_again_gives_the_same_bytes(
    seed: int, many: Path, expected: dict[str, str], tmp_path: Path
) -> None:
    """Kill -9 the whole process group as soon as so many parts are done, twice, then let it end."""
    out = tmp_path / "out"
    for parts in sorted(random.Random(seed).choices(range(8), k=2)):
        process = subprocess.Popen(
            command(many, out, "--workers", "2"), env=ENVIRONMENT, start_new_session=True, stdout=subprocess.DEVNULL
        )
        while process.poll() is None and parts_done(out) < parts:
            pass
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    convert(many, out, "--workers", "2")
    assert tree(out) == expected


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_stops_cleanly_and_says_how_to_go_on(number: int, code: int, tmp_path: Path) -> None:
    source = make_source(tmp_path / "source", train={**{f"a{n:02d}": "ok" for n in range(16)}, "b": "hang"})
    process = subprocess.Popen(
        command(source, tmp_path / "out", "--workers", "1"), env=ENVIRONMENT, stderr=subprocess.PIPE, text=True
    )
    while not (tmp_path / "out/.convert/parts/part-00000").exists():
        assert process.poll() is None
    process.send_signal(number)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == code
    assert re.search(r"\d+ of 17 sources are done: run the same command again to go on\.", stderr)
    assert "Traceback" not in stderr
    (source / "train/b.txt").write_text("okay")  # as long as before: the plan is the same
    convert(source, tmp_path / "out")
    assert len(records(tmp_path / "out")) == 17


def test_finished_parts_are_not_converted_again(tmp_path: Path) -> None:
    source = make_source(tmp_path / "source", train={**{f"a{n:02d}": "ok" for n in range(16)}, "b": "kill", "c": "ok"})
    out = tmp_path / "out"
    process = subprocess.Popen(command(source, out, "--workers", "1"), env=ENVIRONMENT, stderr=subprocess.DEVNULL)
    while not (out / ".convert/parts/part-00000").exists():
        assert process.poll() is None
    process.kill()
    process.wait()
    stamp = (out / "images/train/a00.0.jpg").stat().st_mtime_ns
    convert(source, out, code=1)
    assert (out / "images/train/a00.0.jpg").stat().st_mtime_ns == stamp


def test_every_kind_of_bad_source_is_a_reject_and_the_rest_is_whole(tmp_path: Path) -> None:
    words = ("ok", "kill", "raise", "refuse", "wrong", "noimage", "nothing", "hang", "two", "exit", "data", "tiff")
    source = make_source(tmp_path / "source", train=dict(zip("abcdefghijkl", words, strict=True)), val={"z": "ok"})
    out = tmp_path / "out"
    done = convert(source, out, "--workers", "2", "--timeout", "2", code=1)
    assert rejects(out) == {
        "train/b.txt": "worker_died",
        "train/c.txt": "converter_error",
        "train/d.txt": "too_odd",
        "train/e.txt": "invalid_record",
        "train/f.txt": "invalid_image",
        "train/g.txt": "no_examples",
        "train/h.txt": "worker_died",
        "train/j.txt": "converter_error",
        "train/k.txt": "converter_error",
        "train/l.txt": "invalid_image",
    }
    assert "10 rejected" in done.stderr
    assert [record["id"] for record in records(out)] == ["train-0000000000", "train-0000000008-0", "train-0000000008-1"]
    assert records(out, "val")[0]["id"] == "val-0000000012"
    first, second = records(out)[1:]
    assert first["conversations"][0]["images"] == second["conversations"][0]["images"] == ["train/i.0.jpg"]
    manifest = json.loads((out / "manifest.json").read_text())
    assert manifest["rejects"] == 10
    assert [file["images"] for file in manifest["files"]] == [2, 1]
    assert not (out / ".convert").exists()
    convert(source, out, "--max_rejects", "10")
    convert(source, out, "--max_rejects", "9", code=1)


def test_a_complete_dataset_is_left_alone_and_a_damaged_one_is_mended(
    many: Path, expected: dict[str, str], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    convert(many, out)
    stamps = {path: path.stat().st_mtime_ns for path in out.rglob("*")}
    assert "Nothing to do" in convert(many, out).stdout
    assert stamps == {path: path.stat().st_mtime_ns for path in out.rglob("*")}
    (out / "images/train/s005.0.jpg").unlink()
    (out / "images/test/t003.0.jpg").write_bytes(b"")
    convert(many, out)
    assert tree(out) == expected


def test_an_image_lost_in_a_power_cut_is_converted_again(many: Path, expected: dict[str, str], tmp_path: Path) -> None:
    out = tmp_path / "out"
    process = subprocess.Popen(
        command(many, out, "--workers", "1"), env=ENVIRONMENT, start_new_session=True, stdout=subprocess.DEVNULL
    )
    while not (out / ".convert/parts/part-00002").exists():
        assert process.poll() is None
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    (out / "images/train/s001.0.jpg").write_bytes(b"")
    convert(many, out)
    assert tree(out) == expected


def test_another_plan_in_the_same_folder_is_refused(tmp_path: Path) -> None:
    source = make_source(tmp_path / "source", train={"a": "ok", "b": "ok"})
    out = tmp_path / "out"
    convert(source, out)
    before = tree(out)
    assert "limit None, now 1" in convert(source, out, "--limit", "1", code=2).stderr
    for name in ("b", "c"):  # a source changed, then one more
        (source / f"train/{name}.txt").write_text("okay")
    assert "made from other source files" in convert(source, out, code=2).stderr
    assert tree(out) == before
    (out / "notes_mine.jsonl").write_text("mine")
    convert(tmp_path / "nowhere", out, "--overwrite", code=2)
    convert(make_source(tmp_path / "empty", train={}), out, "--overwrite", code=2)
    assert {"notes_mine.jsonl", *before} == tree(out).keys()  # a plan that fails costs nothing
    convert(source, out, "--overwrite", "--limit", "1")
    assert (out / "notes_mine.jsonl").exists()
    assert sorted(path.name for path in (out / "images/train").iterdir()) == ["a.0.jpg"]
    assert json.loads((out / "manifest.json").read_text())["converter"]["limit"] == 1


def test_a_folder_that_is_not_ours_is_never_touched(tmp_path: Path) -> None:
    source = make_source(tmp_path / "source", train={"a": "ok"})
    out = tmp_path / "out"
    (out / "images").mkdir(parents=True)
    (out / "images/holiday.jpg").write_bytes(b"mine")
    for flags in ((), ("--overwrite",)):
        assert "is not empty and holds no dataset" in convert(source, out, *flags, code=2).stderr
    assert tree(out) == {"images/holiday.jpg": hashlib.sha256(b"mine").hexdigest()}


def test_a_failed_plan_leaves_nothing_behind(tmp_path: Path) -> None:
    source = make_source(tmp_path / "source", train={})
    assert "found nothing to convert" in convert(source, tmp_path / "out", code=2).stderr
    assert not (tmp_path / "out").exists()


def test_a_second_run_in_the_same_folder_is_refused(tmp_path: Path) -> None:
    source = make_source(tmp_path / "source", train={"a": "hang"})
    out = tmp_path / "out"
    first = subprocess.Popen(command(source, out), env=ENVIRONMENT, stderr=subprocess.DEVNULL)
    while not (out / ".convert/job.json").exists():
        assert first.poll() is None
    assert "another run is converting" in convert(source, out, code=3).stderr
    first.terminate()
    assert first.wait(timeout=60) == 143


def test_workers_share_parts_by_claims_alone(many: Path, tmp_path: Path) -> None:
    """Two workers that know nothing of each other take every part once between them."""
    out = tmp_path / "out"
    process = subprocess.Popen(
        command(many, out, "--workers", "1"), env=ENVIRONMENT, start_new_session=True, stdout=subprocess.DEVNULL
    )
    while not (out / ".convert/job.json").exists():
        assert process.poll() is None
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    code = (
        "import sys; from pathlib import Path; from phi3v_data.convert.worker import PartDone, convert_parts; "
        "convert_parts(Path(sys.argv[1]), range(9), lambda message: isinstance(message, PartDone) and print('done'))"
    )
    words = [sys.executable, "-c", code, str(out)]
    done = parts_done(out)
    both = [subprocess.Popen(words, env=ENVIRONMENT, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    reports = [worker.communicate(timeout=60)[0].split() for worker in both]
    assert [worker.returncode for worker in both] == [0, 0]
    assert len(reports[0]) + len(reports[1]) == 9 - done


def test_a_claim_ends_with_its_process(tmp_path: Path) -> None:
    code = (
        "import os, sys; from pathlib import Path; from phi3v_data.convert.job import Claims\n"
        "with Claims(Path(sys.argv[1])).claim(7) as ours: print(ours, flush=True); sys.stdin.read()"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path / "claims")],
        env=ENVIRONMENT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert holder.stdout is not None and holder.stdout.readline() == "True\n"
    claims = Claims(tmp_path / "claims")
    with claims.claim(7) as ours, claims.claim(8) as other:
        assert (ours, other) == (False, True)
    holder.kill()
    holder.communicate()
    with claims.claim(7) as ours:
        assert ours
    claims.close()


def test_names_that_collide_or_leave_the_folder_are_rejects(tmp_path: Path) -> None:
    source = make_source(tmp_path / "source", train={"a": "ok", "A": "ok", "b\\c": "ok", "d": "ok"})
    (source / "train/d.md").write_text("ok")
    for suffix in (".txt", ".rejected"):
        Path(os.fsdecode(os.fsencode(source) + b"/train/bad\xff" + suffix.encode())).write_text("ok")
    out = tmp_path / "out"
    convert(source, out, "--workers", "2", code=1)
    assert rejects(out) == {
        "train/a.txt": "duplicate_output",
        "train/d.txt": "duplicate_output",
        "train/b\\c.txt": "unsafe_name",
        "train/bad\\udcff.txt": "unsafe_name",
        "train/bad\\udcff.rejected": "listed",
    }
    assert [record["conversations"][0]["user"] for record in records(out)] == ["A", "d"]


def test_a_full_disk_is_one_sentence_and_the_next_run_goes_on(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """A file system of four megabytes where one can be mounted; else a limit on the size of any file."""
    source = make_source(tmp_path / "source", train={f"a{n}": "big" for n in range(8)})
    small = tmp_path / "small"
    small.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(small)]
    mounted = subprocess.run(mount, capture_output=True, check=False).returncode == 0
    if mounted:
        request.addfinalizer(lambda: subprocess.run(["umount", "-l", str(small)], check=True))
        done = convert(source, small / "out", code=3)
    else:
        limit = 1 << 20

        def lower() -> None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))

        done = subprocess.run(
            command(source, small / "out"), env=ENVIRONMENT, capture_output=True, text=True, preexec_fn=lower,
            check=False,
        )  # fmt: skip
        assert done.returncode == 3
    assert len(done.stderr.strip().splitlines()) == 1
    assert f"no space left for {small / 'out'}: free some space and run the same command again" in done.stderr
    assert not list((small / "out").rglob("*.jpg"))
    assert not list((small / "out").glob("*.jsonl*"))
    if mounted:
        subprocess.run(["mount", "-o", "remount,size=64m", str(small)], check=True)
    convert(source, small / "out")
    assert len(records(small / "out")) == 8


def test_no_space_for_the_plan_is_one_sentence_too(tmp_path: Path) -> None:
    source = make_source(tmp_path / "source", train={"a": "ok"})

    def lower() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, resource.RLIM_INFINITY))

    done = subprocess.run(
        command(source, tmp_path / "out"), env=ENVIRONMENT, capture_output=True, text=True, preexec_fn=lower,
        check=False,
    )  # fmt: skip
    assert done.returncode == 3
    assert done.stderr.startswith("Error: the plan cannot be written") and done.stderr.count("\n") == 1


def test_the_folder_is_all_that_a_worker_needs(many: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What an executor on other machines would call."""
    process = subprocess.Popen(
        command(many, tmp_path / "out", "--workers", "1"), env=ENVIRONMENT, stdout=subprocess.DEVNULL
    )
    while not (tmp_path / "out/.convert/job.json").exists():
        assert process.poll() is None
    process.kill()
    process.wait()
    monkeypatch.syspath_prepend(str(PLUGIN))
    job = Job(tmp_path / "out")
    assert job.converter.name == "odd"
    assert job.plan.splits() == {"train": 100, "test": 20}
    messages: list[object] = []
    convert_parts(tmp_path / "out", range(len(job.plan.parts())), messages.append)
    job.plan.close()
    assert sum(message.sources for message in messages if isinstance(message, PartDone)) >= 100


def test_nothing_converted_says_so(tmp_path: Path) -> None:
    source = make_source(tmp_path / "source", train={"a": "refuse"})
    done = convert(source, tmp_path / "out", code=1)
    assert "Nothing was converted: every source was rejected." in done.stdout
    assert "1 rejected" in done.stderr


def test_an_option_with_a_taken_name_is_one_sentence(tmp_path: Path) -> None:
    words = [sys.executable, "-m", "phi3v_data", "convert", "greedy", "--help"]
    done = subprocess.run(words, env=ENVIRONMENT, capture_output=True, text=True, check=False)
    assert done.returncode == 3
    assert done.stderr == (
        "Error: the converter 'greedy' has an option 'workers', which every conversion has: rename it\n"
    )


def test_an_image_that_does_not_decode_spoils_no_contact_sheet(tmp_path: Path) -> None:
    source = make_source(tmp_path / "source", train={"a": "broken", "b": "ok"})
    convert(source, tmp_path / "out")
    assert (tmp_path / "out/contact_sheet.jpg").stat().st_size > 1000


def test_a_stopped_run_leaves_no_image_of_an_unfinished_part(tmp_path: Path) -> None:
    source = make_source(tmp_path / "source", train={"a": "ok", "b": "hang"})
    out = tmp_path / "out"
    process = subprocess.Popen(command(source, out), env=ENVIRONMENT, stderr=subprocess.DEVNULL)
    while not (out / "images/train/a.0.jpg").exists():
        assert process.poll() is None
    process.terminate()
    assert process.wait(timeout=60) == 143
    assert not list(out.rglob("*.jpg"))


def test_workers_end_with_their_parent(tmp_path: Path) -> None:
    """Kill -9 of the parent alone: a worker that hangs lets go of its part, and the next run converts it."""
    source = make_source(tmp_path / "source", train={"a": "ok", "b": "hang"})
    out = tmp_path / "out"
    process = subprocess.Popen(command(source, out), env=ENVIRONMENT, stderr=subprocess.DEVNULL)
    while not (out / "images/train/a.0.jpg").exists():
        assert process.poll() is None
    process.kill()
    process.wait()
    (source / "train/b.txt").write_text("okay")
    convert(source, out)
    assert len(records(out)) == 2


def test_what_a_converter_prints_and_a_tuple_do_no_harm(tmp_path: Path) -> None:
    source = make_source(tmp_path / "source", train={"a": "print", "b": "tuple"})
    done = convert(source, tmp_path / "out", "--format", "json")
    assert json.loads(done.stdout)["manifest"]["files"][0]["records"] == 2
    assert "words" in done.stderr
    assert records(tmp_path / "out")[1]["conversations"][0]["answers"] == ["x"]


def test_what_is_listed_besides_the_path_is_part_of_the_plan(tmp_path: Path) -> None:
    def digest(number: int, **facts: object) -> str:
        source = Source(**{"path": "a", "name": "a", "size": 1, **facts})
        return write_plan(tmp_path / f"{number}.sqlite", {"train": [source]})[0]

    facts: list[dict[str, object]] = [{}, {"data": {"x": 1}}, {"label": "x"}, {"group": "x"}, {"name": "b"}]
    assert len({digest(number, **some) for number, some in enumerate(facts)}) == len(facts)


def test_rejects_of_an_earlier_run_do_not_stay(tmp_path: Path) -> None:
    source = make_source(tmp_path / "source", train={"a": "ok", "b": "refuse"}, val={"c": "ok"})
    out = tmp_path / "out"
    convert(source, out, code=1)
    (source / "train/b.txt").write_text("okayss")  # as long as "refuse": the plan is the same
    (out / "images/train/a.0.jpg").unlink()
    convert(source, out)
    assert not (out / "rejects.jsonl").exists()
