"""Documents of a text: where each begins, whatever its line ends."""

from __future__ import annotations

import pytest

from provision.gitops import documents

TEXT = "# of a\n---\nkind: A\n--- # and\n\n# b\nkind: B\n---\n---\nkind: C\n---"


@pytest.mark.parametrize("eol", ["\n", "\r\n"])
@pytest.mark.parametrize("bom", ["", "\ufeff"])
def test_each_document_has_the_line_on_which_it_begins(eol: str, bom: str) -> None:
    text = bom + TEXT.replace("\n", eol)
    found = documents.read_text(text, "a.yaml", [])
    assert [(one.obj["kind"], one.line) for one in found] == [("A", 3), ("B", 7), ("C", 10)]


@pytest.mark.parametrize("eol", ["\n", "\r\n"])
def test_each_part_is_what_the_text_has_at_its_offset(eol: str) -> None:
    text = TEXT.replace("\n", eol)
    for line, offset, part in documents.parts(text):
        assert text[offset : offset + len(part)] == part
        assert not part or line == text.count("\n", 0, offset) + 1
    assert [(line, part) for line, _, part in documents.parts(text)] == list(documents.split(text))
