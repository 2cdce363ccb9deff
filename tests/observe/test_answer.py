"""Answers that are none, are cut short or make no sense: one clear line, and never another exception."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lvsdeploy.errors import AnswerInvalid
from lvsdeploy.observe import Observation, Request, parse
from tests.observe.shown import request_of

HOSTS = sorted((Path(__file__).parent / "recorded" / "hosts").iterdir())
RECORDED = [(request_of(folder), (folder / "answer").read_bytes()) for folder in HOSTS]


def refused(answer: bytes, request: Request) -> str:
    with pytest.raises(AnswerInvalid) as caught:
        parse("lvs1", answer, request)
    message = str(caught.value)
    assert message.isprintable()
    assert len(message) < 400
    assert caught.value.host == "lvs1"
    return message


def test_no_answer() -> None:
    assert refused(b"", Request()) == "no answer to the probe"
    assert "said: This account is closed." in refused(b"This account\r\nis closed.\x07\n", Request())


@pytest.mark.parametrize(("request_", "answer"), RECORDED, ids=[folder.name for folder in HOSTS])
def test_a_cut_answer_is_recognised(request_: Request, answer: bytes) -> None:
    for end in range(0, len(answer) - 1, 97):
        refused(answer[:end], request_)


def test_another_token_is_no_answer() -> None:
    refused(RECORDED[0][1], Request())


def test_a_program_that_the_probe_needs() -> None:
    request, answer = RECORDED[0]
    begin = f"{request.token} host\n".encode()
    assert "no sha256sum" in refused(answer.replace(begin, begin + b"lacks sha256sum\n"), request)


def test_a_file_that_changed_meanwhile() -> None:
    request = Request(files={"/etc/hosts": []})
    folder = HOSTS[[folder.name for folder in HOSTS].index("debian-systemd-director-checks-failing")]
    answer = (folder / "answer").read_bytes()
    request = request_of(folder)
    assert b"127.0.0.1 localhost" in answer
    changed = answer.replace(b"127.0.0.1 localhost", b"127.0.0.2 localhost")
    assert "/etc/hosts changed while it was read" in refused(changed, request)


def test_words_of_the_host_are_bounded_and_clean() -> None:
    request, answer = RECORDED[0]
    hostname = b"\nhostname " + b"\x1b[31mevil\x07\xff" * 1000
    dirty = answer.replace(b"\nhostname ", hostname, 1)
    name = parse("lvs1", dirty, request).facts.hostname
    assert name.isprintable()
    assert len(name) <= 200


@settings(max_examples=300)
@given(st.data())
def test_any_answer_is_an_observation_or_invalid(data: st.DataObject) -> None:
    request, answer = data.draw(st.sampled_from(RECORDED))
    pieces = bytearray(answer)
    for _ in range(data.draw(st.integers(1, 6))):
        at = data.draw(st.integers(0, len(pieces)))
        until = at + data.draw(st.integers(0, 40))
        pieces[at:until] = data.draw(st.binary(max_size=40) | st.sampled_from([b"\n", b" ", b"99999999999"]))
    try:
        assert isinstance(parse("lvs1", bytes(pieces), request), Observation)
    except AnswerInvalid as error:
        assert str(error).isprintable()  # noqa: PT017 — it need not fail


def test_a_mode_that_no_file_has() -> None:
    folder = HOSTS[[folder.name for folder in HOSTS].index("debian-systemd-director-checks-failing")]
    answer = (folder / "answer").read_bytes()
    assert b"\n81a4:" in answer
    assert "about files cannot be read" in refused(
        answer.replace(b"\n81a4:", b"\n181a400000:", 1), request_of(folder)
    )
