"""The Gaussian blur that other operations are made of."""

import pyvips

LEAST_WEIGHT = 0.01
"""Weights below this share of the middle's are left out: at three standard deviations."""


def gaussian(image: pyvips.Image, sigma: float) -> pyvips.Image:
    """The image blurred by a Gaussian whose standard deviation is ``sigma`` pixels; edges count as if they went on."""
    return image.gaussblur(sigma, precision="float", min_ampl=LEAST_WEIGHT)
