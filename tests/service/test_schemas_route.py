"""/asyncapi.json and /schemas: the documents hold together, and real messages obey them."""

import json
import re
from collections.abc import Iterator
from typing import Any

import httpx
import jsonschema
import pytest
from websockets.sync.client import connect

from service.app import create_app
from service.settings import Settings
from service.tracks.asyncapi import document, message_schema
from service.tracks.messages import TrackMessage
from tests.service.conftest import RunningService

Json = dict[str, Any]


@pytest.fixture(scope="module")
def asyncapi(service: RunningService) -> Json:
    with service.http as http:
        answer = http.get("/asyncapi.json")
    assert answer.status_code == 200
    made: Json = answer.json()
    return made


def references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"]
        for value in node.values():
            yield from references(value)
    elif isinstance(node, list):
        for value in node:
            yield from references(value)


def resolve(document: Json, reference: str) -> Any:
    assert reference.startswith("#/"), f"{reference} leads out of the document"
    node: Any = document
    for part in reference[2:].split("/"):
        node = node[part.replace("~1", "/").replace("~0", "~")]
    return node


def test_every_reference_leads_somewhere(asyncapi: Json) -> None:
    found = list(references(asyncapi))
    assert len(found) > 20
    for reference in found:
        resolve(asyncapi, reference)


def test_document_has_the_parts_that_asyncapi_3_asks_for(asyncapi: Json) -> None:
    assert asyncapi["asyncapi"] == "3.0.0"
    assert {"title", "version"} <= asyncapi["info"].keys()
    for server in asyncapi["servers"].values():
        assert {"host", "protocol"} <= server.keys()
    for channel in asyncapi["channels"].values():
        parameters = re.findall(r"\{(\w+)\}", channel["address"])
        assert sorted(parameters) == sorted(channel["parameters"])
        assert channel["messages"]
    for operation in asyncapi["operations"].values():
        assert operation["action"] == "send"
        channel = resolve(asyncapi, operation["channel"]["$ref"])
        for message in operation["messages"]:
            assert message["$ref"].startswith(operation["channel"]["$ref"] + "/messages/")
            assert resolve(asyncapi, message["$ref"]) in channel["messages"].values()
    assert len(asyncapi["operations"]) == len(asyncapi["channels"]) == 7


def test_sockets_are_described_as_they_are(asyncapi: Json, service: RunningService) -> None:
    stream, streams = asyncapi["channels"]["stream"], asyncapi["channels"]["streams"]
    assert (stream["address"], streams["address"]) == ("/streams/{streamId}/tracks", "/tracks")
    assert {"zones", "fields", "max_rate", "from_seq"} <= stream["bindings"]["ws"]["query"]["properties"].keys()
    assert {"zones", "fields", "max_rate", "streams"} <= streams["bindings"]["ws"]["query"]["properties"].keys()
    for channel in (stream, streams):
        jsonschema.Draft202012Validator.check_schema(channel["bindings"]["ws"]["query"])


def test_published_schema_is_that_of_the_model(service: RunningService) -> None:
    with service.http as http:
        schema = http.get("/schemas/tracks-1.json").json()
    assert schema == message_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    assert set(schema["properties"]) == {field.alias or name for name, field in TrackMessage.model_fields.items()}


def test_real_messages_obey_the_schema(service: RunningService, asyncapi: Json) -> None:
    own = jsonschema.Draft202012Validator(message_schema())
    payload = asyncapi["components"]["messages"]["tracks"]["payload"]["schema"]
    told = jsonschema.Draft202012Validator(payload | {"components": asyncapi["components"]})
    with service.http as http:
        http.post("/streams", json={"url": "synthetic://?people=4&width=320&height=192&fps=20", "id": "scene"})
        with connect(service.ws_url("scene")) as socket:
            messages = [json.loads(socket.recv(20)) for _ in range(15)]
        http.delete("/streams/scene")
    assert any(message["tracks"] for message in messages)
    for message in messages:
        own.validate(message)
        told.validate(message)
    wrong = messages[-1] | {"seq": 0}
    assert not own.is_valid(wrong)
    assert not told.is_valid(wrong)
    assert not own.is_valid(messages[-1] | {"events": [{"type": "vanish"}]})


def test_document_is_made_of_the_http_interface(service: RunningService, asyncapi: Json) -> None:
    with service.http as http:
        openapi: httpx.Response = http.get("/openapi.json")
    assert document(openapi.json()) == asyncapi


def test_every_route_has_a_summary_for_people_and_the_websocket_is_described() -> None:
    document = create_app(Settings()).openapi()
    operations = {(path, method): one for path, each in document["paths"].items() for method, one in each.items()}
    assert len(operations) > 20
    for (path, method), one in operations.items():
        function = one["operationId"].partition("__")[0].partition("_streams_")[0]
        assert one["summary"].lower().replace(" ", "_") not in (function, one["operationId"]), (method, path)
        assert len(one["summary"].split()) >= 3 and one["description"], (method, path)
    for word in ("WebSocket", "from_seq", "max_rate", "ticket", "gap", "1000", "1001"):
        assert word in document["info"]["description"]
