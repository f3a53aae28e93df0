"""What --source takes, and where the cache is."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from phi3v_data.convert import cache, hub, hub_choose, hub_download, hub_errors, hub_facts, hub_locate, sources
from phi3v_data.convert.hub_choose import HubRequest
from phi3v_data.convert.sources import HubFile, OpenedSource, open_source
from phi3v_data.errors import UsageError

DEFAULT = HubFile("owner/data", "data.tar", revision="v2")


def test_exported() -> None:
    assert sources.__all__ == ["HubFile", "OpenedSource", "open_source"]
    for module in (cache, hub, hub_choose, hub_download, hub_errors, hub_facts, hub_locate, sources):
        assert set(module.__all__) <= set(vars(module))


def test_a_folder_is_taken_as_it_is(tmp_path: Path) -> None:
    assert open_source(str(tmp_path), default=None) == OpenedSource(
        tmp_path.resolve(), "folder", None, None, None, None, ()
    )


def test_nothing_where_there_is_no_default() -> None:
    with pytest.raises(UsageError, match="no default source: give --source"):
        open_source(None, default=None)


@pytest.mark.parametrize("spec", ["/no/such/place", "no\0such", "", "/dev/null"])
def test_paths_that_are_no_source(spec: str) -> None:
    with pytest.raises(UsageError) as caught:
        open_source(spec, default=DEFAULT)
    assert spec in str(caught.value)
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    "spec", ["hub:", "hub:name", "hub:a/b/c", "hub:a/b@", "hub:../etc", "hub:a/b@x@y", "hub:a b/c"]
)
def test_malformed_hub_names(spec: str) -> None:
    with pytest.raises(UsageError, match="is not of the form hub:OWNER/NAME"):
        open_source(spec, default=DEFAULT)


@pytest.mark.parametrize(
    ("spec", "default", "expected"),
    [
        (None, DEFAULT, HubRequest("owner/data", "v2", "data.tar", certain=True)),
        ("hub:owner/data", DEFAULT, HubRequest("owner/data", "v2", "data.tar", certain=True)),
        ("hub:owner/data@main", DEFAULT, HubRequest("owner/data", "main", "data.tar", certain=True, pinned=True)),
        ("hub:other/d.a-t_a", DEFAULT, HubRequest("other/d.a-t_a", "main", "data.tar", certain=False)),
        ("hub:other/data@refs/pr/1", None, HubRequest("other/data", "refs/pr/1", None, certain=False, pinned=True)),
    ],
)
def test_hub_names(spec: str | None, default: HubFile | None, expected: HubRequest) -> None:
    assert sources._parse_hub(spec, default, ()) == expected


def test_a_default_without_a_file_goes_by_the_patterns() -> None:
    expected = HubRequest("owner/data", "main", None, certain=True, patterns=("a/*.parquet", "*.parquet"))
    assert sources._parse_hub(None, HubFile("owner/data"), ["a/*.parquet", "*.parquet"]) == expected


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"PHI3V_CACHE": "/a", "XDG_CACHE_HOME": "/b"}, "/a"),
        ({"PHI3V_CACHE": "", "XDG_CACHE_HOME": "/b"}, "/b/phi3v"),
        ({"XDG_CACHE_HOME": "relative"}, "/home/x/.cache/phi3v"),
        ({}, "/home/x/.cache/phi3v"),
    ],
)
def test_the_cache_folder(monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], expected: str) -> None:
    for name in ("PHI3V_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", "/home/x")
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert cache.default_cache() == Path(expected)


def test_importing_it_is_light() -> None:
    code = "import sys, phi3v_data.convert.sources; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"huggingface_hub", "numpy", "pydantic", "httpx", "requests", "datasets"} & set(loaded)
