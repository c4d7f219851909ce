"""The command line that all benchmarks share: one look, a default beside every flag, mistakes told in one line."""

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from pathlib import Path
from typing import Any

from benchmarks.conditions import conditions
from edge.pipeline.backend import SHIPPED_MODELS, Backend, model_files, open_backend
from edge.pipeline.config import INPUT_SIZE, SHIPPED_PAIR, Mode, parse_size
from edge.pipeline.pipeline import PipelineError
from edge.sources.base import SourceError
from engines.errors import EngineError
from engines.signature import size_name
from service.cluster.server_program import NoServer

FLAGS_WITHOUT_DEFAULT = (None, False, argparse.SUPPRESS)
Main = Callable[[Sequence[str] | None], int]


class _Help(argparse.RawDescriptionHelpFormatter):
    """Tells the default of each flag whose help does not."""

    def _get_help_string(self, action: argparse.Action) -> str:
        said = action.help or ""
        if "default" in said or not action.option_strings or action.required or action.default in FLAGS_WITHOUT_DEFAULT:
            return said
        several = isinstance(action.default, list | tuple | range)
        default = " ".join(map(str, action.default)) if several else "%(default)s"
        return f"{said} (default {default})".lstrip()


def command(word: str, about: str | None) -> argparse.ArgumentParser:
    """Return the parser of `atttrack bench WORD`; `about` is the module's text, with examples."""
    return argparse.ArgumentParser(
        prog=f"atttrack bench {word}", description=about, formatter_class=_Help, allow_abbrev=False
    )


def one_line(word: str) -> Callable[[Main], Callable[..., int]]:
    """Make a `main` tell what was wrong with its arguments or files in one line, and return 2."""

    def told(main: Main) -> Callable[..., int]:
        @wraps(main)
        def run(arguments: Sequence[str] | None = None) -> int:
            try:
                return main(arguments)
            except (EngineError, NoServer, PipelineError, SourceError, ValueError, OSError) as error:
                print(f"atttrack bench {word}: {error}", file=sys.stderr)
                return 2

        return run

    return told


def add_networks(parser: argparse.ArgumentParser, device: str = "auto", sizes: str | None = None) -> None:
    """Which networks run, and on what; sizes: `nargs` of --size."""
    parser.add_argument("--models", type=Path, default=SHIPPED_MODELS, metavar="DIR", help="folder of the model files")
    parser.add_argument("--pair", default=SHIPPED_PAIR, help="name of the model pair")
    size = size_name(INPUT_SIZE)
    parser.add_argument("--size", type=parse_size, nargs=sizes, default=size, metavar="WxH", help="network input")
    add_device(parser, device)


def add_device(parser: argparse.ArgumentParser, device: str = "auto") -> None:
    """Where networks run."""
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default=device, help="where networks run")


def open_networks(options: argparse.Namespace, mode: Mode = "atttrack", threads: int | None = None) -> Backend:
    """The networks that `mode` needs, and the others of the pair that are there. Raises EngineError."""
    return open_backend(options.models, options.size, options.device, mode, options.pair, threads)


def about(options: argparse.Namespace, backend: Backend | None = None) -> dict[str, Any]:
    """What a result says of its networks: conditions, and the input's size."""
    files = model_files(options.models, options.pair, options.size)
    return {"conditions": conditions(files, backend), "input": size_name(options.size)}


def networks(backend: Backend) -> Mapping[str, Mapping[str, str]]:
    """What each network says of itself, as far as it matters to who reads the scores."""
    return {
        name: {"network": s.network, "mapping": s.mapping, "commit": s.commit}
        for name, s in ((name, engine.signature) for name, engine in backend.engines.items())
    }
