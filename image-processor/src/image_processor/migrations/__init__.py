"""The migrations of the schema; ``python -m image_processor.migrations`` upgrades a database."""
