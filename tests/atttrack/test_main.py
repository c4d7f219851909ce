"""`atttrack` as its user types it."""

import argparse
import re
import subprocess
import sys
import tomllib
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from atttrack.__main__ import PROGRAMS, main

ROOT = Path(__file__).resolve().parent.parent.parent
WITH_TORCH = ("train", "export")


def parameters(words: Sequence[str]) -> list[Any]:
    return [
        pytest.param(one, marks=pytest.mark.training if one.partition(" ")[0] in WITH_TORCH else ()) for one in words
    ]


@pytest.fixture
def parsers(monkeypatch: pytest.MonkeyPatch) -> list[argparse.ArgumentParser]:
    """Every parser that was asked for its help."""
    asked: list[argparse.ArgumentParser] = []
    show = argparse.ArgumentParser.print_help

    def remember(parser: argparse.ArgumentParser, *more: Any) -> None:
        asked.append(parser)
        show(parser, *more)

    monkeypatch.setattr(argparse.ArgumentParser, "print_help", remember)
    return asked


def test_nothing_said_shows_what_there_is(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    shown = capsys.readouterr().out
    assert all(words in shown for words in PROGRAMS)


@pytest.mark.parametrize("arguments", [["--help"], ["-h"], ["help"], ["bench", "--help"], ["export", "-h"]])
def test_help_names_the_programs(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 0
    group = arguments[0] if len(arguments) > 1 else ""
    shown = capsys.readouterr().out
    assert [words for words in PROGRAMS if f"  {words} " in shown] == [w for w in PROGRAMS if w.startswith(group)]
    typed = [
        line.split()[1:] for line in shown.partition("examples:")[2].splitlines() if line.startswith("  atttrack ")
    ]
    assert typed and all(words[0] in PROGRAMS or " ".join(words[:2]) in PROGRAMS for words in typed)


@pytest.mark.parametrize("words", parameters(list(PROGRAMS)))
def test_every_program_has_a_usage_that_can_be_typed_and_says_its_defaults(
    words: str, capsys: pytest.CaptureFixture[str], parsers: list[argparse.ArgumentParser]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main([*words.split(), "--help"])
    assert ended.value.code == 0
    shown = capsys.readouterr().out
    assert shown.startswith(f"usage: atttrack {words}")
    for parser in with_nested(parsers[0]):
        help_page = parser.format_help().replace(f"usage: {parser.prog}", "", 1)
        assert re.search(rf"^ *(.*= *\w+ )?{parser.prog}\b", help_page, re.MULTILINE), f"no example of {parser.prog}"
        assert "list[" not in help_page and "(default: )" not in help_page
        for action in parser._actions:
            name = f"{'/'.join(action.option_strings) or action.dest} of {parser.prog}"
            said = parser._get_formatter()._expand_help(action) if action.help else ""
            assert said or isinstance(action, argparse._SubParsersAction), f"{name} does not say what it is"
            if action.option_strings and action.nargs != 0 and not action.required and action.help != argparse.SUPPRESS:
                assert "default" in said, f"{name} does not say its default"


@pytest.mark.parametrize("words", parameters(list(PROGRAMS)))
def test_where_a_result_goes_is_called_output_everywhere(
    words: str, capsys: pytest.CaptureFixture[str], parsers: list[argparse.ArgumentParser]
) -> None:
    """Older names are understood, but not shown."""
    with pytest.raises(SystemExit):
        main([*words.split(), "--help"])
    shown = [action for action in parsers[0]._actions if action.help != argparse.SUPPRESS and action.nargs != 0]
    assert not {"--out", "--json"} & {option for action in shown for option in action.option_strings}


def with_nested(parser: argparse.ArgumentParser) -> list[argparse.ArgumentParser]:
    """A parser, and those of its verbs."""
    nested = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    return [parser, *(verb for action in nested for verb in action.choices.values())]


@pytest.mark.parametrize("words", parameters(list(PROGRAMS)))
def test_a_flag_that_there_is_not_is_refused_in_one_sentence(words: str, capsys: pytest.CaptureFixture[str]) -> None:
    try:
        code: object = main([*words.split(), "--nonsense"])
    except SystemExit as ended:
        code = ended.code
    said = capsys.readouterr()
    assert code == (1 if words == "doctor" else 2)
    if words == "doctor":  # it goes on with what does not depend on settings
        assert "see atttrack config check --nonsense" in said.out
    else:
        assert said.err.splitlines()[-1].startswith("atttrack")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["trak", "film.mp4"], "there is no 'trak', did you mean 'track'?"),
        (["film.mp4"], "there is no 'film.mp4'; try: atttrack --help"),
        (["bench"], "bench what? One of fps,"),
        (["bench", "fsp"], "there is no 'fsp', did you mean 'fps'?"),
        (["export", "xyz"], "there is no 'xyz'; try: atttrack export --help"),
        (["--k", "4"], "there is no '--k'; try: atttrack --help"),
        ([""], "there is no ''; try: atttrack --help"),
    ],
)
def test_wrong_words_get_one_sentence(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 2
    said = capsys.readouterr().err
    assert message in said
    assert said.count("\n") == 1


@pytest.mark.training
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train", "/nowhere/recipe.toml", "--data", "/nowhere", "--runs", "runs"], "/nowhere/recipe.toml"),
        (["export", "onnx", "/nowhere/w.pt", "--role", "teacher", "--output", "x.onnx"], "/nowhere/w.pt"),
        (["export", "onnx", "w.pt", "--role", "teacher", "--output", "x.onnx", "--size", "big"], "big"),
        (["export", "precision", "/nowhere/m.onnx", "--precision", "fp16", "--output", "x.onnx"], "/nowhere/m.onnx"),
        (["bench", "accuracy", "--data", "/nowhere"], "/nowhere"),
    ],
)
def test_what_is_not_there_is_said_in_one_sentence(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        code: object = main(arguments)
    except SystemExit as ended:
        code = ended.code
    said = capsys.readouterr().err
    assert code == 2
    assert message in said.splitlines()[-1]
    assert said.splitlines()[-1].startswith("atttrack ")


def test_a_library_that_is_missing_is_named_with_what_brings_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    for name in [name for name in sys.modules if name.partition(".")[0] in ("training", "export")]:
        monkeypatch.delitem(sys.modules, name)
    assert main(["train", "recipe.toml"]) == 2
    assert capsys.readouterr().err == (
        "atttrack train: torch is not installed here; pip install -e '.[training]' brings it\n"
    )


def test_what_serves_and_tracks_never_meets_torch() -> None:
    program = """
import sys
from atttrack.__main__ import main
for word in sys.argv[1:]:
    try:
        main([word, "--help"])
    except SystemExit:
        pass
print("torch" in sys.modules)
"""
    words = ["serve", "track", "doctor", "keys", "config"]
    done = subprocess.run(
        [sys.executable, "-c", program, *words], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.stdout.splitlines()[-1] == "False", done.stderr


def test_the_script_that_is_installed_is_this_program() -> None:
    script = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]["atttrack"]
    module, _, function = script.partition(":")
    assert getattr(import_module(module), function) is main
