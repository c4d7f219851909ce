"""Convolutions in int8, by QDQ nodes in the ONNX file, with ranges measured on real frames; the rest in fp16.

Settings are those that TensorRT's parser takes: symmetric int8 for activations and weights, no quantized bias. The
heads' last convolutions, whose outputs are decoded, stay in fp16: they are small and their error would go straight
into boxes and embeddings.
"""

import logging
import tempfile
from collections.abc import Iterator
from pathlib import Path

import onnx
from onnx import ModelProto
from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod, QuantFormat, QuantType, quantize_static

from export.calibration import Feed

OPSET = 19
"""The first in which QDQ nodes may be fp16 on their float side."""


class _FeedReader(CalibrationDataReader):  # type: ignore[misc]  # the base has no types
    """What the quantizer wants to read from."""

    def __init__(self, feeds: Iterator[Feed]) -> None:
        self._feeds = feeds

    def get_next(self) -> Feed | None:
        return next(self._feeds, None)


def quantize(model: ModelProto, feeds: Iterator[Feed]) -> ModelProto:
    """A copy of a model with fp32 weights whose convolutions compute in int8."""
    with tempfile.TemporaryDirectory() as folder:
        plain, quantized = Path(folder) / "plain.onnx", Path(folder) / "quantized.onnx"
        onnx.save(model, plain)
        logger = logging.getLogger()
        level = logger.level
        logger.setLevel(logging.ERROR)  # it advises a preparation that these graphs do not need
        try:
            quantize_static(
                plain,
                quantized,
                _FeedReader(feeds),
                quant_format=QuantFormat.QDQ,
                op_types_to_quantize=["Conv"],
                nodes_to_exclude=_last_convolutions(model),
                per_channel=True,
                activation_type=QuantType.QInt8,
                weight_type=QuantType.QInt8,
                calibrate_method=CalibrationMethod.MinMax,
                extra_options={
                    "ActivationSymmetric": True,
                    "WeightSymmetric": True,
                    "QuantizeBias": False,
                    "OpTypesToExcludeOutputQuantization": ["Conv"],
                },
            )
        finally:
            logger.setLevel(level)
        result = onnx.load(quantized)
    del result.opset_import[:]
    result.opset_import.append(onnx.helper.make_opsetid("", OPSET))
    return result


def _last_convolutions(model: ModelProto) -> list[str]:
    """Names of the convolutions that no other follows."""
    reached: set[str] = set()  # tensors from which a convolution can be reached
    last = []
    for node in reversed(model.graph.node):
        leads_on = any(name in reached for name in node.output)
        if node.op_type == "Conv" and not leads_on:
            last.append(node.name)
        if node.op_type == "Conv" or leads_on:
            reached.update(node.input)
    return last
