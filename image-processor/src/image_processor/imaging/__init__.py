"""What the algorithms share: pictures and their frames, colors, alpha, tone, position, and how a result is encoded.

Pure, as the algorithms are: no file is read or written here.
"""
