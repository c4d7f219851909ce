"""The front door: one command over all programs of the project. Nothing imports it."""
