"""Names of the numeric values of EXIF tags (CIPA DC-008-2019, 4.6.5 and 4.6.6; TIFF 6.0)."""

from collections.abc import Mapping

_RENDERING = {0: "Normal", 1: "Low", 2: "High"}

NAMES: Mapping[str, Mapping[int, str]] = {
    "Compression": {1: "Uncompressed", 6: "JPEG"},
    "ResolutionUnit": {1: "None", 2: "Inch", 3: "Centimeter"},
    "FocalPlaneResolutionUnit": {1: "None", 2: "Inch", 3: "Centimeter"},
    "YCbCrPositioning": {1: "Centered", 2: "Co-sited"},
    "ColorSpace": {1: "sRGB", 2: "Adobe RGB", 65535: "Uncalibrated"},
    "ExposureProgram": {
        0: "Not defined",
        1: "Manual",
        2: "Normal program",
        3: "Aperture priority",
        4: "Shutter priority",
        5: "Creative program",
        6: "Action program",
        7: "Portrait mode",
        8: "Landscape mode",
    },
    "SensitivityType": {
        0: "Unknown",
        1: "Standard output sensitivity",
        2: "Recommended exposure index",
        3: "ISO speed",
        4: "Standard output sensitivity and recommended exposure index",
        5: "Standard output sensitivity and ISO speed",
        6: "Recommended exposure index and ISO speed",
        7: "Standard output sensitivity, recommended exposure index and ISO speed",
    },
    "MeteringMode": {
        0: "Unknown",
        1: "Average",
        2: "Center-weighted average",
        3: "Spot",
        4: "Multi-spot",
        5: "Pattern",
        6: "Partial",
        255: "Other",
    },
    "LightSource": {
        0: "Unknown",
        1: "Daylight",
        2: "Fluorescent",
        3: "Tungsten",
        4: "Flash",
        9: "Fine weather",
        10: "Cloudy weather",
        11: "Shade",
        12: "Daylight fluorescent",
        13: "Day white fluorescent",
        14: "Cool white fluorescent",
        15: "White fluorescent",
        16: "Warm white fluorescent",
        17: "Standard light A",
        18: "Standard light B",
        19: "Standard light C",
        20: "D55",
        21: "D65",
        22: "D75",
        23: "D50",
        24: "ISO studio tungsten",
        255: "Other",
    },
    "SensingMethod": {
        1: "Not defined",
        2: "One-chip color area sensor",
        3: "Two-chip color area sensor",
        4: "Three-chip color area sensor",
        5: "Color sequential area sensor",
        7: "Trilinear sensor",
        8: "Color sequential linear sensor",
    },
    "CustomRendered": {0: "Normal process", 1: "Custom process"},
    "ExposureMode": {0: "Auto exposure", 1: "Manual exposure", 2: "Auto bracket"},
    "WhiteBalance": {0: "Auto white balance", 1: "Manual white balance"},
    "SceneCaptureType": {0: "Standard", 1: "Landscape", 2: "Portrait", 3: "Night scene"},
    "GainControl": {0: "None", 1: "Low gain up", 2: "High gain up", 3: "Low gain down", 4: "High gain down"},
    "Contrast": {0: "Normal", 1: "Soft", 2: "Hard"},
    "Saturation": _RENDERING,
    "Sharpness": {0: "Normal", 1: "Soft", 2: "Hard"},
    "SubjectDistanceRange": {0: "Unknown", 1: "Macro", 2: "Close view", 3: "Distant view"},
    "CompositeImage": {
        0: "Unknown",
        1: "Not a composite image",
        2: "General composite image",
        3: "Composite image captured while shooting",
    },
    # The last two are those of Exif 3.0; cameras write the first two for the sea level, too.
    "GPSAltitudeRef": {
        0: "Above sea level",
        1: "Below sea level",
        2: "Above sea level",
        3: "Below sea level",
    },
}
"""Names by tag and value."""


def flash(value: int) -> str:
    """Return the meaning of the bits of the tag Flash."""
    words = ["Flash fired" if value & 1 else "Flash did not fire"]
    words += {4: ["no return light"], 6: ["return light"]}.get(value & 6, [])
    words += {8: ["compulsory"], 16: ["suppressed"], 24: ["auto mode"]}.get(value & 24, [])
    words += ["no flash function"] if value & 32 else []
    words += ["red-eye reduction"] if value & 64 else []
    return ", ".join(words)
