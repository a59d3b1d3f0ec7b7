"""Python's garbage collector, kept from what stays as long as the process does."""

import gc


def spare_what_exists() -> None:
    """Takes all objects of this moment out of the garbage collector's rounds; called once a process is set up.

    What imports and settings have made stays to the end. A full round through it would hold up requests for some 60 ms
    (as measured with file-storage), and in a forked process make copies of memory that it shares.
    """
    gc.collect()
    gc.freeze()
