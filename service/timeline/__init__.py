"""What happened at each stream over hours and days: people over time, zone events, and a still at each event."""
