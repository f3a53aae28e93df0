"""The default source end to end: the command line, the hub's client, real HTTP on loopback, a dataset."""

from __future__ import annotations

import io
import json
import tarfile
from typing import TYPE_CHECKING

import pytest

from phi3v_converters.ucf101_sample import write_sample
from tests.helpers import run
from tests.hub_server import Fault, HubServer, Repo

if TYPE_CHECKING:
    import subprocess
    from pathlib import Path

REPO, FILE = "sayakpaul/ucf101-subset", "UCF101_subset.tar.gz"


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The embedded sample as the hub has its subset: a plain tar despite its name, in a folder, with `._` files."""
    folder = tmp_path_factory.mktemp("hub") / "UCF101_subset"
    write_sample(folder)
    for clip in list(folder.glob("*/*/*_c01.avi")):
        clip.with_name(f"._{clip.name}").write_bytes(b"litter")
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        tar.add(folder, "UCF101_subset")
        link = tarfile.TarInfo("UCF101_subset/train/MoveUp/v_MoveUp_g99_c01.avi")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(link)
    return buffer.getvalue()


def convert(server: HubServer, folder: Path, *flags: str, code: int = 0) -> subprocess.CompletedProcess[str]:
    """Convert the default source, with the stand-in as the hub."""
    environment = {
        "HF_ENDPOINT": server.url,
        "HF_HOME": str(folder / "hf"),
        "HF_HUB_OFFLINE": "0",
        "PHI3V_CACHE": str(folder / "cache"),
    }
    return run("convert", "ucf101", "--out_dir", folder / "out", *flags, code=code, env=environment)


def test_the_default_source(archive: bytes, tmp_path: Path) -> None:
    repo = Repo({FILE: archive}, card={"license": "unknown"})
    with HubServer(**{REPO: repo}) as server:
        server.faults.append(Fault("GET", FILE, cut_after=len(archive) // 2))
        done = convert(server, tmp_path, "--max_rejects", "1", "--limit", "2")
        assert "Warning: " in done.stderr  # it is not as large as the subset was once seen to be
        manifest = json.loads((tmp_path / "out/manifest.json").read_text())
        assert manifest["source"] | {"listing_sha256": ""} == {
            "kind": "hub",
            "name": f"{REPO}/{FILE}",
            "revision": repo.commit,
            "sha256": repo.tag(FILE),
            "licence": "unknown",
            "listing_sha256": "",
            "sources": 6,
        }
        assert [file["records"] for file in manifest["files"]] == [2, 2, 2]
        reject = json.loads((tmp_path / "out/rejects.jsonl").read_text())
        assert (reject["code"], reject["source"]) == (
            "unsafe_member",
            "UCF101_subset/train/MoveUp/v_MoveUp_g99_c01.avi",
        )
        gets = server.count("GET", FILE)
        assert "Nothing to do" in convert(server, tmp_path, "--max_rejects", "1", "--limit", "2").stdout
        assert server.count("GET", FILE) == gets


def test_a_wrong_checksum_is_one_sentence(archive: bytes, tmp_path: Path) -> None:
    with HubServer(**{REPO: Repo({FILE: archive}, tags={FILE: "0" * 64})}) as server:
        done = convert(server, tmp_path, code=3)
    assert done.stderr.splitlines()[-1].startswith("Error: ") and "another checksum" in done.stderr
    assert not (tmp_path / "out").exists()
