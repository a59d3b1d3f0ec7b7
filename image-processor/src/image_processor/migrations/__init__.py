"""The schema's history; ``python -m image_processor.migrations`` brings a database up to date."""
