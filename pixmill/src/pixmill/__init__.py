"""What users run: the command line, the embedded server, the demo."""
