"""The blocks that tests find on a page are those that readers see."""

from pathlib import Path

import pytest
from markdown_it import MarkdownIt

from tests.support.documents import blocks, pages
from tests.support.environment import PROJECT


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(PROJECT)))
def test_each_block_of_shell_commands_is_found_also_in_a_list(page: Path) -> None:
    fences = [
        (token.map[0] + 1, token.info, token.content)
        for token in MarkdownIt().parse(page.read_text("utf-8"))
        if token.type == "fence" and token.map is not None and token.info in ("sh", "console")
    ]

    assert [(block.line, block.language, block.text) for block in blocks(page)] == fences
