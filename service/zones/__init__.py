"""Zones and lines of a stream: who is inside, who came and went, who crossed which way, and for how long."""
