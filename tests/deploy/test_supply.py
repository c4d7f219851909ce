"""What the image is made of: the list of parts, and known weaknesses looked up without a network."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from tests.support.dockerfile import ROOT

SUPPLY = ROOT / "deploy" / "supply"


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, SUPPLY / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


audit, parts = load("audit"), load("parts")
OLD = "h11==0.14.0 \\\n    --hash=sha256:" + "a" * 64 + "\nstarlette==1.10.0\n"


def advisory(**events: str) -> dict[str, object]:
    listed = [{name: version} for name, version in events.items()]
    return {"ranges": [{"type": "ECOSYSTEM", "events": listed}]}


@pytest.mark.parametrize(
    ("version", "affected", "expected"),
    [
        ("1.0", {}, False),
        ("1.0", {"versions": ["1.0"]}, True),
        ("1.0", advisory(introduced="0"), True),
        ("1.0", advisory(introduced="0", fixed="1.0"), False),
        ("0.9.9", advisory(introduced="0", fixed="1.0"), True),
        ("1.0rc1", advisory(introduced="0", fixed="1.0"), True),
        ("1.0", advisory(introduced="0", last_affected="1.0"), True),
        ("1.1", advisory(introduced="0", last_affected="1.0"), False),
        ("1.10", advisory(introduced="1.9", fixed="2"), True),
        ("1.10", advisory(introduced="1.11", fixed="2"), False),
        ("no version", advisory(introduced="0"), False),
    ],
)
def test_ranges_mean_what_osv_says(version: str, affected: dict[str, object], expected: bool) -> None:
    assert audit.is_affected(version, affected) is expected


def test_file_that_pins_nothing_is_no_clean_file() -> None:
    with pytest.raises(ValueError, match="pins no version"):
        audit.pinned("starlette>=1\n")


def test_old_package_is_found_and_a_withdrawn_advisory_is_not() -> None:
    known = list(audit.advisories(SUPPLY / "advisories.json"))
    assert [one.advisory for one in audit.findings(audit.pinned(OLD), known)] == ["GHSA-vqfr-h8mv-ghfj"]
    assert audit.findings(audit.pinned(OLD), [{**one, "withdrawn": "2026"} for one in known]) == []


def test_command_fails_where_something_is_found_and_where_it_cannot_read(tmp_path: Path) -> None:
    def run(*arguments: str) -> int:
        return subprocess.run([sys.executable, str(SUPPLY / "audit.py"), *arguments], capture_output=True).returncode

    (tmp_path / "old.txt").write_text(OLD)
    (tmp_path / "new.txt").write_text("h11==0.16.0\n")
    assert run(str(tmp_path / "old.txt")) == 1
    assert run(str(tmp_path / "new.txt")) == 0
    assert run(str(tmp_path / "none.txt")) == 2
    (tmp_path / "advisories").mkdir()
    (tmp_path / "advisories" / "x.json").write_text((SUPPLY / "advisories.json").read_text())
    assert run(str(tmp_path / "old.txt"), "--advisories", str(tmp_path / "advisories")) == 1


def test_list_of_parts_has_every_package_with_its_hashes_and_every_model(tmp_path: Path) -> None:
    (tmp_path / "run.txt").write_text(OLD)
    (tmp_path / "net.onnx").write_bytes(b"x")
    listed = json.loads(json.dumps(parts.document(tmp_path / "run.txt", tmp_path)))
    assert listed["bomFormat"] == "CycloneDX"
    h11, starlette, net = listed["components"]
    assert (h11["purl"], h11["hashes"][0]["content"]) == ("pkg:pypi/h11@0.14.0", "a" * 64)
    assert (starlette["version"], starlette["hashes"]) == ("1.10.0", [])
    assert net["type"] == "machine-learning-model"


@pytest.mark.skipif(not (ROOT / "requirements").is_dir(), reason="versions are not pinned in files here")
def test_what_is_pinned_has_no_weakness_that_is_on_file() -> None:
    known = list(audit.advisories(SUPPLY / "advisories.json"))
    for path in (ROOT / "requirements").glob("*.txt"):
        assert audit.findings(audit.pinned(path.read_text()), known) == []
