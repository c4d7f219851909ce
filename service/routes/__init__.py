"""Routes of the service, one noun per file."""
