"""The layouts the ucf101 converter reads: which clips it finds, in which split, and what it refuses."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest

from phi3v_converters.ucf101 import UCF101, UCF101Options
from phi3v_converters.ucf101_clips import Clip
from phi3v_converters.ucf101_layout import Layout, find_layout
from phi3v_data.convert.converter import Reject, Source
from phi3v_data.errors import UsageError
from tests.helpers import convert, make_video, read_lines, run, spread

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path


def layout(root: Path, **options: Any) -> Layout:
    return find_layout(root, UCF101Options(**options))


def paths(found: Iterable[Clip | Reject]) -> list[str]:
    return sorted(clip.path for clip in found if isinstance(clip, Clip))


def refused(found: Layout) -> dict[str, str]:
    """Return the code of every reject of a layout, by its path."""
    rejects = [clip for split in found.splits.values() for clip in split if isinstance(clip, Reject)]
    assert len({reject.source for reject in rejects}) == len(rejects)
    return {reject.source: reject.code for reject in rejects}


def groups_of(found: Layout) -> dict[str, set[str]]:
    return {
        name: {clip.group or clip.path for clip in split if isinstance(clip, Clip)}
        for name, split in found.splits.items()
    }


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("classes")
    for label in ("Run", "Jump"):
        spread(root, *(f"{label}/v_{label}_g{g:02d}_c{c:02d}.avi" for g in range(1, 21) for c in range(1, 4)))
    spread(root, "Pair/v_Pair_g01_c01.mov", "Pair/v_Pair_g02_c01.mov")
    spread(root, *(f"Trio/v_Trio_g{g:02d}_c01.webm" for g in range(3)))
    spread(root, "Lone/v_Lone_g01_c01.avi", "Lone/v_Lone_g01_c02.avi")
    return spread(root, "Free/a.mp4", "Free/b.mp4", "Free/c.mp4")


class TestClassFolders:
    """Anyone's own folder: `<Class>/…`, and the splits are carved."""

    def test_whole_groups_are_carved_and_every_class_keeps_some_for_training(self, folder: Path) -> None:
        found = layout(folder)
        assert list(found.splits) == ["train", "val", "test"]
        assert found.classes == ["Free", "Jump", "Lone", "Pair", "Run", "Trio"]
        groups = groups_of(found)
        assert not groups["train"] & groups["val"] | groups["train"] & groups["test"] | groups["val"] & groups["test"]
        count = {
            split: [sum(1 for group in names if group.startswith(f"{label}/")) for label in found.classes]
            for split, names in groups.items()
        }
        # of 20 groups a tenth is 2, then a tenth of 18; three groups always give one; two, or one, never do
        assert count["test"] == [1, 2, 0, 0, 2, 1]
        assert count["val"] == [0, 2, 0, 0, 2, 0]
        assert count["train"] == [2, 16, 1, 2, 16, 2]
        assert sum(len(paths(split)) for split in found.splits.values()) == 2 * 60 + 2 + 3 + 2 + 3

    def test_the_seed_alone_decides(self, folder: Path) -> None:
        first = layout(folder)
        assert layout(folder) == first
        other = layout(folder, seed=1)
        assert groups_of(other) != groups_of(first)
        assert {split: len(clips) for split, clips in other.splits.items()} == {
            split: len(clips) for split, clips in first.splits.items()
        }

    def test_fractions(self, folder: Path) -> None:
        only_train = layout(folder, val_fraction=0, test_fraction=0)
        assert list(only_train.splits) == ["train"]
        greedy = groups_of(layout(folder, test_fraction=0.99))
        for label in ("Free", "Jump", "Lone", "Pair", "Run", "Trio"):
            assert [group for group in greedy["train"] if group.startswith(f"{label}/")], label

    def test_a_new_group_moves_no_other_class(self, folder: Path, tmp_path: Path) -> None:
        names = [path.relative_to(folder).as_posix() for path in folder.rglob("*.*")]
        more = spread(tmp_path, *names, "Zoo/v_Zoo_g01_c01.avi", "Zoo/v_Zoo_g02_c01.avi", "Zoo/v_Zoo_g03_c01.avi")
        grown = layout(more)
        kept = {split: [path for path in paths(grown.splits[split]) if "Zoo" not in path] for split in grown.splits}
        assert kept == {split: paths(clips) for split, clips in layout(folder).splits.items()}

    def test_a_video_in_no_class_folder_is_rejected_not_dropped(self, tmp_path: Path) -> None:
        found = layout(spread(tmp_path, "A/a.avi", "B/b.avi", "stray.avi", "._stray.avi", "readme.txt"))
        assert refused(found) == {"stray.avi": "no_class"}

    def test_names_that_are_no_text_cost_their_clips_not_the_run(self, tmp_path: Path) -> None:
        bad = os.fsdecode(b"caf\xe9")
        root = tmp_path / "raw"
        clip = make_video(tmp_path / "clip.avi").read_bytes()
        try:
            spread(root, "A/good.avi", f"A/{bad}.avi", f"{bad}/x.avi", "B\nB/y.avi", content=clip)
        except OSError as error:
            pytest.skip(f"this file system holds no such names: {error}")
        convert(root, tmp_path / "out", code=1)
        rejects = {row["source"]: row["code"] for row in read_lines(tmp_path / "out" / "rejects.jsonl")}
        assert rejects == dict.fromkeys(["A/caf\\udce9.avi", "caf\\udce9/x.avi", "B\nB/y.avi"], "unsafe_name")
        (row,) = read_lines(tmp_path / "out" / "ucf101_train.jsonl")
        assert row["conversations"][0]["user"] == "Classify the video into one of the following classes: A."

    def test_no_videos(self, tmp_path: Path) -> None:
        spread(tmp_path, "A/._a.avi", "A/notes.txt", "__MACOSX/A/a.avi")
        with pytest.raises(UsageError, match=r"^no videos found in .*: expected \{train,val,test\}/<Class>/\*\.avi"):
            layout(tmp_path)


