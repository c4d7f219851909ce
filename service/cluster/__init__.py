"""Past one process: nodes that track, gateways that answer, and NATS JetStream between them."""
