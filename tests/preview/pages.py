"""Pages for a browser to open, put together from made-up records as the payload of the template is agreed."""

from __future__ import annotations

import base64
import colorsys
import io
import json
from typing import TYPE_CHECKING, Any

from PIL import Image, ImageDraw

from phi3v_data.preview.template import fill_template

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

BLOCK = 100
"""Records in a block of data."""
SCRIPT = "<script>window.__pwned = 1; alert(1)</script>"
BREAKOUT = '"><img src=x onerror="window.__pwned = 1">'
LONG = "The 50,000 characters of this answer go on and on. " * 981
CODES: list[dict[str, Any]] = [
    {"code": "E401", "slug": "missing-image", "severity": "error", "hint": "Put the file there."},
    {"code": "E404", "slug": "truncated-image", "severity": "error", "hint": "Fetch the file again."},
    {"code": "W214", "slug": "very-long-answer", "severity": "warning", "hint": "Is it meant to be this long?"},
    {"code": "E101", "slug": "not-json", "severity": "error", "hint": "Write one JSON object a line."},
]


def assemble(folder: Path, facts: dict[str, Any], entries: Sequence[tuple[dict[str, Any], str]]) -> Path:
    """Write a page and return its path.

    Args:
        folder: Where page.html goes.
        facts: The object of the first block.
        entries: Each record with the base64 of its strip, "" where it has none.
    """
    before, after = fill_template(facts["title"])
    path = folder / "page.html"
    path.write_bytes(before + _blocks(facts, entries).encode() + after)
    return path


def _blocks(facts: dict[str, Any], entries: Sequence[tuple[dict[str, Any], str]]) -> str:
    lines = [f'<script type="application/json" id="facts">{_escaped(facts)}</script>']
    for start in range(0, len(entries), BLOCK):
        block = entries[start : start + BLOCK]
        data = _escaped([record for record, _ in block])
        strips = "\n".join(strip for _, strip in block)
        lines.append(f'<script type="application/json" class="records">{data}</script>')
        lines.append(f'<script type="text/plain" class="strips">{strips}</script>')
    return "\n".join(lines)


def _escaped(data: object) -> str:
    text = json.dumps(data, ensure_ascii=False)
    for char in "<>&\u2028\u2029":
        text = text.replace(char, f"\\u{ord(char):04x}")
    return text


def facts_of(records: Sequence[dict[str, Any]], **changes: Any) -> dict[str, Any]:
    """Return the facts about records, with two splits, one of them empty, unless changed."""
    facts: dict[str, Any] = {
        "title": "A made-up dataset",
        "data": "build/dataset",
        "made_by": "phi3v-data 0.1.0",
        "records": len(records),
        "shown": len(records),
        "sampled": False,
        "notes": [],
        "splits": [
            {"name": "train", "records": len(records), "shown": len(records)},
            {"name": "test", "records": 0, "shown": 0},
        ],
        "classes": [],
        "findings": None,
        "filter": "all",
        "tokens": "exact",
        "max_length": 4096,
    }
    return facts | changes


def record_of(
    i: int, user: str = "What is shown?", assistant: str | None = "A scene.", **changes: Any
) -> dict[str, Any]:
    """Return a record of one turn without images, unless changed; `images` are counted to its first turn."""
    images = changes.get("images", [])
    turn: dict[str, Any] = {"user": user, "images": len(images)}
    if assistant is not None:
        turn["assistant"] = assistant
    record: dict[str, Any] = {
        "i": i,
        "id": f"train-{i:010}",
        "split": 0,
        "file": "made_train.jsonl",
        "line": i + 1,
        "turns": [turn],
        "images": images,
        "strip": None,
        "tokens": 100 + i % 700,
        "class": None,
        "findings": [],
    }
    return record | changes


def pictures(
    seed: int, sizes: Sequence[tuple[int, int]], height: int, folder: str = "train"
) -> tuple[dict[str, Any], str]:
    """Draw scenes side by side.

    Args:
        seed: Chooses the colours.
        sizes: Width and height of each image, in pixels.
        height: The height of the strip, in pixels.
        folder: What the images' paths begin with.

    Returns:
        The fields `images` and `strip` of a record, and the strip's base64.
    """
    widths = [max(1, round(width * height / tall)) for width, tall in sizes]
    strip = Image.new("RGB", (sum(widths) + len(widths) - 1, height))
    images, left = [], 0
    for index, ((width, tall), cell) in enumerate(zip(sizes, widths, strict=True)):
        strip.paste(_scene(seed, index, (cell, height)), (left, 0))
        images.append({"path": f"{folder}/scene-{seed:05}.{index}.jpg", "w": width, "h": tall, "x": left, "cw": cell})
        left += cell + 1
    buffer = io.BytesIO()
    strip.save(buffer, "WEBP", quality=25, method=4)
    fields = {"images": images, "strip": {"w": strip.width, "h": height}}
    return fields, base64.b64encode(buffer.getvalue()).decode()


