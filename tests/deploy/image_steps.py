"""Takes the steps of the Dockerfile's target `cpu` without a container engine, and uses the result: `make image`.

A temporary folder is the image's root. COPY copies what .dockerignore lets through; RUN runs, with the image's folders
in place of the absolute ones; then CMD starts as the image's user would, with no right to write but where volumes are.
Minutes, and what pip fetches: too long for every run of the tests. Only root can change the user, and only to one who
may run the interpreter: `make image ARGS="--python /usr/bin/python3"`. Otherwise that part is left out, and said.
"""

import argparse
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import httpx

from tests.support.dockerfile import ROOT, Dockerfile, Instruction, let_through

FOLDERS = ("venv", "build", "app", "state", "tmp")
"""Absolute folders of the image."""
PORT = "18000"
FILE = Dockerfile()


class Image:
    """A folder that becomes what the target would be."""

    def __init__(self, root: Path, target: str, python: str) -> None:
        self.root = root
        self.python = python
        self.target = target
        self._folder = root

    def build(self) -> None:
        """Take every step, other stages first where something is copied from them."""
        for stage in FILE.lineage(self.target):
            for one in stage.instructions:
                if one.name == "COPY":
                    self._copy(one)
                elif one.name == "WORKDIR":
                    self._folder = Path(self.inside(one.text))
                    self._folder.mkdir(parents=True, exist_ok=True)
                elif one.name == "RUN":
                    self._run(one)

    def inside(self, text: str) -> str:
        """Put the image's folders in place of the absolute ones."""
        return re.sub(rf"(?<![\w.])/({'|'.join(FOLDERS)})\b", lambda found: f"{self.root}/{found[1]}", text)

    def environment(self) -> dict[str, str]:
        """ENV, and nothing of this machine's but the path."""
        env = {name: self.inside(value) for name, value in FILE.environment(self.target).items()}
        return env | {"PATH": env.get("PATH", "$PATH").replace("$PATH", os.environ["PATH"])}

    def _copy(self, one: Instruction) -> None:
        *sources, destination = one.words
        into = Path(self.inside(destination)) if destination.startswith("/") else self._folder / destination
        if one.source_stage:
            if FILE.stages[one.source_stage].base != "scratch":
                Image(self.root, one.source_stage, self.python).build()  # into the same root: its folders are its own
                return
            for inner in FILE.stages[one.source_stage].instructions:
                self._take(inner.words[0], into / inner.words[1].lstrip("/"))
            return
        for source in sources:
            self._take(source, into / source)

    def _take(self, source: str, destination: Path) -> None:
        if (ROOT / source).is_file():
            destination.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / source, destination)
            return

        def held_back(folder: str, names: list[str]) -> list[str]:
            return [name for name in names if not let_through(str((Path(folder) / name).relative_to(ROOT)))]

        shutil.copytree(ROOT / source, destination, ignore=held_back)

    def _run(self, one: Instruction) -> None:
        command = self.inside(re.sub(r"--mount=\S+ ", "", one.text))
        if os.getuid() != 0:
            command = re.sub(r"-o \d+ -g \d+ ", "", command)
        command = re.sub(r"^python ", f"{self.python} ", command)
        print(f"RUN {command}", flush=True)
        subprocess.run(command, shell=True, cwd=self._folder, check=True)  # noqa: S602  (the Dockerfile's own)


def use(image: Image) -> None:
    """Start CMD as the image's user on the demo, ask HEALTHCHECK, wait for tracks, and end it by SIGTERM."""
    (image.root / "tmp").mkdir(mode=0o777)
    (image.root / "tmp").chmod(0o1777)
    user = FILE.last(image.target, "USER")
    command, check = FILE.last(image.target, "CMD"), FILE.last(image.target, "HEALTHCHECK")
    assert user is not None and command is not None and check is not None
    uid, gid = (int(number) for number in user.text.split(":"))
    as_user = {"user": uid, "group": gid, "extra_groups": []} if _may_run(command.words[0], uid, image) else {}
    if not as_user:
        print(f"user {uid} is left out: that takes root, and an interpreter that everybody may run", flush=True)
    environment = image.environment() | {"ATTTRACK_HOST": "127.0.0.1", "ATTTRACK_PORT": PORT, "ATTTRACK_DEMO": "true"}
    options = {"cwd": image.root / "app", "env": environment, **as_user}
    writable = subprocess.run(["sh", "-c", "touch x 2>/dev/null"], check=False, **options).returncode == 0
    assert not (as_user and writable), "the program's folder can be written by its user"
    service = subprocess.Popen(command.words, **options)
    try:
        ready = f"http://127.0.0.1:{PORT}/readyz"
        _wait_for(lambda: service.poll() is not None or httpx.get(ready).is_success, "readiness")
        _wait_for(lambda: _frames() > 10, "tracks")
        asked = check.text.partition("CMD ")[2]
        assert subprocess.run(Instruction("CMD", asked).words, check=False, **options).returncode == 0, "HEALTHCHECK"
        doctor = subprocess.run([*command.words, "doctor"], check=False, **options)
        assert doctor.returncode == 0, "doctor"
    finally:
        service.send_signal(signal.SIGTERM)
        code = service.wait(30)
    assert code == 0, f"the service ended with {code}"


def _may_run(program: str, uid: int, image: Image) -> bool:
    found = shutil.which(program, path=image.environment()["PATH"])
    try:
        return subprocess.run([str(found), "-c", ""], user=uid, check=False).returncode == 0
    except PermissionError:
        return False


def _frames() -> int:
    return int(httpx.get(f"http://127.0.0.1:{PORT}/streams/near").json()["stats"]["frames"])


def _wait_for(condition: object, what: str, timeout_s: float = 60.0) -> None:
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        try:
            if condition():  # type: ignore[operator]
                return
        except httpx.TransportError:
            pass
        time.sleep(0.2)
    raise SystemExit(f"waited {timeout_s:g} s in vain for {what}")


def main() -> None:
    """Build and use the target `cpu`."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--python", default=sys.executable, help="stands in for the base image's")
    python = parser.parse_args().python
    with tempfile.TemporaryDirectory(prefix="atttrack-image-") as folder:
        Path(folder).chmod(0o755)
        image = Image(Path(folder), "cpu", python)
        image.build()
        use(image)
        size = sum(path.stat().st_size for path in Path(folder).rglob("*") if path.is_file() and not path.is_symlink())
        packages = sorted(path.name for path in Path(folder, "venv").glob("lib/*/site-packages/*.dist-info"))
        assert not [name for name in packages if name.startswith(("torch-", "nvidia_"))]
        print(f"the image's steps work; {size / 1e6:.0f} MB beside the base, {len(packages)} packages")


if __name__ == "__main__":
    main()
