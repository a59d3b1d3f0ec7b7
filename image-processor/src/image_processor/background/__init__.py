"""A worker's background threads: heartbeat, relay, housekeeping, webhooks."""
