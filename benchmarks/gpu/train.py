"""Train, export and score on a machine with a GPU, by one command that can be killed and started again.

    atttrack bench gpu-train --data ../shared/data --output runs/gpu-train
    atttrack bench gpu-train --data ../shared/data --minutes 3        (3 minutes a network)
    atttrack bench gpu-train --data ../shared/data --list

Each stage is a command of its own. One that is done is not run again; one that was killed goes on
where it was. A stage that fails costs those that need it and no other. OUT/stages.json says how far it is.
"""

import sys
from collections.abc import Sequence

from benchmarks import accuracy
from benchmarks.command import command
from training import stages

PROGRAMS = stages.Programs(export="export.to_onnx", score=accuracy.__name__)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what is still to be done; 1 where a stage failed."""
    parser = command("gpu-train", __doc__)
    stages.add_options(parser)
    return stages.run(PROGRAMS, parser.parse_args(arguments))


if __name__ == "__main__":
    sys.exit(main())
