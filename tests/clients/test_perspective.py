"""Google's API client, with a description of the Perspective API that names this server."""

import json
import pathlib

import pytest
from googleapiclient import discovery, errors

DESCRIPTION = json.loads(pathlib.Path(__file__).with_name("commentanalyzer.json").read_text())
TEXT = "Those migrants are vermin."


def client(url, key="unused"):
    description = DESCRIPTION | {"rootUrl": f"{url}/", "baseUrl": f"{url}/"}
    return discovery.build_from_document(description, developerKey=key)


def analyze(url, text=TEXT, attributes=("DEHUMANIZATION",), key="unused", **others):
    body = {"comment": {"text": text}, "requestedAttributes": {name: {} for name in attributes}}
    return client(url, key).comments().analyze(body=body | others).execute()


def test_a_comment(url):
    answer = analyze(
        url,
        attributes=("DEHUMANIZATION", "IDENTITY_ATTACK", "DEHUMANIZATION_NATIONAL_ORIGIN"),
        languages=["en"],
        clientToken="mine",
    )
    assert answer["clientToken"] == "mine" and answer["languages"] == ["en"]
    assert len(answer["attributeScores"]) == 3
    for score in answer["attributeScores"].values():
        assert score["summaryScore"]["type"] == "PROBABILITY"
        assert score["summaryScore"]["value"] > 0.5
        (span,) = score["spanScores"]
        assert (span["begin"], span["end"]) == (0, len(TEXT))


def test_spans_are_in_pythons_characters(url):
    text = "🌉 " + "The old bridge over the river is closed on Sunday. " * 20 + TEXT
    answer = analyze(url, text, spanAnnotations=True)
    spans = answer["attributeScores"]["DEHUMANIZATION"]["spanScores"]
    assert len(spans) > 2
    highest = max(spans, key=lambda span: span["score"]["value"])
    assert TEXT[6:-1] in text[highest["begin"] : highest["end"]]
    assert spans[-1]["end"] == len(text)


def test_errors(url, server, tmp_path):
    with pytest.raises(errors.HttpError) as caught:
        analyze(url, attributes=("TOXICITY",))
    assert caught.value.status_code == 400
    assert caught.value.error_details[0]["errorType"] == "UNKNOWN_ATTRIBUTE"
    with pytest.raises(errors.HttpError) as caught:
        analyze(url, text="")
    assert caught.value.error_details[0]["errorType"] == "COMMENT_EMPTY"
    keys = tmp_path / "keys"
    keys.write_text("right\n")
    guarded = server("--api-keys-file", str(keys))
    with pytest.raises(errors.HttpError) as caught:
        analyze(guarded, key="wrong")
    assert caught.value.status_code == 401
    assert analyze(guarded, key="right")["attributeScores"]
