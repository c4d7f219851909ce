"""README and docs: each shell command runs as written in a folder like a fresh clone, or at least its flags exist."""

import argparse
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import tomllib
import venv
from collections.abc import Iterator
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from atttrack.__main__ import PROGRAMS
from atttrack.__main__ import main as atttrack
from edge.video_writer import VideoWriter
from service.configuration import gather
from tests.support.commands import Block, blocks, commands, is_command, spans
from tests.support.drawn import Drawn

ROOT = Path(__file__).resolve().parent.parent
PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "models/README.md", "models/YOLO.md")),
    ROOT / "training/recipes/paper/README.md",
    *sorted((ROOT / "docs").glob("*.md")),
]
WORDS_OF_README, NUMBERS_OF_README, WORDS_OF_A_SENTENCE = 700, 25, 25
SERVERS = ("atttrack serve", "atttrack box", "make demo", "make serve")
START_S = 60.0


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


def by_name(path: Path) -> str:
    return str(path.relative_to(ROOT))


# What stands in them


def test_readme_is_read_in_two_minutes() -> None:
    text = (ROOT / "README.md").read_text()
    assert len(text.split()) <= WORDS_OF_README
    assert len(re.findall(r"\d[\d.,]*", text)) <= NUMBERS_OF_README


def sentences(page: str) -> Iterator[str]:
    """Sentences of the text, of lists and of table cells; what is between backquotes counts as a word."""
    page = re.sub(r"```.*?```|<!--.*?-->", "", page, flags=re.DOTALL)
    page = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", page)
    page = re.sub(r"`[^`]*`", "it", page)
    page = re.sub(r"^ *([-*]|\d+\.|#+) ", "\n\n", page, flags=re.MULTILINE)
    page = re.sub(r"\|", "\n\n", page)
    for paragraph in re.split(r"\n\s*\n", page):
        yield from re.split(r"(?<=[.!?])\**\s+", " ".join(paragraph.split()))


@pytest.mark.parametrize("path", [*PAGES, ROOT / "CHANGELOG.md", ROOT / "SECURITY.md"], ids=by_name)
def test_sentences_are_short(path: Path) -> None:
    counted = {sentence: len(re.findall(r"[\w'-]+", sentence)) for sentence in sentences(path.read_text())}
    assert not {sentence: words for sentence, words in counted.items() if words > WORDS_OF_A_SENTENCE}


@pytest.mark.parametrize("path", [page for page in PAGES if page.parent.name == "docs"], ids=by_name)
def test_a_page_says_at_its_start_for_whom_it_is(path: Path) -> None:
    assert "For whoever" in "\n".join(path.read_text().splitlines()[:5])


@pytest.mark.parametrize("path", PAGES, ids=by_name)
def test_commands_stand_in_blocks_of_the_shell(path: Path) -> None:
    """Where they are found, and run."""
    for block in blocks(path):
        hidden = [line for line in block.text.splitlines() if is_command(line)]
        assert block.language in ("sh", "python", "toml", "") and (block.language == "sh" or not hidden), hidden
    outside = re.sub(r"^ *```.*?^ *```$", "", path.read_text(), flags=re.MULTILINE | re.DOTALL)
    assert not [line for line in outside.splitlines() if line.startswith("    ") and is_command(line)]


# Flags of all commands, also of those that are not run


class Parsed(Exception):
    """A parser took the arguments."""


