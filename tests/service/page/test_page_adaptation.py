"""The page of a stream that adapts: switched on by a box, told in a sentence, and taken back by a button."""

import pytest

from service.adaptation import gathering, training
from tests.service.page.conftest import Page


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "PROGRAM", "tests.support.scripted_round")
    monkeypatch.setenv("SCRIPTED_ROUND", "better")
    monkeypatch.setattr(gathering, "LONGEST", 6)
    monkeypatch.setattr(gathering, "SHORTEST", 4)


def test_the_box_turns_it_on_and_a_sentence_says_what_it_does(watched: Page) -> None:
    watched.wait_shown("adapt-part")
    assert watched.text("adaptation") == ""
    watched.click("adapt")
    watched.wait_text("adaptation", "The pair's own student; ")
    assert watched.stream()["adapt"] is True
    member = watched.service.runtime.registry.get("door").adaptation
    member.learning.next_s = member.gathering._next_s = 0.0  # an hour is nothing to wait for
    member.gathering._every_s = lambda: 0.0
    watched.wait_text("adaptation", "Student of round 1; ", 60)
    watched.wait_text("adaptation", "round 1: the new student was better and is taken.")
    watched.wait_shown("adapt-back")
    watched.click("adapt-back")
    watched.wait_text("adaptation", "The pair's own student; ")
    watched.click("adapt")
    watched.wait("document.getElementById('adapt-back').hidden")
    assert "adaptation" not in watched.stream()


def test_a_refusal_is_told_and_the_box_is_as_before(watched: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    from service.adaptation import settings

    monkeypatch.setattr(settings, "find_spec", lambda name: None)
    watched.click("adapt")
    watched.wait_text("controls-problem", "pip install")
    watched.wait("!document.getElementById('adapt').checked")
