"""A model file in another precision. Precision stands in the ONNX, so TensorRT 10, 11 and RTX build it alike.

example:
  atttrack export precision models/yolo-student-1088x608.onnx --precision fp16 --output yolo-student-fp16.onnx
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal, get_args

import onnx
from onnx import ModelProto

from edge.pipeline.config import parse_size
from engines.errors import EngineError, ModelFileError
from engines.signature import Signature
from export.calibration import DRAWN_SCENE, Feed, calibration_feeds
from export.half_arithmetic import halve_arithmetic
from export.half_weights import restore_weights
from export.sizes import close_axes

Precision = Literal["fp32", "fp16", "int8"]
PRECISION_KEY = "precision"
"""Entry of a model file's metadata; a file without it computes in fp32."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the file; 2 after one line that says what was wrong."""
    parser = argparse.ArgumentParser(
        prog="atttrack export precision", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", type=Path, metavar="MODEL.onnx", help="an exported file, in fp32")
    parser.add_argument("--precision", choices=get_args(Precision), required=True, help="to compute in")
    parser.add_argument("--size", type=parse_size, metavar="WxH", help="of the input (default: the file's)")
    parser.add_argument("--output", type=Path, required=True, metavar="FILE.onnx", help="file to write")
    options = parser.parse_args(arguments)
    try:
        onnx.save(to_precision(options.model, options.precision, size=options.size), options.output)
    except (EngineError, OSError) as error:
        print(f"atttrack export precision: {error}", file=sys.stderr)
        return 2
    return 0


def to_precision(
    path: Path,
    precision: Precision,
    source: str = DRAWN_SCENE,
    frames: int = 64,
    size: tuple[int, int] | None = None,
) -> ModelProto:
    """The model file `path` (exported, fp32) computing in `precision`; `source` and `frames` calibrate int8.

    size: width and height of the input, which is fixed then; None: the file's own.

    Raises ModelFileError for a file that is no model or is not in fp32, SignatureError for one without metadata, and
    what `calibration_feeds` raises.
    """
    if precision not in get_args(Precision):
        raise ValueError(f"precision must be one of {', '.join(get_args(Precision))}, got {precision!r}")
    model = read_model(path)
    metadata = {entry.key: entry.value for entry in model.metadata_props}
    signature = Signature.from_metadata(metadata, str(path)).at(size, str(path))
    model = close_axes(model, signature)
    metadata |= signature.to_metadata()
    written = metadata.get(PRECISION_KEY, "fp32")
    if written == precision != "fp32":
        return model
    if written != "fp32":
        raise ModelFileError(f"{path} computes in {written} already; give the exported file, which computes in fp32")
    restore_weights(model)
    if precision == "int8":
        model = _quantized(model, calibration_feeds(path, signature, source, frames))
    if precision != "fp32":
        halve_arithmetic(model)
    onnx.helper.set_model_props(model, metadata | {PRECISION_KEY: precision})
    onnx.checker.check_model(model, full_check=True)
    return model


def read_model(path: Path) -> ModelProto:
    """The file's content. Raises ModelFileError where there is none or it cannot be read."""
    if not path.is_file():
        raise ModelFileError(f"no model file at {path}")
    try:
        model = onnx.load(path)
        onnx.checker.check_model(model)
    except Exception as error:  # protobuf's and ONNX's exceptions share no base but this
        raise ModelFileError(
            f"{path} is no ONNX model: {str(error).splitlines()[0] if str(error) else error!r}"
        ) from error
    return model


def _quantized(model: ModelProto, feeds: Iterator[Feed]) -> ModelProto:
    from export.quantize import quantize  # brings ONNX Runtime's quantizer along, which fp16 does without

    return quantize(model, feeds)


if __name__ == "__main__":
    sys.exit(main())
