"""Today's tests of the routes once more, against `atttrack box` with two nodes: what a client sees is the same."""

import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import httpx
import pytest
from websockets.exceptions import WebSocketException
from websockets.sync.client import connect

from tests.service import test_streams_route as streams
from tests.service import test_timeline_route as timeline
from tests.service import test_tracks_route as tracks
from tests.service import test_video_route as video
from tests.service.cluster.running_box import Box, running_box
from tests.service.waiting import wait_until
from tests.service.zones import test_zones_route as zones

SAME = (
    streams.test_list_is_empty_at_first,
    streams.test_url_is_enough_to_add_a_stream,
    streams.test_running_stream_tells_its_numbers,
    streams.test_same_stream_again_is_the_same_stream,
    streams.test_removed_stream_is_gone_and_its_id_is_free,
    streams.test_unknown_stream_is_not_found,
    streams.test_every_answer_for_a_stream_that_comes_and_goes_is_a_whole_stream_or_a_problem,
    streams.test_bad_stream_is_refused_with_a_stable_code,
    streams.test_refused_field_is_named,
    streams.test_body_that_is_no_json_is_refused,
    streams.test_unknown_path_and_wrong_method_are_problems,
    streams.test_a_body_that_cannot_be_used_is_told_what_was_expected_and_what_came,
    streams.test_a_refused_value_that_may_be_a_password_is_not_repeated,
    streams.test_request_sent_again_with_its_key_adds_nothing,
    streams.test_conflict_names_what_differs_and_no_value,
    streams.test_many_at_once_with_the_same_id_make_one_stream,
    streams.test_change_is_told_by_the_next_messages,
    streams.test_other_address_is_opened_and_identities_start_anew,
    streams.test_bad_change_is_refused_and_changes_nothing,
    streams.test_change_of_nothing_changes_nothing,
    streams.test_change_of_what_somebody_else_changed_is_refused,
    streams.test_locked_camera_opens_with_credentials_only,
    streams.test_file_that_ended_is_stopped,
    streams.test_camera_that_is_not_there_is_tried_again_and_disturbs_nobody,
    streams.test_openapi_describes_messages_and_problems_and_the_docs_need_no_other_host,
    tracks.test_unknown_stream_is_refused_before_the_handshake,
    tracks.test_camera_gives_a_message_per_frame_in_the_rhythm_of_k,
    tracks.test_predicted_frames_tell_of_the_same_people_and_for_how_long_nobody_saw_them,
    tracks.test_a_stream_may_become_adaptive_while_it_runs,
    tracks.test_tracks_stand_where_people_are,
    tracks.test_bad_wishes_are_refused_before_the_handshake,
    tracks.test_event_id_that_no_browser_got_from_here_is_ignored,
    tracks.test_every_person_is_new_before_their_first_message,
    tracks.test_what_a_client_says_is_ignored,
    tracks.test_subscribers_who_leave_are_forgotten,
    tracks.test_who_comes_back_gets_what_was_missed,
    tracks.test_filters_choose_fields_and_rate,
    tracks.test_one_socket_follows_several_streams_or_all,
    tracks.test_newest_messages_by_get,
    tracks.test_stream_without_frames_has_no_messages,
    tracks.test_server_sent_events_resume_and_end_with_the_stream,
    tracks.test_recorded_window_is_exported,
    video.test_stream_without_a_frame_has_no_picture,
    video.test_frame_comes_with_and_without_boxes,
    video.test_video_shows_one_picture_after_the_other,
    video.test_small_frame_is_small_and_has_boxes,
    video.test_video_ends_when_its_stream_is_removed,
    timeline.test_stream_without_frames_has_an_empty_hour,
    timeline.test_people_and_events_are_told_and_exported,
    timeline.test_stills_are_kept_when_asked_for_and_go_with_the_stream,
    timeline.test_span_that_is_none_is_refused,
    zones.test_stream_without_zones_has_none_and_counts_nothing,
    zones.test_zones_by_post_patch_and_put_are_the_same_zones,
    zones.test_zone_that_cannot_be_is_refused_by_name_and_changes_nothing,
    zones.test_change_of_another_version_is_refused,
    zones.test_people_are_counted_reset_and_told_in_the_messages,
)
globals().update({f"{one.__name__}_in_front_of_a_box": one for one in SAME})


