"""Tasks as users see them: created, listed, followed, cancelled, restarted, deleted."""
