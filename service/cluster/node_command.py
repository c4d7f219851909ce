"""`atttrack node`: one device with its streams, as a part of a cluster."""

from collections.abc import Sequence

from service.app import build_pipeline
from service.cluster.node import Node, health_app
from service.cluster.options import ClusterOptions, parse
from service.cluster.serving import serve
from service.logs import configure_logs
from service.settings import Settings

EXAMPLES = """\
examples:
  CUDA_VISIBLE_DEVICES=0 atttrack node --nats tls://nats1:4222,tls://nats2:4222 --name hall-0
  ATTTRACK_NATS=nats://node:PASSWORD@nats1:4222 atttrack node --max-streams 32

All settings of `atttrack serve` may follow; the port is for /healthz and /metrics, and is free unless given.
"""


def main(arguments: Sequence[str]) -> None:
    """Run a node until it is told to stop."""
    options, settings = parse("node", "One device with its streams, as a part of a cluster.", EXAMPLES, arguments)
    given = {flag.partition("=")[0] for flag in arguments}
    settings = settings.model_copy(update=of_node(settings, options, "--port" in given))
    configure_logs(settings.log_level, settings.log_format)
    node = Node(settings, options, lambda progress: build_pipeline(settings, progress))
    serve(health_app(node), settings, node, lambda: node.runtime.worker.alive)


def of_node(settings: Settings, options: ClusterOptions, port_given: bool) -> dict[str, object]:
    """What of the settings is otherwise for a node: its files are its own, its port is free unless it is given."""
    folder = settings.store_path
    changed: dict[str, object] = {"demo": False, "cameras": []}
    if folder is not None:
        changed["state_dir"] = folder.parent / "nodes" / options.name
    return changed if port_given or settings.port != Settings.model_fields["port"].default else {**changed, "port": 0}