@pytest.fixture
def parse_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Programs end where their arguments are read; what a parser leaves to another one is in `Parsed.args`."""
    original = argparse.ArgumentParser.parse_known_args
    depth = 0

    def parse(parser: argparse.ArgumentParser, arguments: Any = None, namespace: Any = None, **more: Any) -> Any:
        nonlocal depth
        depth += 1
        try:
            result = original(parser, arguments, namespace, **more)
        finally:
            depth -= 1
        if depth == 0:
            raise Parsed(result[1])
        return result

    monkeypatch.setattr(argparse.ArgumentParser, "parse_known_args", parse)


def check(words: list[str]) -> None:
    """Raise or fail unless the command could be typed."""
    tool = next((place for place, word in enumerate(words) if word in ("make", "atttrack", ".venv/bin/atttrack")), None)
    starts = any(word.endswith(("python", "python3", "torchrun")) for word in words)
    modules = [place for place, word in enumerate(words[:-1]) if word == "-m"] if starts else []
    if words[0] == "docker":
        check_compose(words[1:])
    elif words[0] == "kubectl":
        return  # another program's flags
    elif tool is not None and words[tool] == "make":
        check_make(words[tool + 1 :])
    elif tool is not None:
        two = " ".join(words[tool + 1 : tool + 3])
        name = two if two in PROGRAMS else words[tool + 1]
        if name == "--help":
            return
        assert name in PROGRAMS, f"atttrack has no {name}"
        check_program(PROGRAMS[name][0], words[tool + 1 + len(name.split()) :])
    elif modules and words[modules[0] + 1] not in ("venv", "pip", "pytest"):
        check_program(words[modules[0] + 1], words[modules[0] + 2 :])
    elif "pip" in words:
        check_extras(words)


def check_program(module: str, arguments: list[str]) -> None:
    name = f"{module}.__main__" if (ROOT / module.replace(".", "/")).is_dir() else module
    program = gather if name == "service.__main__" else import_module(name).main
    if not arguments:  # it is only spoken of
        return
    try:
        program(arguments)
    except Parsed as parsed:
        (others,) = parsed.args
    except SystemExit as ended:
        assert ended.code == 0, f"{module} does not take {arguments}"
        return
    else:
        return
    if others and module.startswith("service."):
        try:
            gather(others)
        except Parsed as parsed:
            assert not parsed.args[0], f"{module} has no {parsed.args[0]}"
    else:
        assert not others, f"{module} has no {others}"


def check_make(words: list[str]) -> None:
    """The verb exists, and what it runs takes its flags."""
    told = subprocess.run(
        ["make", "-n", "-W", "pyproject.toml", *words], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert told.returncode == 0, told.stderr
    for line in told.stdout.replace("\\\n", " ").splitlines():
        if re.search(r"python -m (?!pip|venv|pytest|tests)|bin/atttrack ", line):
            for command in commands(line):
                check(command)


def check_compose(words: list[str]) -> None:
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    assert words[0] in ("compose", "save", "load", "build")
    profiles = {words[place + 1] for place, word in enumerate(words) if word == "--profile"}
    assert profiles <= {profile for service in services.values() for profile in service.get("profiles", [])}
    if "run" in words:
        service, *command = [word for word in words[words.index("run") + 1 :] if word != "--rm"]
        assert service in services
        check(command)


def check_extras(words: list[str]) -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    for found in re.findall(r"(?<!\S)\.\[([\w,]+)\]", " ".join(words)):
        assert set(found.split(",")) <= set(extras), found


def all_commands() -> list[Any]:
    """Each once, whatever pages have it."""
    found: dict[str, tuple[Path, list[str]]] = {}
    for page in PAGES:
        for script in (*(block.text for block in blocks(page) if block.language == "sh"), *spans(page)):
            for words in commands(script):
                found.setdefault(" ".join(words), (page, words))
    torch = re.compile(r"training\.|export\.|atttrack (train|export)|make (train|gpu-train)")
    return [
        pytest.param(words, marks=pytest.mark.training if torch.search(typed) else (), id=f"{page.name}: {typed}")
        for typed, (page, words) in found.items()
    ]


@pytest.mark.usefixtures("parse_only")
@pytest.mark.parametrize("words", all_commands())
def test_a_command_has_flags_that_exist(words: list[str]) -> None:
    assert "..." not in words, "what is left out cannot be checked"
    check(words)


@pytest.mark.usefixtures("parse_only")
@pytest.mark.parametrize(
    "words",
    [
        pytest.param(
            one, marks=pytest.mark.training if one.partition(" ")[0] in ("train", "export", "adopt", "adapt") else ()
        )
        for one in (*PROGRAMS, "bench", "export", "")
    ],
)
def test_an_example_of_a_help_has_flags_that_exist(words: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A line of its own that begins with the command; two spaces or a bracket end it, a backslash does not."""
    with suppress(SystemExit):
        atttrack([*words.split(), "--help"])
    shown = re.sub(r" *\\\n *", " ", capsys.readouterr().out)
    lines = [line for line in shown.splitlines() if re.match(r" {0,6}([A-Z_]+=\S+ )*atttrack \S", line)]
    assert lines
    for line in lines:
        for typed in commands(re.split(r" {2,}| \(", line.strip())[0]):
            check(typed)


