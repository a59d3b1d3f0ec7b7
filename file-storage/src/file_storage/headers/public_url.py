"""The server's public address, for the URLs of links."""

from service_kit import public_url as rules
from werkzeug.wrappers import Request

from file_storage.config import HttpSettings


def public_url(request: Request, settings: HttpSettings) -> str:
    """Return the scheme and host of the server's public URLs, without a trailing slash.

    :raises Problem: 400 if the settings have no address and the request's Host is not a valid host.
    """
    return rules.public_url(lambda name: request.headers.get(name, ""), request.remote_addr or "", settings)
