"""Requests that cost, and what responses tell: the reproductions of the security review."""
