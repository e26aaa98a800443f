"""What an ``Accept`` header asks for."""

from __future__ import annotations

import pytest

from provision.sandbox.forge import media


@pytest.mark.parametrize(
    ("accept", "param", "said"),
    [
        ("", "", "github.v3; format=json"),
        (" , ", "", "github.v3; format=json"),
        ("*/*", "", "github.v3; format=json"),
        ("APPLICATION/JSON; charset=utf-8", "", "github.v3; format=json"),
        ("application/vnd.github", "", "github.v3; format=json"),
        ("application/vnd.github.v3", "", "github.v3; format=json"),
        ("application/vnd.github.raw", "raw", "github.v3; param=raw"),
        ("application/vnd.github.v3.raw+json", "raw", "github.v3; param=raw; format=json"),
        ("application/json;q=0.2, application/vnd.github.raw;q=0.9", "raw", "github.v3; param=raw"),
        ("application/json, application/vnd.github.raw", "", "github.v3; format=json"),
        ("application/vnd.github.raw;q=0, */*;q=0.1", "", "github.v3; format=json"),
        ("application/vnd.github.raw;q=two, */*", "", "github.v3; format=json"),
        ("text/html, application/vnd.github.sha, */*", "", "github.v3; format=json"),
        (
            "application/vnd.github.x-preview+json",
            "x-preview",
            "github.v3; param=x-preview; format=json",
        ),
    ],
)
def test_the_media_type_of_a_call(accept: str, param: str, said: str) -> None:
    found = media.choose(accept, ("raw",), ("html",))
    assert (found.param, found.header) == (param, said)


@pytest.mark.parametrize(
    "accept",
    [
        "text/html",
        "application/jsonp",
        "application/vnd.githubx+json",
        "application/vnd.github.html+json",
        "application/vnd.github.diff, text/plain",
        "application/vnd.github..raw",
    ],
)
def test_what_a_call_does_not_serve(accept: str) -> None:
    with pytest.raises(media.NotAcceptableError) as caught:
        media.choose(accept, ("raw",), ("html",))
    wanted = accept.partition(",")[0]
    assert str(caught.value) == (
        f"Unsupported 'Accept' header: '{wanted}'. Must accept 'application/json'."
    )
