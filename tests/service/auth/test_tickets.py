"""Tickets: one request, for a moment, to read."""

from contextlib import ExitStack

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from service.auth.caller import Caller
from service.auth.tickets import LIFETIME_S, MOST_PER_KEY, Tickets
from service.errors import LimitReached
from tests.service.auth.keyed import KeyedService, bearer, code_of
from tests.service.waiting import wait_until

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
    assert tickets.redeem(ticket) == Caller("boss", "read", frozenset({"door"}), "", by_ticket=True)
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


def test_tickets_of_one_key_do_not_pile_up_and_leave_the_others_theirs() -> None:
    clock = Clock()
    tickets = Tickets(clock)
    greedy, modest = Caller("a", "read", key_id="1"), Caller("b", "read", key_id="2")
    issued = [tickets.issue(greedy) for _ in range(MOST_PER_KEY)]
    with pytest.raises(LimitReached):
        tickets.issue(greedy)
    assert tickets.redeem(tickets.issue(modest)) is not None
    assert tickets.redeem(issued[0]) is not None
    issued.append(tickets.issue(greedy))  # one was used
    with pytest.raises(LimitReached):
        tickets.issue(greedy)
    clock.now = LIFETIME_S
    assert tickets.issue(greedy)
    assert len(tickets._issued) == 1


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


def test_ticket_makes_no_tickets(keyed: KeyedService) -> None:
    with keyed.http(keyed.make_key("reader", "read")) as reader, keyed.http(None) as browser:
        ticket = {"ticket": reader.post("/tickets").json()["ticket"]}
        assert code_of(browser.post("/tickets", params=ticket)) == (403, "key_needed")


@pytest.mark.parametrize("way", ["revoked", "expired"])
@pytest.mark.parametrize("by", ["key", "ticket"])
def test_everything_that_a_key_opened_ends_with_it(keyed: KeyedService, way: str, by: str) -> None:
    body = {"name": f"leaked-{way}-{by}", "scope": "read", **({"expires_in_s": 3} if way == "expired" else {})}
    with keyed.http() as admin:
        key = admin.post("/keys", json=body).json()["key"]
        admin.post("/streams", json={"url": SCENE, "id": "scene"})
        with keyed.http(key) as reader, ExitStack() as open_ones:

            def address(path: str) -> tuple[str, dict[str, str]]:
                if by == "key":
                    return path, bearer(key)
                return f"{path}?ticket={reader.post('/tickets').json()['ticket']}", {}

            unused = reader.post("/tickets").json()["ticket"]
            url, headers = address(keyed.service.ws_url("scene"))
            sockets = [open_ones.enter_context(connect(url, additional_headers=headers))]
            url, headers = address(f"ws://127.0.0.1:{keyed.service.port}/tracks")
            sockets.append(open_ones.enter_context(connect(url, additional_headers=headers)))
            answers = []
            for path, accept in (("/streams/scene/tracks", "text/event-stream"), ("/streams/scene/video", "*/*")):
                url, headers = address(path)
                bare = open_ones.enter_context(keyed.service.http)
                answers.append(open_ones.enter_context(bare.stream("GET", url, headers={**headers, "Accept": accept})))
                assert answers[-1].status_code == 200
            for socket in sockets:
                assert socket.recv(20)
            if way == "revoked":
                assert admin.delete(f"/keys/{body['name']}").status_code == 204
            for socket in sockets:
                with pytest.raises(ConnectionClosed) as closed:
                    while True:
                        socket.recv(10)
                assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (1008, "key_refused")
            for answer in answers:
                for _ in answer.iter_raw():  # and comes to an end
                    pass
            assert reader.post("/tickets").status_code in (401, 429)
            with keyed.http(None) as browser:
                assert browser.get("/streams", params={"ticket": unused}).status_code in (401, 429)
            wait_until(lambda: len(keyed.guard.subscriptions) == 0, 10, "no seat to be left")


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
