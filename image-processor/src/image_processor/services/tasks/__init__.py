"""Tasks as people see them: created, listed, followed, cancelled."""