def _scene(seed: int, index: int, size: tuple[int, int]) -> Image.Image:
    """Return a landscape under a sun that wanders from frame to frame; tall ones are pages of text."""
    width, height = size
    hue = seed * 0.61803 % 1

    def colour(lightness: float, saturation: float, shift: float = 0.0) -> tuple[int, ...]:
        return tuple(round(255 * part) for part in colorsys.hls_to_rgb((hue + shift) % 1, lightness, saturation))

    if height > width:
        page = Image.new("RGB", size, "#fbfaf6")
        draw = ImageDraw.Draw(page)
        for row in range(height // 12, height * 11 // 12, max(3, height // 28)):
            ink = width * (0.45 + 0.4 * ((row * 7919 + seed) % 10) / 10)
            draw.line((width // 9, row, ink, row), fill="#55524b", width=max(1, height // 110))
        return page
    scene = Image.new("RGB", size, colour(0.78, 0.45))
    draw = ImageDraw.Draw(scene)
    radius, middle = height * 0.13, width * (0.15 + 0.09 * index)
    draw.ellipse(
        (middle - radius, height * 0.2, middle + radius, height * 0.2 + 2 * radius), fill=colour(0.94, 0.8, 0.1)
    )
    for depth, (lightness, level) in enumerate(((0.55, 0.55), (0.4, 0.7), (0.26, 0.84))):
        points = [
            (x, height * (level - 0.1 * abs(((x / width * 3 + depth * 0.4 + hue * 3) % 1) * 2 - 1)))
            for x in range(width + 1)
        ]
        draw.polygon([(0, height), *points, (width, height)], fill=colour(lightness, 0.35, 0.04 * depth))
    return scene


def broken(path: str, fault: str) -> dict[str, Any]:
    """Return an image that has no picture."""
    return {"path": path, "w": 0, "h": 0, "x": 0, "cw": 0, "fault": fault}


def variety(folder: Path, **changes: Any) -> Path:
    """Write a page of records of every kind, broken and hostile ones too, and return its path."""
    entries = _videos() + _pairs_and_documents() + _texts() + _faulty() + _hostile()
    for i, (record, _) in enumerate(entries):
        record |= {"i": i, "line": i + 1}
    records = [record for record, _ in entries]
    counts = {code["code"]: sum(f["code"] == code["code"] for r in records for f in r["findings"]) for code in CODES}
    facts = {
        "title": "Clips, pages and questions",
        "splits": [
            {"name": name, "records": count, "shown": count}
            for index, name in enumerate(("train", "val", SCRIPT, "test"))
            for count in [sum(record["split"] == index for record in records)]
        ],
        "classes": [
            {"name": name, "records": sum(record["class"] == index for record in records)}
            for index, name in enumerate(CLASSES)
        ],
        "findings": {
            "codes": [{**code, "count": counts[code["code"]]} for code in CODES]
            + [
                {
                    "code": "W503",
                    "slug": "class-imbalance",
                    "severity": "warning",
                    "hint": "Add some of the rare ones.",
                    "count": 1,
                }
            ],
            "general": [
                {
                    "file": "made_train.jsonl",
                    "line": None,
                    "code": "W503",
                    "message": "the class 'Archery' has 6 records, 'Bowling' 1",
                }
            ],
        },
    }
    return assemble(folder, facts_of(records, **(facts | changes)), entries)


CLASSES = ["Archery", "BabyCrawling", "Bowling", BREAKOUT]


def _videos() -> list[tuple[dict[str, Any], str]]:
    entries = []
    for i in range(12):
        fields, strip = pictures(i, [(320, 240)] * 8, 96, f"train/{CLASSES[i % 2]}")
        label = i % 2
        more = {
            "id": f"train-{i:010}",
            "group": f"{CLASSES[label]}/g{i:02}",
            "source": "ucf101",
            "class": label,
            "tokens": 1309,
        }
        entries.append(
            (
                record_of(
                    i,
                    "Classify the video into one of the following classes: Archery, BabyCrawling, Bowling.",
                    CLASSES[label],
                    **fields,
                    **more,
                ),
                strip,
            )
        )
    return entries


def _pairs_and_documents() -> list[tuple[dict[str, Any], str]]:
    entries = []
    for i in range(6):
        fields, strip = pictures(40 + i, [(640, 480), (500, 500)], 160, "val/pairs")
        more = {
            "id": f"val-{i:010}",
            "split": 1,
            "source": "nlvr2",
            "tokens": 2700 + i,
            "metadata": '{\n  "rating": 4,\n  "synset": "acorn"\n}',
        }
        entries.append(
            (
                record_of(
                    i,
                    "Is it true that one image shows a hill and the other a lake at sunset?",
                    "true",
                    **fields,
                    **more,
                ),
                strip,
            )
        )
    for i in range(6):
        fields, strip = pictures(60 + i, [(1240, 1754)], 220, "val/documents")
        record = record_of(
            i, "What is the date of the letter?", "14 March 1962", **fields, id=f"doc-{i}", split=1, tokens=1950
        )
        record["turns"][0]["answers"] = ["14 March 1962", "March 14, 1962"]
        record["turns"].append({"user": "And who signed it?", "assistant": "Mr. J. Halloran", "images": 0})
        entries.append((record, strip))
    return entries


def _texts() -> list[tuple[dict[str, Any], str]]:
    words = [
        ("ما هي عاصمة فرنسا؟", "عاصمة فرنسا هي باريس."),
        ("מהי בירת ישראל?", "ירושלים"),
        ("这张图片里有什么?", "一只猫坐在窗台上。"),
        ("日本の首都はどこですか。", "東京です。"),
        ("Où est le café de la gare ?", "À côté de l’hôtel, près de l’Élysée."),
        ("Describe the mood. 🙂", "👩‍👩‍👧‍👦 joyful 🎉🎉"),
        ("Write it all down.", LONG),
        ("One word without a break:", "x" * 3000),
        ("Predict this one.", None),
        ("def f(x):\n    return x + 1\n\nWhat does it do?", "It adds one.\n\n\t- to x\n\t- and returns it"),
    ]
    entries = [
        (record_of(i, user, answer, id=f"text-{i}", tokens=20 + 9 * i), "") for i, (user, answer) in enumerate(words)
    ]
    entries[6][0]["findings"] = [
        {"code": "W214", "pointer": "/conversations/0/assistant", "message": "the answer has 50,031 characters"}
    ]
    entries[6][0].update(tokens=11980, system="You are a patient scribe.")
    return entries


def _faulty() -> list[tuple[dict[str, Any], str]]:
    missing = {
        "code": "E401",
        "pointer": "/conversations/0/images/0",
        "message": "the image 'train/gone.jpg' does not exist",
    }
    truncated = {
        "code": "E404",
        "pointer": "/conversations/0/images/5",
        "message": "the image ends after 1,204 of 9,110 bytes",
    }
    gone = record_of(
        0,
        "What was here?",
        "Nobody knows.",
        images=[broken("train/gone.jpg", "missing")],
        id="gone",
        findings=[missing],
    )
    fields, strip = pictures(80, [(320, 240)] * 8, 96, "train/half")
    fields["images"][2] = broken("train/half/scene-00080.2.jpg", "missing")
    fields["images"][5]["fault"] = "truncated"
    half = record_of(
        0,
        "Classify the video.",
        "Bowling",
        **fields,
        id="half",
        findings=[missing, truncated, truncated],
        **{"class": 2},
    )
    many, wide = pictures(81, [(320, 240)] * 24, 64, "train/many")
    lots = record_of(0, "Count the frames.", "88", **many, id="lots", images_cut=64, cut=1200)
    raw = record_of(
        0,
        id=None,
        findings=[{"code": "E101", "pointer": "", "message": "the line is no JSON: expected ',' at character 31"}],
    )
    raw |= {"raw": '{"id": "a", "source": "ucf101" "conversations": [' + SCRIPT, "tokens": 0}
    del raw["turns"]
    return [(gone, ""), (half, strip), (lots, wide), (raw, "")]


def _hostile() -> list[tuple[dict[str, Any], str]]:
    fields, strip = pictures(90, [(400, 300)], 160)
    fields["images"][0]["path"] = f"train/{SCRIPT}{BREAKOUT}.jpg"
    more = {"id": SCRIPT + BREAKOUT, "group": SCRIPT, "source": BREAKOUT, "system": SCRIPT, "split": 2, "class": 3}
    more |= {"metadata": f'{{"note": "{SCRIPT}"}}', "file": f"{SCRIPT}.jsonl"}
    answer = f"Yes: {BREAKOUT} </script><!-- {{{{script}}}}"
    record = record_of(0, f"Is this safe? {SCRIPT}", answer, **fields, **more)
    record["findings"] = [{"code": "W214", "pointer": SCRIPT, "message": f"the answer holds {BREAKOUT}"}]
    return [(record, strip)]


def many(folder: Path, count: int) -> Path:
    """Write a page of many videos of 8 frames with answers of a paragraph, and return its path."""
    drawn = [pictures(seed, [(320, 240)] * 8, 48) for seed in range(20)]
    filler = "It is a long and even answer about hills, light and the sun that wanders. " * 8
    entries = []
    for i in range(count):
        fields, strip = drawn[i % len(drawn)]
        needle = " The needle is in this record." if i == count - 7 else ""
        entries.append(
            (
                record_of(i, f"What happens in clip {i}?", filler + str(i) + needle, **fields, split=int(i % 5 == 0)),
                strip,
            )
        )
    shown = [sum(record["split"] == split for record, _ in entries) for split in (0, 1)]
    splits = [
        {"name": name, "records": number, "shown": number}
        for name, number in zip(("train", "test"), shown, strict=True)
    ]
    return assemble(folder, facts_of([record for record, _ in entries], splits=splits), entries)
