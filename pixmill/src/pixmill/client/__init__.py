"""The Python client.

>>> from pixmill import Pixmill
>>> from pixmill.params import Resize, Watermark
>>> with Pixmill("http://127.0.0.1:8080") as px:
...     photo = px.files.upload("photo.jpg")
...     px.run([photo], Resize(width=800) | Watermark(text="© me")).save("out")

Operations are implemented once, without network access (:mod:`pixmill.client.exchange`); :class:`Pixmill` and
:class:`AsyncPixmill` only run them.
"""
