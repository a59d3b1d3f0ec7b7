"""Pure functions on images, one file each; :mod:`image_processor.algorithms.registry` finds them."""
