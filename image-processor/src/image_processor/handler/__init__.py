"""The Celery worker: takes hints, reports crashed processes, limits task time, shuts down gracefully."""
