"""What the algorithms share: pictures and their frames, colors, alpha, tone, position and the options of encoding.

Like the algorithms, these modules read and write no files.
"""
