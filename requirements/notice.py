"""Write NOTICE: what others made and we ship, and under which licenses. `make notice` runs it.

With --check it reports whether NOTICE is current.
"""

import sys

from requirements.packages import ROOT, SHIPPED, packages_of

NOTICE = ROOT / "NOTICE"
HEAD = """\
Pixmill is under the MIT license (LICENSE). Its images, and `make run`, consist of the works below too, each under its
own license. `make notice` generates this file from the locked requirements.

The full text of a package's license is in the package: in an image below
/opt/pixmill/lib/python3.11/site-packages/NAME-VERSION.dist-info, elsewhere below the same folder of .venv.
"""
PARTS = """\
Parts of this repository that others made
=========================================

YuNet, face_detection_yunet_2023mar.onnx
  MIT, Copyright (c) 2020 Shiqi Yu. The text is next to the file: image_processor/imaging/yunet/LICENSE.
  https://github.com/opencv/opencv_zoo/tree/main/models/face_detection_yunet


What requires more than a notice
================================

pyuwsgi (uWSGI)
  GPL-2.0 with an exception that allows linking it with any program. Pixmill neither changes nor links it.
  Source code: https://github.com/unbit/uwsgi
psycopg, psycopg-binary, zipstream-ng, pyvips-binary (libvips and the libraries below it)
  LGPL-3.0 and LGPL-2.1. They are separate files, which you may replace with a changed build of the same interface.
  Source code:
  https://github.com/psycopg/psycopg, https://github.com/pR0Ps/zipstream-ng, https://github.com/kleisauke/libvips-packaging
pillow-heif
  Its code is BSD-3-Clause. Its wheel contains libheif and libde265 (LGPL-3.0) and x265 (GPL-2.0), so that the wheel
  as a whole is under GPL-2.0. Pixmill only opens HEIC files with it; x265, which encodes, is not used. Source code:
  https://github.com/bigcat88/pillow_heif, https://github.com/strukturag/libheif, https://github.com/strukturag/libde265,
  https://bitbucket.org/multicoreware/x265_git
opencv-python-headless
  Its wheel contains FFmpeg (LGPL-2.1), which Pixmill does not use, and others that LICENSE-3RD-PARTY.txt lists.
psycopg-binary, imagecodecs, numpy, pypdfium2, simplejpeg
  Their wheels contain libraries under permissive licenses, which the license files in them list.


What else is in the images
==========================

Python (PSF-2.0) and the packages of Debian that its official image has. /usr/share/doc/*/copyright has their licenses.
In the worker's image, from Debian:
  fonts-dejavu-core       Bitstream Vera and public domain
  fonts-wqy-microhei      Apache-2.0 or GPL-3.0 with the font exception
  fonts-noto-color-emoji  OFL-1.1 (the font), Apache-2.0 (its tools)
In the image of the front: nginx (BSD-2-Clause) from its official image.
"""


def notice() -> str:
    """Return the text of NOTICE."""
    title = "Packages from PyPI"
    lines = [f"  {package.name:<26}{package.version:<14}{package.license}" for package in packages_of(SHIPPED)]
    return "\n\n".join([HEAD, PARTS, "\n".join([title, "=" * len(title), "", *lines]) + "\n"])


def main() -> int:
    text = notice()
    if "--check" in sys.argv:
        if not NOTICE.exists() or NOTICE.read_text("utf-8") != text:
            print("NOTICE is not current: run `make notice`", file=sys.stderr)
            return 1
        return 0
    NOTICE.write_text(text, "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
