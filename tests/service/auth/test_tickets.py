"""Tickets: one request, for a moment, to read."""

import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from service.auth.caller import Caller
from service.auth.tickets import LIFETIME_S, MOST, Tickets
from service.errors import LimitReached
from tests.service.auth.keyed import KeyedService, code_of

SCENE = "synthetic://?people=1&width=320&height=192&fps=5"


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_unknown_ticket_is_nobody() -> None:
    assert Tickets().redeem("") is None


def test_ticket_works_once_and_only_reads() -> None:
    tickets = Tickets()
    ticket = tickets.issue(Caller("boss", "admin", frozenset({"door"})))
    assert tickets.redeem(ticket) == Caller("boss", "read", frozenset({"door"}))
    assert tickets.redeem(ticket) is None


def test_ticket_ages() -> None:
    clock = Clock()
    tickets = Tickets(clock)
    old, young = tickets.issue(Caller("a", "read")), ""
    clock.now = LIFETIME_S - 0.1
    young = tickets.issue(Caller("b", "read"))
    clock.now = LIFETIME_S
    assert tickets.redeem(old) is None
    assert tickets.redeem(young) is not None


def test_tickets_do_not_pile_up() -> None:
    clock = Clock()
    tickets = Tickets(clock)
    for _ in range(MOST):
        tickets.issue(Caller("a", "read"))
    with pytest.raises(LimitReached):
        tickets.issue(Caller("a", "read"))
    clock.now = LIFETIME_S
    assert tickets.issue(Caller("a", "read"))


def test_ticket_opens_one_socket(keyed: KeyedService) -> None:
    with keyed.http() as http:
        http.post("/streams", json={"url": SCENE, "id": "scene"})
        ticket = http.post("/tickets", json={"streams": ["scene"]}).json()["ticket"]
    address = f"{keyed.service.ws_url('scene')}?ticket={ticket}"
    with connect(address) as socket:
        assert socket.recv(20)
    with pytest.raises(InvalidStatus) as refused, connect(address):
        pass
    assert refused.value.response.status_code == 401


def test_ticket_opens_a_picture_and_writes_nothing(keyed: KeyedService) -> None:
    with keyed.http() as http, keyed.http(None) as browser:
        http.post("/streams", json={"url": SCENE, "id": "scene"})

        def ticket() -> dict[str, str]:
            return {"ticket": http.post("/tickets").json()["ticket"]}

        assert browser.get("/streams/scene", params=ticket()).status_code == 200
        assert code_of(browser.delete("/streams/scene", params=ticket())) == (403, "scope_too_small")
        assert code_of(browser.post("/keys", json={}, params=ticket())) == (403, "scope_too_small")
        assert code_of(browser.get("/streams", params={"ticket": "made-up"})) == (401, "ticket_refused")


def test_ticket_shows_no_more_than_its_streams(keyed: KeyedService) -> None:
    key = keyed.make_key("door-only", "read", ["door"])
    with keyed.http() as http, keyed.http(key) as door, keyed.http(None) as browser:
        http.post("/streams", json={"url": SCENE, "id": "scene"})
        assert code_of(door.post("/tickets", json={"streams": ["scene"]})) == (404, "stream_not_found")
        mine = {"ticket": door.post("/tickets").json()["ticket"]}
        assert code_of(browser.get("/streams/scene", params=mine)) == (404, "stream_not_found")
        narrowed = {"ticket": http.post("/tickets", json={"streams": ["door"]}).json()["ticket"]}
        assert code_of(browser.get("/streams/scene", params=narrowed)) == (404, "stream_not_found")


def test_open_service_gives_tickets_too_so_that_pages_need_not_care(start_service) -> None:
    with start_service().http as http:
        ticket = http.post("/tickets").json()["ticket"]
        assert http.get("/streams", params={"ticket": ticket}).status_code == 200
