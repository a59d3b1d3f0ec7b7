"""Code that both services share: settings, database, problem documents, logs, health and list paging."""

__version__ = "0.1.0"
