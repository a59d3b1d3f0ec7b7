"""Background threads: heartbeat, relay and housekeeping of a worker, and the webhook sender."""
