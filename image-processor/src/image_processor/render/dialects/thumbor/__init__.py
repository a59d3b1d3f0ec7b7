"""thumbor's URLs, and what imagor's have in common with them."""
