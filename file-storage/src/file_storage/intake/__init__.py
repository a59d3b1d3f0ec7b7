"""Request bodies on their way into the blob store."""
