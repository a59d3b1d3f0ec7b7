"""Threads of a worker besides its tasks: heartbeat, relay, webhooks, the watch on the clock."""
