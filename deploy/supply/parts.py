"""Lists the parts of the image (CycloneDX 1.5): the pinned packages with their hashes, and the model files.

python deploy/supply/parts.py requirements/run.txt models > parts.json
"""

import hashlib
import json
import re
import sys
from importlib.metadata import PackageNotFoundError, metadata
from pathlib import Path
from typing import Any

ENTRY = re.compile(r"^([A-Za-z0-9._-]+)(?:\[[^\]]*\])?==([^\s;\\]+)((?:.*\\\n)*.*)", re.MULTILINE)
HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")


def packages(requirements: str) -> list[dict[str, Any]]:
    """A component for each pinned package."""
    return [
        {
            "type": "library",
            "name": name,
            "version": version,
            "purl": f"pkg:pypi/{re.sub(r'[-_.]+', '-', name).lower()}@{version}",
            "hashes": [{"alg": "SHA-256", "content": digest} for digest in HASH.findall(rest)],
            **_licence(name),
        }
        for name, version, rest in ENTRY.findall(requirements)
    ]


def models(folder: Path) -> list[dict[str, Any]]:
    """A component for each model file."""
    return [
        {
            "type": "machine-learning-model",
            "name": path.name,
            "hashes": [{"alg": "SHA-256", "content": hashlib.sha256(path.read_bytes()).hexdigest()}],
        }
        for path in sorted(folder.glob("*.onnx"))
    ]


def document(requirements: Path, model_folder: Path) -> dict[str, Any]:
    """The whole list. Raises OSError."""
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {"component": {"type": "application", "name": "atttrack"}},
        "components": [*packages(requirements.read_text()), *models(model_folder)],
    }


def _licence(name: str) -> dict[str, Any]:
    """As the installed package says; nothing where it is not installed here or does not say."""
    try:
        found = metadata(name)
    except PackageNotFoundError:
        return {}
    text = found.get("License-Expression") or (found.get("License") or "").partition("\n")[0]
    return {"licenses": [{"license": {"name": text[:100]}}]} if text else {}


if __name__ == "__main__":
    json.dump(document(Path(sys.argv[1]), Path(sys.argv[2])), sys.stdout, indent=1)
    print()
