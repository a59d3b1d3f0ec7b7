"""Images by URL: what a URL asks for, as a plan that the codec runs."""
