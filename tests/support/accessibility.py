"""What axe, a checker of accessibility, finds in the page."""

from tests.support.browser import Page
from tests.support.environment import PROJECT

WCAG = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
OF_COLORS = ["color-contrast", "link-in-text-block"]
"""The only ones of these rules that depend on colors and may therefore find other violations in a dark page."""


def violations(page: Page, *, of_colors: bool = False) -> list[str]:
    """Return the violations that axe finds in the page now, with their places."""
    if not page.tab.evaluate("'axe' in window"):
        page.run((PROJECT / "web/node_modules/axe-core/axe.min.js").read_text(encoding="utf-8"))
    find = """async (rules) => {
        const {violations} = await axe.run(document, {runOnly: rules});
        return violations.flatMap(({id, nodes}) => nodes.map(({target}) => `${location.pathname} ${id}: ${target}`));
    }"""
    return [str(found) for found in page.tab.evaluate(find, OF_COLORS if of_colors else WCAG)]
