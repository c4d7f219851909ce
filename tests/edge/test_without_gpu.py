"""On a machine without driver nothing touches a GPU library at import; the CPU is chosen and one line says why."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
GUARD = """
import ctypes, importlib, logging, sys
touched = []

class Guard:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"cuda", "cupy", "pycuda", "tensorrt", "tensorrt_rtx", "PyNvVideoCodec"}:
            touched.append(name)
            raise ImportError(name)

sys.meta_path.insert(0, Guard())
load = ctypes.CDLL.__init__

def no_driver(self, name, *rest, **options):
    if name and any(part in str(name) for part in ("libcuda", "libcudart", "libnv")):
        touched.append(str(name))
        raise OSError(f"{name}: cannot open shared object file")
    load(self, name, *rest, **options)

ctypes.CDLL.__init__ = no_driver
"""


def _run(program: str) -> list[str]:
    done = subprocess.run([sys.executable, "-c", GUARD + program], cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


@pytest.mark.parametrize(
    "module",
    [
        "edge",
        "edge.pipeline.pipeline",
        "edge.pipeline.backend",
        "edge.ops.cuda_ops",
        "edge.sources.decoding",
        "engines.cuda_device",
        "service",
        "service.app",
    ],
)
def test_importing_touches_no_gpu_library(module: str) -> None:
    assert _run(f"importlib.import_module({module!r}); print(touched)") == ["[]"]


def test_the_cpu_is_chosen_and_one_line_says_why() -> None:
    lines = _run("""
logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s", stream=sys.stdout)
from edge.pipeline.backend import open_backend
backend = open_backend()
print(backend.device.name, type(backend.ops).__name__, touched)
""")
    assert lines[:-1] == [
        "INFO networks run on the CPU: CUDA's bindings are not installed (cuda); pip install '.[gpu]', or use the "
        "device 'cpu'"
    ]
    assert lines[-1] == "cpu HostOps ['cuda']"
