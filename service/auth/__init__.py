"""Who may do what: callers, API keys, tickets and the guard that asks for them."""
