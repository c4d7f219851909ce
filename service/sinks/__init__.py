"""Sinks: brokers that get every track message, the same JSON as subscribers do."""
