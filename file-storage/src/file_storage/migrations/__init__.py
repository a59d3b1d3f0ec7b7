"""The schema's migrations; ``python -m file_storage.migrations`` upgrades a database."""
