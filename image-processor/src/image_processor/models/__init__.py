"""The rows of image-processor."""

from image_processor.models.task import Base, Task

__all__ = ["Base", "Task"]
