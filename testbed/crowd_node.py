"""A node of a cluster with a crowd for networks: for measuring and testing what comes around a frame's tracks.

python -m testbed.crowd_node --name hall-0
"""

import sys

from service.cluster.node import Node, health_app
from service.cluster.node_command import of_node
from service.cluster.options import parse
from service.cluster.serving import serve
from service.logs import configure_logs
from testbed.crowd_service import CrowdPipeline


def main(arguments: list[str]) -> None:
    """Run it until it is told to stop."""
    options, settings = parse("node", "A node without networks.", "", arguments)
    settings = settings.model_copy(update=of_node(settings, options, port_given=False))
    configure_logs(settings.log_level, settings.log_format)
    serve(health_app(node := Node(settings, options, lambda progress: CrowdPipeline(20))), settings, node)


if __name__ == "__main__":
    main(sys.argv[1:])
