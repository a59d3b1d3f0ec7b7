"""Decoding, processing and encoding of images, with the details of each format."""
