"""The AsyncAPI 3 document and the JSON Schema of the track message, both made from the models and routes themselves."""

from typing import Any

from pydantic.json_schema import models_json_schema

from service.tracks.messages import TrackMessage

Json = dict[str, Any]

JSON_SCHEMA = "https://json-schema.org/draft/2020-12/schema"
SCHEMA_FORMAT = "application/schema+json;version=draft-2020-12"
_PAYLOAD = {"schemaFormat": SCHEMA_FORMAT, "schema": {"$ref": "#/components/schemas/TrackMessage"}}
_STREAM_ID = {"streamId": {"description": "Id of the stream."}}
_PREFIX = {"prefix": {"default": "atttrack", "description": "Option `prefix` of the sink's URL."}}
_BROKERS = {
    "mqtt": ("{prefix}/streams/{streamId}/tracks", "Topic of an MQTT sink."),
    "redis": (
        "{prefix}:streams:{streamId}:tracks",
        "Redis stream of a Redis sink; the message is in its field `message`.",
    ),
    "nats": ("{prefix}.streams.{streamId}.tracks", "Subject of a NATS sink; a dot in the id is written %2E."),
    "kafka": ("{prefix}.tracks", "Topic of a Kafka sink; the key of a record is the stream's id."),
}


def message_schema() -> Json:
    """Return the JSON Schema (2020-12) of the message tracks/1 as it is sent whole, without the parameter `fields`."""
    return {"$schema": JSON_SCHEMA} | TrackMessage.model_json_schema(by_alias=True, mode="serialization")


def document(openapi: Json) -> Json:
    """Return the AsyncAPI document; `openapi` is the HTTP interface's, for what both have in common."""
    _, schemas = models_json_schema([(TrackMessage, "serialization")], ref_template="#/components/schemas/{model}")
    channels = _socket_channels(openapi) | _broker_channels()
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": openapi["info"]["title"],
            "version": openapi["info"]["version"],
            "description": "Track messages by WebSocket and through brokers: one per frame and stream, the same JSON "
            "everywhere. The HTTP interface is described at /openapi.json.",
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": "application/json",
        "servers": _servers(),
        "channels": channels,
        "operations": {
            f"send_{name}": {
                "action": "send",
                "channel": {"$ref": f"#/channels/{name}"},
                "messages": [{"$ref": f"#/channels/{name}/messages/{message}"} for message in channel["messages"]],
            }
            for name, channel in channels.items()
        },
        "components": {
            "messages": {
                "tracks": {
                    "name": "tracks/1",
                    "title": "Tracks of one frame",
                    "contentType": "application/json",
                    "payload": _PAYLOAD,
                },
                "available": {
                    "name": "available",
                    "title": "Whether the service is connected; retained, and the Last Will",
                    "contentType": "text/plain",
                    "payload": {"type": "string", "enum": ["online", "offline"]},
                },
            },
            "schemas": schemas["$defs"],
        },
    }


def _servers() -> Json:
    def server(protocol: str, default: str) -> Json:
        return {"host": "{host}", "protocol": protocol, "variables": {"host": {"default": default}}}

    return {
        "service": server("ws", "127.0.0.1:8000"),
        "mqtt": server("mqtt", "127.0.0.1:1883"),
        "redis": server("redis", "127.0.0.1:6379"),
        "nats": server("nats", "127.0.0.1:4222"),
        "kafka": server("kafka", "127.0.0.1:9092"),
    }


def _channel(server: str, address: str, message: str, description: str, parameters: Json) -> Json:
    return {
        "address": address,
        "description": description,
        "servers": [{"$ref": f"#/servers/{server}"}],
        "messages": {message: {"$ref": f"#/components/messages/{message}"}},
        "parameters": parameters,
    }


def _socket_channels(openapi: Json) -> Json:
    """The query of the WebSockets is that of the GET route at the same path."""
    parameters = openapi["paths"]["/streams/{stream_id}/tracks"]["get"]["parameters"]
    query = {one["name"]: _present(one["schema"]) for one in parameters if one["in"] == "query"}
    del query["last"]
    of_many = {name: schema for name, schema in query.items() if name != "from_seq"} | {
        "streams": {"type": "string", "description": "Ids, separated by commas; all streams where it is absent."}
    }
    closes = "Closed with code 1000 when the stream is removed, with 1001 when the service ends."
    one = _channel("service", "/streams/{streamId}/tracks", "tracks", f"One stream. {closes}", _STREAM_ID)
    many = _channel("service", "/tracks", "tracks", f"Several streams, or all. {closes}", {})
    one["bindings"] = {"ws": {"method": "GET", "query": {"type": "object", "properties": query}}}
    many["bindings"] = {"ws": {"method": "GET", "query": {"type": "object", "properties": of_many}}}
    return {"stream": one, "streams": many}


def _present(schema: Json) -> Json:
    """The schema of an optional parameter where it is given: without the null that stands for its absence."""
    given: Json
    (given,) = (one for one in schema.get("anyOf", [schema]) if one.get("type") != "null")
    kept: Json = {name: value for name, value in schema.items() if name not in ("anyOf", "title")}
    return kept | given


def _broker_channels() -> Json:
    channels = {
        broker: _channel(
            broker, address, "tracks", description, _PREFIX | (_STREAM_ID if "{streamId}" in address else {})
        )
        for broker, (address, description) in _BROKERS.items()
    }
    available = _channel("mqtt", "{prefix}/available", "available", "Whether the service is there.", _PREFIX)
    return channels | {"mqttAvailable": available}
