"""Endpoints of the render service, and the responses that they build."""