class TestSplits:
    def test_other_names_of_the_splits_and_a_wrapper(self, tmp_path: Path) -> None:
        root = spread(tmp_path, "set/Train/A/a.avi", "set/validation/A/b.avi", "set/TEST/A/c.avi", "set/readme.txt")
        found = layout(root)
        assert {name: paths(split) for name, split in found.splits.items()} == {
            "train": ["Train/A/a.avi"],
            "val": ["validation/A/b.avi"],
            "test": ["TEST/A/c.avi"],
        }
        assert found.base == "set"

    def test_a_split_that_is_absent_stays_absent(self, tmp_path: Path) -> None:
        found = layout(spread(tmp_path, "train/A/a.avi", "train/A/b.avi", "train/A/c.avi", "val/A/d.avi", "test/x.txt"))
        assert {name: len(split) for name, split in found.splits.items()} == {"train": 3, "val": 1}

    def test_videos_beside_the_splits_are_rejected_not_dropped(self, tmp_path: Path) -> None:
        found = layout(spread(tmp_path, "train/A/a.avi", "tset/A/b.avi", "stray.mp4", "docs/notes.txt"))
        assert refused(found) == {"tset/A/b.avi": "no_split", "stray.mp4": "no_split"}

    @pytest.mark.parametrize(
        ("name", "group"),
        [
            ("v_Rowing_g07_c02.avi", "Rowing/g07"),
            ("v_HandStandPushups_g25_c01.avi", "Rowing/g25"),
            ("sub/v_Rowing_g07_c02.mp4", "Rowing/g07"),
            ("v_Rowing_g07.avi", None),
            ("g07_c02_v_Rowing.avi", None),
            ("holiday.mov", None),
        ],
    )
    def test_groups(self, tmp_path: Path, name: str, group: str | None) -> None:
        (source,) = UCF101(UCF101Options(), spread(tmp_path, f"train/Rowing/{name}")).sources()["train"]
        assert isinstance(source, Source)
        assert (source.group, source.label, source.size) == (group, "Rowing", len(b"not looked at"))


