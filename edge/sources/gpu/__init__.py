"""Decoders in hardware: what a machine has, tried on a short clip."""
