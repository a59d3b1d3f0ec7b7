"""imgproxy's URLs."""
