"""The HTTP server in front of uWSGI in the embedded stack; the full stack has nginx.

uWSGI's own HTTP socket reads an invalid Content-Length as 0, sends more than the requested range and closes every
connection. Therefore uWSGI listens on a Unix socket behind this server, which follows the HTTP specification (h11).
"""
