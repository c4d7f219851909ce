"""Streams while they run: from the specification to the worker that tracks them."""