CLASSES = ("ApplyEyeMakeup", "HandstandPushups", "YoYo")


def official_clip(label: str, group: int, number: int) -> str:
    stem = label.replace("HandstandPushups", "HandStandPushups")  # so it is in the real one
    return f"{label}/v_{stem}_g{group:02d}_c{number:02d}.avi"


@pytest.fixture(scope="module")
def official(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Seven groups to test on in fold 1, others in folds 2 and 3, as the real lists have it; 25 a class."""
    root = tmp_path_factory.mktemp("official")
    (root / "ucfTrainTestlist").mkdir()
    write_list(root, "classInd.txt", [f"{index} {label}" for index, label in enumerate(CLASSES, 1)])
    for fold in (1, 2, 3):
        test = range(7 * fold - 6, 7 * fold + 1)
        rows = [(label, group, number) for label in CLASSES for group in range(1, 26) for number in (1, 2)]
        train_rows = [f"{official_clip(*row)} {CLASSES.index(row[0]) + 1}" for row in rows if row[1] not in test]
        write_list(root, f"trainlist{fold:02d}.txt", train_rows)
        write_list(root, f"testlist{fold:02d}.txt", [official_clip(*row) for row in rows if row[1] in test])
    return spread(root, *(f"UCF-101/{official_clip(*row)}" for row in rows), "UCF-101/.DS_Store", "readme.txt")


def write_list(root: Path, name: str, lines: list[str]) -> None:
    (root / "ucfTrainTestlist" / name).write_bytes("".join(f"{line}\r\n" for line in lines).encode())


class TestClasses:
    @pytest.fixture
    def folder_of_three(self, tmp_path: Path) -> Path:
        names = ("train/Alpha/a.avi", "train/Bêta/b.mkv", "train/日本/c.MP4", "test/日本/d.avi", "test/Bêta/e.avi")
        return spread(tmp_path / "raw", *names)

    def test_classes_from_a_file_keep_its_order(self, folder_of_three: Path, tmp_path: Path) -> None:
        names = tmp_path / "classes.txt"
        names.write_bytes("\ufeffBêta\r\n\r\n  Alpha \r\n".encode())  # as Windows' editor saves it
        found = layout(folder_of_three, classes=str(names))
        assert found.classes == ["Bêta", "Alpha"]
        assert paths(found.splits["train"]) == ["train/Alpha/a.avi", "train/Bêta/b.mkv"]
        assert paths(found.splits["test"]) == ["test/Bêta/e.avi"]

    @pytest.mark.parametrize(
        ("classes", "says"),
        [
            ("Alpah,Bêta", "--classes: no clip of class 'Alpah'; did you mean 'Alpha'?"),
            ("Zebra", "--classes: no clip of class 'Zebra'; there are: Alpha, Bêta, 日本"),
            ("Alpha,Bêta,Alpha", "--classes names a class twice"),
        ],
    )
    def test_classes_that_make_no_sense(self, folder_of_three: Path, classes: str, says: str) -> None:
        with pytest.raises(UsageError) as error:
            layout(folder_of_three, classes=classes)
        assert str(error.value) == says


class TestOfficial:
    """The full UCF-101: class folders beside the official lists, whose lines end in CR LF."""

    @pytest.mark.parametrize("fold", [1, 2, 3])
    def test_a_fold(self, official: Path, fold: int) -> None:
        found = layout(official, fold=fold)
        assert (found.base, found.classes, refused(found)) == ("UCF-101", list(CLASSES), {})
        assert list(found.splits) == ["train", "val", "test"]
        groups = groups_of(found)
        test = {f"{label}/g{group:02d}" for label in CLASSES for group in range(7 * fold - 6, 7 * fold + 1)}
        assert groups["test"] == test
        assert len(groups["val"]) == 2 * 3  # a tenth of 18 groups, for each class
        assert len(groups["train"] | groups["val"]) == 18 * 3
        assert not groups["train"] & groups["val"]
        assert len(paths(found.splits["test"])) == 7 * 2 * 3
        assert sum(len(split) for split in found.splits.values()) == 25 * 2 * 3

    def test_it_may_be_named_by_either_folder(self, official: Path) -> None:
        whole, inner = layout(official), layout(official / "UCF-101")
        assert inner.base == "."
        assert (inner.splits, inner.classes) == (whole.splits, whole.classes)
        assert layout(official, seed=3).splits != whole.splits
        listed = UCF101(UCF101Options(), official).sources()
        first = min(listed["test"], key=lambda source: source.path)  # type: ignore[union-attr]
        assert isinstance(first, Source)
        assert (first.path, first.name) == (
            official_clip("ApplyEyeMakeup", 1, 1),
            "ApplyEyeMakeup/v_ApplyEyeMakeup_g01_c01",
        )

    def test_a_folder_spelled_as_its_files_takes_the_class_of_the_lists(self, official: Path, tmp_path: Path) -> None:
        names = [path.relative_to(official).as_posix() for path in official.rglob("*.avi")]
        spread(tmp_path, *(name.replace("HandstandPushups/", "HandStandPushups/") for name in names))
        (tmp_path / "ucfTrainTestlist").symlink_to(official / "ucfTrainTestlist")
        found = layout(tmp_path)
        assert (found.classes, refused(found)) == (list(CLASSES), {})
        push_ups = [clip for clip in found.splits["test"] if isinstance(clip, Clip) and "Hand" in clip.path]
        assert {(clip.label, clip.group) for clip in push_ups} == {
            ("HandstandPushups", f"HandstandPushups/g{group:02d}") for group in range(1, 8)
        }
        assert all((tmp_path / found.base / clip.path).is_file() for clip in push_ups)

    def test_what_the_lists_and_the_disk_do_not_share_is_rejected(self, official: Path, tmp_path: Path) -> None:
        gone = {official_clip("YoYo", 2, 1): "missing", official_clip("ApplyEyeMakeup", 20, 2): "missing"}
        names = {path.relative_to(official).as_posix() for path in official.rglob("*.avi")}
        spread(tmp_path, *(names - {f"UCF-101/{name}" for name in gone}))
        more = {"YoYo/v_YoYo_g26_c01.avi": "unlisted", "Juggling/v_Juggling_g01_c01.avi": "unlisted"}
        more["YOYO.avi"] = "no_class"
        spread(tmp_path / "UCF-101", *more)
        (tmp_path / "ucfTrainTestlist").symlink_to(official / "ucfTrainTestlist")
        assert refused(layout(tmp_path)) == gone | more
        rejects = [clip for split in layout(tmp_path).splits.values() for clip in split if isinstance(clip, Reject)]
        by_code = {reject.code: reject.split for reject in rejects if "g02" in reject.source or "g26" in reject.source}
        assert by_code == {"missing": "test", "unlisted": None}
        some = layout(tmp_path, classes="ApplyEyeMakeup,HandstandPushups")
        assert refused(some) == {official_clip("ApplyEyeMakeup", 20, 2): "missing", "YOYO.avi": "no_class"}

    def test_files_that_differ_in_case_alone_are_all_accounted_for(self, official: Path, tmp_path: Path) -> None:
        names = [path.relative_to(official).as_posix() for path in official.rglob("*.avi")]
        twin = official_clip("YoYo", 1, 1).replace("v_", "V_")
        spread(tmp_path, *names)
        if (tmp_path / "UCF-101" / twin).exists():
            pytest.skip("this file system is blind to case")
        spread(tmp_path / "UCF-101", twin)
        (tmp_path / "ucfTrainTestlist").symlink_to(official / "ucfTrainTestlist")
        assert refused(layout(tmp_path)) == {twin: "unlisted"}

    def test_lists_without_the_fold_are_a_usage_error(self, tmp_path: Path) -> None:
        spread(tmp_path, "UCF-101/A/v_A_g01_c01.avi", "ucfTrainTestlist/readme.txt")
        with pytest.raises(UsageError, match="the official lists are needed beside the full UCF-101"):
            layout(tmp_path)

    def test_it_converts(self, official: Path, tmp_path: Path) -> None:
        names = [path.relative_to(official).as_posix() for path in official.rglob("*_c01.avi")]
        raw, out = tmp_path / "raw", tmp_path / "out"
        (raw / "UCF-101").mkdir(parents=True)
        one = make_video(tmp_path / "one.avi", count=8).read_bytes()
        spread(raw, *names, content=one)
        (raw / "ucfTrainTestlist").symlink_to(official / "ucfTrainTestlist")
        flags = ("--classes", "YoYo,HandstandPushups", "--fold", "2", "--limit", "2", "--num_frames", "1")
        convert(raw / "UCF-101", out, *flags, "--max_rejects", "50")
        rows = [row for split in ("train", "val", "test") for row in read_lines(out / f"ucf101_{split}.jsonl")]
        assert [row["id"].partition("-")[0] for row in rows] == ["train"] * 2 + ["val"] * 2 + ["test"] * 2
        assert rows[4] == {
            "id": "test-0000000004",
            "source": "ucf101",
            "group": "HandstandPushups/g08",
            "conversations": [
                {
                    "images": ["test/HandstandPushups/v_HandStandPushups_g08_c01.0.jpg"],
                    "user": "Classify the video into one of the following classes: YoYo, HandstandPushups.",
                    "assistant": "HandstandPushups",
                }
            ],
        }
        assert {row["code"] for row in read_lines(out / "rejects.jsonl")} == {"missing"}  # every second clip
        assert len(read_lines(out / "rejects.jsonl")) == 50
        run("validate", out)


class TestFoldersAroundTheData:
    def test_folders_without_videos_are_no_classes(self, tmp_path: Path) -> None:
        spread(tmp_path / "UCF101_subset", "train/A/a.avi", "train/B/b.avi", "test/A/c.avi")
        (tmp_path / "out" / "images").mkdir(parents=True)
        found = layout(tmp_path)
        assert (found.base, found.classes, list(found.splits)) == ("UCF101_subset", ["A", "B"], ["train", "test"])

    def test_folders_that_hold_splits_are_no_classes(self, tmp_path: Path) -> None:
        spread(tmp_path, "UCF101_subset/train/A/a.avi", "extra/b.avi")
        with pytest.raises(UsageError, match=r"UCF101_subset holds splits, .* give --source"):
            layout(tmp_path)

    def test_a_link_to_a_folder_is_not_followed_inside_a_class(self, tmp_path: Path) -> None:
        spread(tmp_path, "A/a.avi", "B/b.avi")
        (tmp_path / "A" / "loop").symlink_to(tmp_path / "A")
        assert paths(clip for split in layout(tmp_path).splits.values() for clip in split) == ["A/a.avi", "B/b.avi"]


class TestOptionsThatWouldChangeNothing:
    @pytest.mark.parametrize("option", [{"fold": 2}, {"val_fraction": 0.2}, {"test_fraction": 0.2}, {"seed": 3}])
    def test_with_splits(self, option: dict[str, Any], tmp_path: Path) -> None:
        spread(tmp_path, "train/A/a.avi", "test/A/b.avi")
        with pytest.raises(UsageError, match=f"--{next(iter(option))} has no meaning for this source"):
            layout(tmp_path, **option)

    def test_a_fold_without_lists(self, folder: Path) -> None:
        with pytest.raises(UsageError, match="there is no ucfTrainTestlist/"):
            layout(folder, fold=2)
