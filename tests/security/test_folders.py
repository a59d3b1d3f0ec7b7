"""Other users of the machine cannot read anything of `make run`."""

import os
from pathlib import Path

from tests.support.client import Served, processed_bytes
from tests.support.images import photo
from tests.support.stacks import EmbeddedStack


def test_the_data_folder_and_all_files_are_private(embedded: EmbeddedStack) -> None:
    with Served(embedded.url) as client:
        processed_bytes(client, photo(80, 60), "p.png", "flip", {})

    files = [Path(folder, name) for folder, _, names in os.walk(embedded.data) for name in names]
    assert embedded.data.stat().st_mode & 0o777 == 0o700
    assert {"file-storage.db", "image-processor.db"} <= {path.name for path in files}
    assert list((embedded.files / "blobs").glob("??/??/*"))
    assert [path for path in files if path.exists() and path.stat().st_mode & 0o077] == []
