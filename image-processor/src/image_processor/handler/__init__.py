"""The job engine around Celery: messages in, crashes noticed, overdue messages sent again."""
