"""An installation made by an earlier version, for the tests of upgrades."""
