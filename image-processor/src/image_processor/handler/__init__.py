"""The Celery worker: receives hints, reports crashed processes, limits task time, shuts down gracefully."""