@pytest.fixture(scope="module")
def service(models: Path, media: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Box]:
    with running_box(models, media, tmp_path_factory.mktemp("box")) as box:
        yield box


def test_streams_are_placed_on_both_nodes_and_drained_by_a_request(client: httpx.Client, service: Box) -> None:
    for number in range(4):
        body = {"id": f"s{number}", "url": f"synthetic://?people=1&width=160&height=96&fps=2&seed={number}"}
        assert client.post("/streams", json=body).status_code == 201
    wait_until(lambda: sorted(map(len, service.nodes().values())) == [2, 2], 30, "two streams for each")
    assert client.post("/cluster/nodes/node-0/drain").status_code == 204
    wait_until(lambda: len(service.nodes()["node-1"]) == 4, 30, "the other node to have all")
    assert client.delete("/cluster/nodes/node-0/drain").status_code == 204
    assert client.post("/cluster/nodes/nobody/drain").json()["code"] == "node_not_found"


def test_list_is_in_the_order_of_creation_and_may_be_by_state_in_front_of_a_box(
    client: httpx.Client, service: Box
) -> None:
    """Asked at rest: a stream that one node gives to the other does not run meanwhile."""
    for name in "bc":
        client.post("/streams", json={"url": streams.SCENE, "id": name})
    wait_until(lambda: sorted(map(len, service.nodes().values())) == [1, 1], 30, "one stream for each")
    streams.test_list_is_in_the_order_of_creation_and_may_be_by_state(client)


def test_drain_that_a_frozen_node_does_not_hear_is_not_taken_for_done(client: httpx.Client, service: Box) -> None:
    frozen = service.pid_of("node-1")
    assert frozen is not None
    os.kill(frozen, signal.SIGSTOP)
    try:
        answer = client.post("/cluster/nodes/node-1/drain")
    finally:
        os.kill(frozen, signal.SIGCONT)
    assert (answer.status_code, answer.json()["code"]) == (503, "node_away")
    assert "node-1" in answer.json()["detail"]
    wait_until(lambda: len(service.nodes()) == 2, 30, "the node to be back")
    assert client.delete("/cluster/nodes/node-1/drain").status_code == 204, "it may have heard after all"


@pytest.mark.parametrize("name", ["nats-server", "node-0", "gateway"])
def test_box_starts_again_what_is_killed_and_streams_go_on(client: httpx.Client, service: Box, name: str) -> None:
    for stream in "ab":
        assert client.post("/streams", json={"url": streams.SCENE, "id": stream}).status_code == 201
    wait_until(lambda: sorted(map(len, service.nodes().values())) == [1, 1], 30, "one stream for each")
    before, killed = service.nodes(), service.pid_of(name)
    os.kill(killed, signal.SIGKILL)
    wait_until(lambda: service.pid_of(name) not in (None, killed), 30, f"{name} to be started again")
    wait_until(lambda: service.nodes().keys() == before.keys(), 60, "both nodes")
    for stream in "ab":
        wait_until(lambda stream=stream: new_messages(service, stream), 60, "messages")
    if name != "node-0":
        assert service.nodes() == before, "no stream has moved"


def new_messages(service: Box, stream_id: str) -> bool:
    """Whether messages of a stream come from now on."""
    with suppress(OSError, WebSocketException), connect(service.ws_url(stream_id)) as socket:
        return all(socket.recv(2) for _ in range(3))
    return False


def test_gateway_shows_a_page_for_admins(client: httpx.Client) -> None:
    page = client.get("/nodes")
    assert "Nodes" in page.text
    assert "Content-Security-Policy" in page.headers
