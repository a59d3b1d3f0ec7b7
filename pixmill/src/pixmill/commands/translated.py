"""Translates messages of the parser and the client library into the language of the environment.

Both write English only, because programs compare the library's messages. A message is recognized by its template.
"""

import re
from collections.abc import Mapping, Sequence
from functools import cache

from pixmill.commands.words import language, text

BY_THE_PARSER = (
    "Usage:",
    "[OPTIONS]",
    "COMMAND [ARGS]...",
    "Show this message and exit.",
    "Install completion for the current shell.",
    "Show completion for the current shell, to copy it or customize the installation.",
    "{reason} Did you mean {names}?",
    "No such command {name}.",
    "No such command {name}",
    "Missing argument '{name}'.",
    "Missing option '{name}'.",
    "Missing command.",
    "No such option: {name}",
    "No such option: {name} (Possible options: {names})",
    "Got unexpected extra argument(s) ({words})",
    "Option '{name}' requires an argument.",
    "Option '{name}' does not take a value.",
    "Option '{name}' requires {count} arguments.",
    "Invalid value for '{name}': {reason}",
    "Invalid value: {reason}",
    "'{word}' is not one of {words}.",
    "Input should be a valid integer, unable to parse string as an integer",
    "Input should be a valid number, unable to parse string as a number",
    "Input should be greater than or equal to {bound}",
    "Input should be less than or equal to {bound}",
    "dir '{path}' does not exist.",
    "dir '{path}' is a file.",
    "path '{path}' does not exist.",
)
BY_THE_LIBRARY = (
    "There is no task {task_id}; somebody may have deleted it.",
    "a name is required for bytes",
    "a name may have {name}, {extension}, {id} and {task_id}",
    "a partial answer has no Content-Range",
    "a preset has its own params, output and source",
    "a result of the batch is not an object",
    "an empty filter would delete every file; add a condition",
    "an event is not an object but {data}",
    "another program is downloading {name} to {folder}",
    "an event is not JSON but {data}",
    "file {file_id} was damaged in transit: its digest does not match",
    "give either steps or preset=",
    "give the ids of files in the trash, or everything=True",
    "params= is only for an algorithm given by name; steps have their own",
    "the answer begins at byte {start}, not at {position}",
    "the answer does not have as many results as the request had files",
    "the answer has no '{name}'; is this a Pixmill?",
    "the answer has no Location of an upload",
    "the answer has no Upload-Offset",
    "the answer is not a complete {name}: {error}",
    "the answer is not a list; is this a Pixmill?",
    "the answer is not events but '{media_type}'; is this a Pixmill?",
    "the answer has {document} instead of {name}; is this a Pixmill?",
    "the answer is not JSON but {body}; is this a Pixmill?",
    "the server closed the event stream",
    "the server redirects this request to {location}; use the URL of the server there",
    "these tasks are not a batch",
    "this is not a URL: {error}",
    "this is not a URL; percent-encode special characters in the user's name and password",
    "{left} of {count} tasks have not ended in {seconds} s",
    "{name} has changed while it was uploaded",
    "{name} is not valid UTF-8; choose another name",
    "{name} was damaged in transit or changed during its upload; delete file {file_id}",
    "'{name}' of the answer is not a list of ids; is this a Pixmill?",
    "'{name}' of the answer is not a list of texts; is this a Pixmill?",
)
BY_OTHERS = (
    "[Errno {number}] {reason}",
    "Connection refused",
    "Request URL is missing an 'http://' or 'https://' protocol.",
    "Name or service not known",
)
"""The most frequent messages of the operating system and the HTTP library."""


def translated(sentence: str) -> str:
    """Return a message of the parser or the library in the language of the environment."""
    if language() == "en":
        return sentence
    for template, pattern in _patterns().items():
        found = pattern.fullmatch(sentence)
        if found is not None:
            # The reason in a message is itself a message.
            values = found.groupdict()
            return text(
                template, **{name: translated(value) if name == "reason" else value for name, value in values.items()}
            )
    return sentence


def translated_in(line: str, words: Sequence[str]) -> str:
    """Return a line with the parser's phrases in the language of the environment."""
    for word in words:
        line = line.replace(word, text(word), 1)
    return line


@cache
def _patterns() -> Mapping[str, re.Pattern[str]]:
    # Try the longest first: a shorter template would swallow the rest of a longer message as its last value.
    templates = sorted((*BY_THE_PARSER, *BY_THE_LIBRARY, *BY_OTHERS), key=len, reverse=True)
    return {template: _pattern(template) for template in templates}


def _pattern(template: str) -> re.Pattern[str]:
    parts = re.split(r"\{(\w+)\}", template)
    # Parts with odd indexes are value names; non-greedy matches leave the remaining text to the template.
    return re.compile(
        "".join(f"(?P<{part}>.+?)" if number % 2 else re.escape(part) for number, part in enumerate(parts)), re.DOTALL
    )
