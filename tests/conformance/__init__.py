"""Facts about the URLs of thumbor, imagor and imgproxy, from the peers' own tests, checked against Pixmill.

The facts and their pictures are not part of the project; they are read from a folder next to it (:mod:`.folder`).
"""
