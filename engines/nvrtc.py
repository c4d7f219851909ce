"""CUDA C++ to a program for one kind of GPU, by NVIDIA's NVRTC through `cuda-core`. Needs neither a GPU nor a driver.

NVRTC comes with the CUDA toolkit and with JetPack, or from PyPI as `nvidia-cuda-nvrtc`.
"""

import io

from engines.errors import DeviceError


def compile_program(source: str, name: str, capability: str, options: tuple[str, ...] = ()) -> tuple[bytes, str]:
    """The program of `source` for GPUs of `capability`, such as '90', and what the compiler said.

    For a GPU that is newer than the compiler: PTX, which the driver finishes. `options`: of ptxas, such as '-v'.
    Raises DeviceError without NVRTC, where the code is wrong, warnings included, or the GPU is too old.
    """
    try:
        from cuda.bindings import nvrtc
        from cuda.core import Program, ProgramOptions

        known = nvrtc.nvrtcGetSupportedArchs()[1]
    except (ImportError, RuntimeError) as error:
        raise DeviceError(
            "there is no NVRTC to compile the CUDA kernels with: install the CUDA toolkit or `pip install "
            f"nvidia-cuda-nvrtc`, and `pip install '.[gpu]'` ({str(error).splitlines()[0]})"
        ) from None
    usable = [one for one in known if one <= int(capability)]
    if not usable:
        raise DeviceError(
            f"NVRTC compiles for sm_{min(known)} and newer, not for sm_{capability}; use the device 'cpu'"
        )
    exact = int(capability) in known
    arch = f"sm_{capability}" if exact else f"compute_{max(usable)}"
    log = io.StringIO()
    wanted = ProgramOptions(arch=arch, name=name, std="c++17", ptxas_options=list(options) or None)
    try:
        code = bytes(Program(source, "c++", wanted).compile("cubin" if exact else "ptx", logs=log).code)
    except Exception as error:  # NVRTCError has no public name; anything else is told in its own words, too
        raise DeviceError(f"NVRTC cannot compile {name}: {str(error).strip()}") from None
    if "warning" in log.getvalue():
        raise DeviceError(f"NVRTC is not content with {name}: {log.getvalue().strip()}")
    return code, log.getvalue()
