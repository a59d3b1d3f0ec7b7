"""HTTP headers of requests and responses: conditions, digests, the origin of a result, the public address."""
