"""For every test of the project: no property is a timed test, as a machine may be busy."""

from hypothesis import settings

settings.register_profile("untimed", settings.default, deadline=None)
settings.load_profile("untimed")