@pytest.mark.usefixtures("parse_only")
@pytest.mark.parametrize(
    "wrong",
    [
        "atttrack trak film.mp4", "atttrack track film.mp4 --vide x", "atttrack serve --prot 1", "make dmeo",
        "python -m edge film.mp4 --nonsense", "docker compose --profile gpus up", "atttrack bench fsp",
        "make accuracy DATA=x ARGS=--nonsense", "atttrack keys add x --scope root", "pip install .[gpux]",
    ],
)  # fmt: skip
def test_a_command_that_nobody_could_type_is_noticed(wrong: str) -> None:
    with pytest.raises((Exception, pytest.fail.Exception)) as noticed:
        check(wrong.split())
    assert not isinstance(noticed.value, Parsed)


# Running them


class Clone:
    """What `git clone` and `make setup` leave: the project's files, and a .venv with `atttrack` in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "clone"
        self.port = free_port()
        self._server: subprocess.Popen[bytes] | None = None
        listed = subprocess.run(
            ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
            cwd=ROOT, capture_output=True, text=True, check=False,
        )  # fmt: skip
        if listed.returncode:
            pytest.skip("needs git, to know which files a clone has")
        for name in filter(None, listed.stdout.split("\0")):
            if not name.startswith(("tests/", "benchmarks/results/")) and (ROOT / name).is_file():
                (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
                (self.folder / name).symlink_to(ROOT / name)
        for name in ("atttrack", "edge", "engines", "service"):  # programs find themselves by where they lie
            shutil.rmtree(self.folder / name)
            shutil.copytree(ROOT / name, self.folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        self._install()
        self.environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "LANG": "C.UTF-8",
            "ATTTRACK_PORT": str(self.port),
        }

    def _install(self) -> None:
        """As pip would, but with the packages of the environment that runs the tests."""
        venv.create(self.folder / ".venv", symlinks=True)
        packages = next((self.folder / ".venv/lib").glob("python*/site-packages"))
        libraries = [path for path in sys.path if path.endswith("site-packages")]
        (packages / "clone.pth").write_text("\n".join([str(self.folder), *libraries]))
        script = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]["atttrack"]
        module, _, function = script.partition(":")
        python = self.folder / ".venv/bin/python"
        path = self.folder / ".venv/bin/atttrack"
        path.write_text(f"#!{python}\nimport sys\nfrom {module} import {function}\nsys.exit({function}())\n")
        path.chmod(0o755)
        (self.folder / ".venv/.ready-to-run").touch()

    def run(self, block: Block) -> None:
        """The lines of a block, in bash; its last one in the background where it serves."""
        script = self._here(block.text).rstrip()
        *before, last = script.replace("\\\n", " ").splitlines()
        serves = last.startswith(SERVERS)
        done = self._bash("\n".join(before) if serves else script)
        assert done.returncode == 0, f"{script}\n{done.stdout}\n{done.stderr}"
        if serves:
            self.stop()
            self._server = subprocess.Popen(
                ["bash", "-c", f"source .venv/bin/activate; exec {last}"], cwd=self.folder, env=self.environment,
                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
            )  # fmt: skip
            self._wait("https" if "--tls-cert" in last else "http")

    def print_lines(self, block: Block, count: int) -> list[str]:
        """The first lines that a piece of Python prints."""
        program = [self.folder / ".venv/bin/python", "-u", "-c", self._here(block.text)]
        with subprocess.Popen(
            program, cwd=self.folder, env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        ) as running:
            assert running.stdout is not None
            lines = [line for line, _ in zip(running.stdout, range(count), strict=False)]
            running.kill()
        return lines

    def post(self, method: str, path: str, body: bytes | None = None) -> None:
        answer = httpx.request(
            method, f"http://localhost:{self.port}{path}", content=body, headers={"Content-Type": "application/json"}
        )
        answer.raise_for_status()

    def stop(self) -> None:
        """End what serves, which has to go in peace."""
        if self._server is not None:
            os.killpg(self._server.pid, signal.SIGTERM)
            code = self._server.wait(START_S)
            self._server = None
            assert code in (0, -signal.SIGTERM, 2), code

    def _here(self, text: str) -> str:
        """Another port, since 8000 may be taken."""
        return text.replace(":8000", f":{self.port}")

    def _bash(self, script: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["bash", "-euo", "pipefail", "-c", f"source .venv/bin/activate\n{script}"],
            cwd=self.folder, env=self.environment, capture_output=True, text=True, check=False, timeout=120,
        )  # fmt: skip

    def _wait(self, scheme: str) -> None:
        ends_at = time.monotonic() + START_S
        while time.monotonic() < ends_at:
            assert self._server is not None and self._server.poll() is None, "the server ended"
            with suppress(httpx.TransportError):
                if httpx.get(f"{scheme}://localhost:{self.port}/readyz", verify=False).is_success:  # noqa: S501
                    return
            time.sleep(0.1)
        pytest.fail("the server is not ready")


@pytest.fixture
def clone(tmp_path: Path) -> Iterator[Clone]:
    made = Clone(tmp_path)
    yield made
    made.stop()


def scripts(path: Path) -> list[Block]:
    return [block for block in blocks(path) if block.language == "sh" and block.skipped is None]


def test_readme_does_what_it_says(clone: Clone) -> None:
    """From the first command to the last, in order: a film, a camera, a subscriber, a key, TLS."""
    scene = Drawn(((60, 66), (320, 192)), ((100, 0), (20, 0)))
    with VideoWriter(clone.folder / "film.mp4") as film:
        for index in range(12):
            film.write(scene.frame(index).image, scene.frame(index).time_s)
    certificate = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost", "-days", "1"]
    certificate += ["-keyout", str(clone.folder / "key.pem"), "-out", str(clone.folder / "cert.pem")]
    subprocess.run(certificate, check=True, capture_output=True)
    for block in blocks(ROOT / "README.md"):
        if block.language == "python":
            clone.post("DELETE", "/streams/hall")  # nobody answers at camera.example; a drawn camera takes its place
            clone.post("POST", "/streams", b'{"url": "synthetic://?people=5&seed=1", "id": "hall"}')
            lines = clone.print_lines(block, 3)
            assert len(lines) == 3 and all(re.match(r"\d+\.\d+ \[", line) for line in lines), lines
        elif block.language == "sh" and block.skipped is None:
            clone.run(block)
    assert (clone.folder / "film.tracks.txt").is_file()
    assert (clone.folder / "film.tracked.mp4").stat().st_size > 1000


@pytest.mark.parametrize("path", [page for page in PAGES if page.name != "README.md" and scripts(page)], ids=by_name)
def test_commands_of_a_page_run_as_written(path: Path, clone: Clone) -> None:
    for block in scripts(path):
        clone.run(block)
