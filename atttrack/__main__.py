"""`atttrack COMMAND ...`: one command line over the programs of the project.

A program is a module with `main(arguments)`, which returns an exit code or nothing. It is imported when its word is
given and not before, so that what tracks never meets torch, and a machine needs only what it uses.
"""

import sys
from collections.abc import Sequence
from difflib import get_close_matches
from importlib import import_module

MISSPELT = 2
INTERRUPTED = 130

PROGRAMS = {
    "serve": ("service.__main__", "start the service: page, HTTP, WebSocket"),
    "track": ("edge.__main__", "track the people of a film, a camera or a folder of pictures"),
    "doctor": ("service.doctor.command", "what of this machine works, and what to do about the rest"),
    "keys": ("service.auth.command", "make, list and revoke API keys of the service"),
    "config": ("service.configuration", "check the service's settings, or show where each comes from"),
    "box": ("service.cluster.box", "all GPUs of this machine behind one front door"),
    "node": ("service.cluster.node_command", "one device of a cluster"),
    "gateway": ("service.cluster.gateway_command", "the front door of a cluster"),
    "cluster": ("service.cluster.command", "make a cluster, show it, save it"),
    "train": ("training.chain", "train a recipe, and the networks that it starts from"),
    "adopt": ("export.adopt.command", "a detector of your own as the teacher of a pair"),
    "adapt": ("export.adapt.command", "the student to your cameras, by what the teacher sees there"),
    "export onnx": ("export.to_onnx", "trained weights into a model file"),
    "export precision": ("export.precision", "a model file in fp16 or int8"),
    "export plan": ("export.to_plan", "model files into TensorRT plans for this machine"),
    "bench fps": ("benchmarks.fps", "frames per second against the keyframe period"),
    "bench accuracy": ("benchmarks.accuracy", "MOTA, IDF1 and HOTA on labelled sequences"),
    "bench score": ("benchmarks.score", "a recipe, or trained weights, through export to scores"),
    "bench streams": ("benchmarks.load.streams", "how many cameras this machine carries"),
    "bench cameras": ("benchmarks.load.cameras", "cameras of which some are dead, frozen or malformed"),
    "bench subscribers": ("benchmarks.load.subscribers", "many clients on one stream, some of them stalled"),
    "bench cluster": ("benchmarks.load.cluster", "nodes that die, hang and are upgraded, and a thousand streams"),
    "bench soak": ("benchmarks.load.soak", "minutes of one camera: memory and age of tracks"),
    "bench adaptation": (
        "benchmarks.load.adaptation",
        "a student that learns while it runs: frames, identities, memory",
    ),
    "bench association": ("benchmarks.speed.association", "milliseconds that the tracker takes"),
    "bench curves": ("benchmarks.speed.curves", "accuracy over speed, as a picture"),
    "bench paper": ("benchmarks.paper.__main__", "the paper's tables beside ours"),
    "bench host": ("benchmarks.gpu.host", "milliseconds of the host for each frame beside a GPU that does nothing"),
    "bench gpu-check": ("benchmarks.gpu.check", "on a GPU: is it right, how fast is it?"),
    "bench gpu-train": ("benchmarks.gpu.train", "on a GPU: train, export and score one network after another"),
}
"""Words -> module, and what it does."""

EXAMPLES = {
    "": ("atttrack serve --demo", "atttrack track film.mp4 --video"),
    "bench": ("atttrack bench fps", "atttrack bench accuracy --data ../shared/data"),
    "export": (
        "atttrack export onnx runs/open-teacher/weights.pt --role teacher --output runs/models/open-teacher.onnx",
        "atttrack export plan runs/models/open-teacher.onnx",
    ),
}
"""First word of a group, or none -> what may be typed."""

EXTRAS = {
    "train": "training",
    "adopt": "export",
    "adapt": "export",
    "export": "export",
    "bench": "dev",
    **dict.fromkeys(("box", "node", "gateway", "cluster"), "cluster"),
}
"""First word -> extra of pyproject.toml with what it needs besides."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program that the first words name; return its exit code, or 2 after one sentence of what is wrong."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    words = " ".join(given[:2]) if " ".join(given[:2]) in PROGRAMS else " ".join(given[:1])
    if words in PROGRAMS:
        return _run(words, given[len(words.split()) :])
    asks = not given or given[-1] in ("-h", "--help", "help")
    if asks and (words in _groups() or not words or words in ("-h", "--help", "help")):
        print(_help(words if words in _groups() else ""))
        return 0 if given else MISSPELT
    return _refuse(_unknown(given))


def _run(words: str, arguments: list[str]) -> int:
    """A mistake is one sentence here, whatever the program; where it is the program's own, its message is."""
    try:
        code: int | None = import_module(PROGRAMS[words][0]).main(arguments)
    except ModuleNotFoundError as error:
        extra = EXTRAS.get(words.partition(" ")[0])
        if extra is None or error.name is None:
            raise
        return _refuse(f"{error.name} is not installed here; pip install -e '.[{extra}]' brings it", words)
    except KeyboardInterrupt:
        return INTERRUPTED
    except Exception as error:
        if not isinstance(error, _mistakes()):
            raise  # a fault of ours: whoever reports it needs where it came from
        told = f"{error.filename}: {error.strerror}" if isinstance(error, OSError) and error.filename else f"{error}"
        return _refuse(told, words)
    return code or 0


def _mistakes() -> tuple[type[Exception], ...]:
    """Errors whose message is for the one who typed the command. Imported late: the libraries below cost a second."""
    from edge.pipeline.pipeline import PipelineError
    from edge.sources.base import SourceError
    from engines.errors import EngineError

    return OSError, ValueError, SourceError, PipelineError, EngineError


def _refuse(sentence: str, words: str = "") -> int:
    print(f"{f'atttrack {words}'.rstrip()}: {sentence}", file=sys.stderr)
    return MISSPELT


def _unknown(given: Sequence[str]) -> str:
    """What was said instead of a program, and what may have been meant."""
    first = given[0]
    if first in _groups():
        known = [words.partition(" ")[2] for words in PROGRAMS if words.startswith(f"{first} ")]
        if len(given) == 1:
            return f"{first} what? One of {', '.join(known)}"
        word, command = given[1], f"atttrack {first}"
    else:
        word, command = first, "atttrack"
        known = list(dict.fromkeys(words.partition(" ")[0] for words in PROGRAMS))
    meant = get_close_matches(word, known, 1)
    return f"there is no {word!r}" + (f", did you mean {meant[0]!r}?" if meant else f"; try: {command} --help")


def _groups() -> set[str]:
    """First words of programs that have two."""
    return {words.partition(" ")[0] for words in PROGRAMS if " " in words}


def _help(group: str) -> str:
    chosen = {words: about for words, (_, about) in PROGRAMS.items() if words.startswith(group)}
    width = max(map(len, chosen)) + 2
    lines = [f"usage: atttrack {group or 'COMMAND'} {'WHAT ' if group else ''}[options]", "", "commands:"]
    lines += [f"  {words:{width}}{about}" for words, about in chosen.items()]
    lines += ["", "examples:", *(f"  {example}" for example in EXAMPLES[group])]
    first = next(iter(chosen))
    lines += ["", f"Each says more about itself: atttrack {first} --help"]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
