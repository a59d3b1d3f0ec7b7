"""Expensive requests and information in responses: the cases from the security review."""
