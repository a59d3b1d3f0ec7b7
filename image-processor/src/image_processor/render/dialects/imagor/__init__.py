"""imagor's URLs."""
