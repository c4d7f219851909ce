"""What a page of another origin can make its visitor's browser do: nothing."""

import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from tests.service.auth.keyed import KeyedService, code_of
from tests.service.conftest import RunningService

SCENE = "synthetic://?people=1&width=320&height=192&fps=5"
FOREIGN = ("https://evil.example", "null", "http://127.0.0.1:1", "http://localhost.evil.example", "http://[", "")


@pytest.mark.parametrize("origin", FOREIGN)
def test_page_of_another_origin_is_refused(service: RunningService, origin: str) -> None:
    with service.http as http:
        headers = {"Origin": origin}
        assert code_of(http.get("/streams", headers=headers)) == (403, "origin_not_allowed")
        assert code_of(http.post("/streams", json={"url": SCENE}, headers=headers)) == (403, "origin_not_allowed")
        assert http.get("/streams").json()["streams"] == []


@pytest.mark.parametrize("origin", FOREIGN)
def test_socket_of_another_origin_is_refused(service: RunningService, origin: str) -> None:
    address = f"ws://127.0.0.1:{service.port}/tracks"
    with pytest.raises(InvalidStatus) as refused, connect(address, additional_headers={"Origin": origin}):
        pass
    assert refused.value.response.status_code == 403


def test_own_page_is_let_in(service: RunningService) -> None:
    own = f"http://127.0.0.1:{service.port}"
    with service.http as http:
        assert http.get("/streams", headers={"Origin": own}).status_code == 200
    with connect(f"ws://127.0.0.1:{service.port}/tracks", additional_headers={"Origin": own}):
        pass


def test_listed_origin_is_let_in(start_service) -> None:
    service = start_service(origins=["https://wall.example:8443"])
    with service.http as http:
        assert http.get("/streams", headers={"Origin": "https://wall.example:8443"}).status_code == 200
        assert code_of(http.get("/streams", headers={"Origin": "https://wall.example"}))[0] == 403


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
@pytest.mark.parametrize("dest", ["image", "script", "iframe", "empty", "video"])
def test_what_a_page_of_another_site_embeds_is_refused_before_any_key_is_looked_at(
    keyed: KeyedService, site: str, dest: str
) -> None:
    mode = "navigate" if dest == "iframe" else "no-cors"
    headers = {"Sec-Fetch-Site": site, "Sec-Fetch-Mode": mode, "Sec-Fetch-Dest": dest}
    with keyed.http(None) as browser, keyed.http() as admin:
        for _ in range(10):
            answer = browser.get("/streams", params={"ticket": "bad"}, headers=headers)
            assert code_of(answer) == (403, "origin_not_allowed")
        assert admin.get("/streams").status_code == 200


def test_link_from_another_site_and_all_of_our_own_page_is_let_in(keyed: KeyedService) -> None:
    followed = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
    with keyed.http() as http:
        assert http.get("/", headers=followed).status_code == 200
        for site in ("same-origin", "none"):
            assert http.get("/streams", headers={"Sec-Fetch-Site": site}).status_code == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "192.168.1.5:8000", "localhost.evil.example", "127.0.0.1.evil.example"]
)
def test_name_that_was_made_to_point_here_is_refused_while_there_is_no_key(service: RunningService, host: str) -> None:
    with service.http as http:
        assert code_of(http.get("/streams", headers={"Host": host})) == (421, "host_not_allowed")


@pytest.mark.parametrize("host", ["localhost:8000", "127.0.0.1", "[::1]:8000", "demo.localhost"])
def test_names_of_this_machine_are_let_in(service: RunningService, host: str) -> None:
    with service.http as http:
        assert http.get("/streams", headers={"Host": host}).status_code == 200


def test_any_name_will_do_once_there_is_a_key(keyed: KeyedService) -> None:
    with keyed.http() as http:
        assert http.get("/streams", headers={"Host": "cameras.example"}).status_code == 200


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", None])
def test_body_that_a_form_could_send_is_no_json(service: RunningService, kind: str | None) -> None:
    with service.http as http:
        headers = {"Content-Type": kind} if kind else {}
        answer = http.post("/streams", content=b'{"url": "synthetic://"}', headers=headers)
        assert code_of(answer) == (422, "invalid_request")


@pytest.mark.parametrize("path", ["/streams", "/healthz", "/nothing", "/openapi.json", "/docs", "/"])
def test_every_answer_tells_browsers_what_it_is_not_for(service: RunningService, path: str) -> None:
    with service.http as http:
        answer = http.get(path)
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["x-frame-options"] == "DENY"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert answer.headers["cross-origin-resource-policy"] == "same-origin"
        assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
        assert "set-cookie" not in answer.headers
        assert "access-control-allow-origin" not in answer.headers


def test_page_may_load_nothing_from_elsewhere(service: RunningService) -> None:
    with service.http as http:
        policy = http.get("/").headers["content-security-policy"]
        assert "default-src 'self'" in policy
        for loose in ("*", "unsafe-inline", "unsafe-eval", "http:", "ws:"):
            assert loose not in policy.split()
