"""Code that the algorithms share: pictures and their frames, colors, alpha, tone, position and encoding options.

Like the algorithms, these modules read and write no files.
"""
