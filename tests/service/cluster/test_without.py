"""Without a cluster, nothing of it is there."""

import subprocess
import sys

import pytest

LOOK = "import sys, {module}; print(sorted(one for one in sys.modules if one.startswith(('nats', 'service.cluster'))))"


@pytest.mark.parametrize("module", ["service.app", "service.__main__", "atttrack.__main__"])
def test_one_process_imports_neither_nats_nor_the_cluster(module: str) -> None:
    told = subprocess.run(
        [sys.executable, "-c", LOOK.format(module=module)], capture_output=True, text=True, check=True
    )
    assert told.stdout.strip() == "[]"
