"""What subscribers get: messages and events, their history, their formats, and the picture with tracks on it."""
