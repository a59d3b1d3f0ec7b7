"""The job engine around Celery: hints in, crashes noticed, lost hints sent again, webhooks out."""
