"""A stand-in for `export.adapt.live`: its verdict is the one that the environment's SCRIPTED_ROUND names.

dies: it kills itself in the middle; hangs: it never ends; complains: it ends with a line on standard error. Whatever it
sees of its order and of itself goes to the file that SCRIPTED_ROUND_SEEN names.
"""

import json
import os
import shutil
import signal
import sys
import time
from pathlib import Path


def main(folder: Path) -> int:
    script = os.environ["SCRIPTED_ROUND"]
    order = json.loads((folder / "order.json").read_text())
    pictures = {one: len(list((folder / one / "img1").iterdir())) for one in order["kept"] + order["learnt"]}
    seen = {"order": order, "pictures": pictures, "folder": str(folder), "pid": os.getpid(), "nice": os.nice(0)}
    seen |= {"mode": folder.stat().st_mode & 0o777, "processors": sorted(os.sched_getaffinity(0))}
    seen |= {"settings": [name for name in os.environ if name.startswith("ATTTRACK_")]}
    if "SCRIPTED_ROUND_SEEN" in os.environ:
        whole = Path(os.environ["SCRIPTED_ROUND_SEEN"])
        whole.with_suffix(".part").write_text(json.dumps(seen))
        whole.with_suffix(".part").rename(whole)
    print(json.dumps({"share": 0.5, "doing": "the student learns"}), flush=True)
    if script == "dies":
        os.kill(os.getpid(), signal.SIGKILL)
    while script == "hangs":
        time.sleep(0.1)
    if script == "complains":
        print("loss is nan at step 7", file=sys.stderr)
        return 2
    if script == "better":
        shutil.copyfile(order["shipped"], folder / "student.onnx")
    elif script == "no-student":
        (folder / "student.onnx").write_text("no model")
    (folder / "weights.pt").write_text("")
    before, after = {"mota": 0.5, "idf1": 0.5}, {"mota": 0.6, "idf1": 0.6}
    verdict = "better" if script == "no-student" else script
    found = {"verdict": verdict, "scores": {"before": before, "after": after}, "steps": 5}
    print(json.dumps(found | {"learnt": 96, "compared": 48, "sightings": 300}), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
