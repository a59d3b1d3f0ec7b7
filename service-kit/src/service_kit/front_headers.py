"""The request headers that only the server in front of a service may set: nginx, or the front of ``make run``.

Services trust them, so both servers drop headers of these names that a client sends.
"""

REAL_IP = "X-Real-IP"
"""The address of the client."""

PEER = "X-Peer-Address"
"""The peer address of the connection, which may be that of a proxy."""

INNER_PORT = "X-Pixmill-Inner-Port"
"""Present on what nginx's inner port receives, where Pixmill's own processes are the clients.

A request from there without credentials does not count as the user of this machine: a hijacked decoder can send it.
"""

BODY_FILE = "X-Body-File"
"""The path of the file to which nginx wrote the body."""

BODY_LENGTH = "X-Body-Length"
"""The length of the body: in a question, the length of the body to come; later, that of the body file."""

BODY_STAGE = "X-Body-Stage"
"""The stage of a large body's request (:mod:`file_storage.routers.announced`)."""

UNCONDITIONAL = "X-Unconditional"
"""Present on a request that nginx repeats: it sends these bytes itself, so the answer must not be a redirect."""

FORGET = "X-Pixmill-Forget"
"""Makes nginx replace its cached response. nginx accepts it on its inner port only."""

ALL = frozenset({REAL_IP, PEER, INNER_PORT, BODY_FILE, BODY_LENGTH, BODY_STAGE, UNCONDITIONAL, FORGET})
