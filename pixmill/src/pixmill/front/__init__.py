"""The embedded stack's front: what nginx is to the full one.

uWSGI's own HTTP socket takes a Content-Length that it cannot read for 0, sends more than a range and closes every
connection. So it listens on a Unix socket, and here stands a server that takes HTTP at its word (h11).
"""
