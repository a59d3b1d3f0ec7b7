"""HTTP headers that say something of a file's bytes: conditions and digests."""
