"""The address under which a client reaches the server, for the URLs of links."""

from service_kit import public_url as rules
from werkzeug.wrappers import Request

from file_storage.config import HttpSettings


def public_url(request: Request, settings: HttpSettings) -> str:
    """Return the scheme and the host of the server's public URLs, without a slash at the end.

    :raises Problem: 400, the settings name no address and the request's Host is no host.
    """
    return rules.public_url(lambda name: request.headers.get(name, ""), request.remote_addr or "", settings)
