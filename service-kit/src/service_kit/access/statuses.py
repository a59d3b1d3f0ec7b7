"""The HTTP status of each kind of domain error in access control."""

STATUSES = {
    "invalid-fields": 422,
    "key-not-found": 404,
    "owner-not-found": 404,
}
