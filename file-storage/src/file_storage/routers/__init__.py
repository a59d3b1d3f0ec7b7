"""The HTTP interface: parses requests, calls services, builds responses."""
