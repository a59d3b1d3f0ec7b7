"""What a person holds: the command line, the embedded server, the demonstration."""
