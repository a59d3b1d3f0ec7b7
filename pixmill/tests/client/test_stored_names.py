"""The stored names that the client expects are those of the server's own rules."""

from contextlib import suppress

from file_storage.services.folders import named_path, wanted_folder
from hypothesis import assume, example, given
from hypothesis import strategies as st
from pixmill.client.stored_names import stored_name
from service_kit.errors import DomainError

TEXT = st.text(st.sampled_from("aZé. /\\:_\u0301\u202e\t\x85ß") | st.characters(), max_size=12)


def stored_by_the_server(path: str, folder: str | None) -> tuple[str, str, str] | None:
    """Return the name, the extension and the folder that the server stores; ``None`` if it refuses them."""
    with suppress(DomainError):
        name, own = named_path(path)
        return name.name, name.extension, own if folder is None else wanted_folder(folder)
    return None


@given(TEXT, st.none() | TEXT)
@example("e\u0301.JPG", "/Отпуск//e\u0301/ ")
@example("C:\\photos\\a.jpg", None)
@example("photos/../a.jpg", None)
@example("photos/..", None)
@example("photos/a.tar.gz/", None)
@example(" . a. ", "")
def test_a_name_and_a_folder_are_stored_as_the_server_does_it(path: str, folder: str | None) -> None:
    stored = stored_by_the_server(path, folder)
    assume(stored is not None)

    assert stored_name(path, folder) == stored
