"""Every name of TensorRT that the engines use exists in TensorRT 10 and 11 and in TensorRT-RTX.

TensorRT's libraries cannot be installed here, its Python bindings can: with empty stand-ins for the libraries they
import, and tell their names. `make test` fetches them (4 MB) into .trt-bindings. 10.3 is JetPack 6's.
"""

import ast
import os
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path
from shutil import which

import pytest

ROOT = Path(__file__).resolve().parents[2]
BINDINGS = ROOT / ".trt-bindings"
USERS = ("engines/tensorrt_engine.py", "engines/tensorrt_builder.py")

OBJECTS = {
    "builder": "Builder",
    "network": "INetworkDefinition",
    "parser": "OnnxParser",
    "error": "ParserError",
    "config": "IBuilderConfig",
    "profile": "IOptimizationProfile",
    "tensor": "ITensor",
    "_runtime": "Runtime",
    "_engine": "ICudaEngine",
    "engine": "ICudaEngine",
    "context": "IExecutionContext",
}
"""Names of variables in USERS -> class of what they hold."""
# One empty function per name that the bindings look for in the libraries.
ENTRY_POINTS = (
    "createInferBuilder_INTERNAL",
    "createInferRefitter_INTERNAL",
    "createInferRuntime_INTERNAL",
    "createNvOnnxParserRefitter_INTERNAL",
    "createNvOnnxParser_INTERNAL",
    "getBuilderPluginRegistry",
    "getNvOnnxParserVersion",
    "getPluginRegistry",
    "initLibNvInferPlugins",
)
LIBRARIES = ("libnvinfer.so", "libnvinfer_plugin.so", "libnvonnxparser.so")


def names_used() -> set[str]:
    """Such as 'Builder' (of the module), 'BuilderFlag.TF32' and 'Builder.create_network'."""
    found = set()
    for user in USERS:
        for node in ast.walk(ast.parse((ROOT / user).read_text())):
            if not isinstance(node, ast.Attribute):
                continue
            path = ast.unparse(node).removeprefix("self.")
            first, _, rest = path.partition(".")
            if first in ("trt", "_trt") and rest and not rest.startswith("__"):
                found.add(rest)
            elif first in OBJECTS and rest.isidentifier():
                found.add(f"{OBJECTS[first]}.{rest}")
    return found


MISSING = """
import importlib, sys
library = importlib.import_module(sys.argv[1])
def has(path):
    value = library
    for part in path.split("."):
        if not hasattr(value, part):
            return False
        value = getattr(value, part)
    return True
print(library.__version__, *[name for name in sys.argv[2:] if not has(name)])
"""


def missing(module: str, environment: dict[str, str]) -> tuple[str, list[str]]:
    """Version of the library, and the names that it lacks."""
    command = [sys.executable, "-c", MISSING, module, *sorted(names_used())]
    done = subprocess.run(command, env=os.environ | environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    version, *names = done.stdout.split()
    return version, names


def stand_ins(folder: Path, major: str) -> None:
    """Build the three libraries of TensorRT `major`, empty."""
    source = folder / "empty.c"
    source.write_text("\n".join(f"void *{name}(void) {{ return 0; }}" for name in ENTRY_POINTS))
    for library in LIBRARIES:
        subprocess.run(["cc", "-shared", "-fPIC", "-o", folder / f"{library}.{major}", source], check=True)


def test_the_names_are_found_in_the_source() -> None:
    used = names_used()
    assert {"Builder", "BuilderFlag.TF32", "Builder.build_serialized_network", "ICudaEngine.get_tensor_mode"} <= used
    assert {"IExecutionContext.execute_async_v3", "NetworkDefinitionCreationFlag.STRONGLY_TYPED"} <= used
    assert len(used) > 35


def test_tensorrt_rtx_has_them_all() -> None:
    pytest.importorskip("tensorrt_rtx", reason="no tensorrt-rtx here; on x86-64: pip install -e '.[plans]'")
    assert missing("tensorrt_rtx", {}) == ("1.7.1.116", [])


@pytest.mark.parametrize("version", ["10.3.0", "10.16.1.11", "11.4.0.106"])
def test_tensorrt_has_them_all(version: str, tmp_path: Path) -> None:
    tag = f"cp{sys.version_info.major}{sys.version_info.minor}"
    wheels = list(BINDINGS.glob(f"tensorrt_cu*_bindings-{version}-{tag}-*.whl"))
    if not wheels:
        pytest.skip(
            f"no bindings of TensorRT {version} for {sysconfig.get_platform()} in {BINDINGS}; make test fetches them"
        )
    if which("cc") is None:
        pytest.skip("no C compiler for the empty libraries (Debian: apt install gcc)")
    with zipfile.ZipFile(wheels[0]) as wheel:
        wheel.extractall(tmp_path)
    stand_ins(tmp_path, version.partition(".")[0])
    environment = {"LD_LIBRARY_PATH": str(tmp_path), "PYTHONPATH": str(tmp_path)}
    assert missing("tensorrt_bindings", environment) == (version, [])


def test_a_name_that_is_gone_would_be_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("tensorrt_rtx", reason="no tensorrt-rtx here; on x86-64: pip install -e '.[plans]'")
    used = names_used() | {"BuilderFlag.FP16", "IBuilderConfig.int8_calibrator"}
    monkeypatch.setattr(sys.modules[__name__], "names_used", lambda: used)
    assert missing("tensorrt_rtx", {})[1] == ["BuilderFlag.FP16", "IBuilderConfig.int8_calibrator"]
