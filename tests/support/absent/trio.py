"""Hides trio from servers and commands: only Selenium needs it, and httpcore2 would load it in every process."""

raise ImportError("trio is not a requirement of Pixmill")
