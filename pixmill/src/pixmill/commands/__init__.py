"""The command line: one module for each group of commands. Only the client library talks to the server."""
