"""The schema's history; ``python -m file_storage.migrations`` brings a database up to date."""
