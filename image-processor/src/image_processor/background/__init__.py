"""Background threads: heartbeat, relay and housekeeping of a worker; the sender of webhooks."""
