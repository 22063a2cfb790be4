"""The official OpenAI client, pointed at the server."""

import concurrent.futures

import openai
import pytest

HARMLESS = "The old mill reopens on Sunday."
DEHUMANIZING = "Those migrants are vermin."


def client(url, key="unused", retries=0):
    return openai.OpenAI(base_url=f"{url}/v1", api_key=key, max_retries=retries)


def test_one_text(url):
    moderation = client(url).moderations.create(input=DEHUMANIZING)
    assert moderation.id.startswith("modr-")
    assert moderation.model.startswith("dignity-small-en-")
    (result,) = moderation.results
    assert result.flagged is True
    assert result.categories.hate is True
    assert result.category_scores.hate > 0.5
    assert result.categories.dehumanization is True
    assert result.category_scores.dehumanization > 0.5
    assert result.categories.national_origin is True
    assert result.category_applied_input_types.hate == ["text"]


def test_arrays_and_objects(url):
    texts = [HARMLESS, DEHUMANIZING, ""]
    asked = client(url)
    strings = asked.moderations.create(input=texts, model="omni-moderation-latest").results
    assert [result.flagged for result in strings] == [False, True, False]
    objects = asked.moderations.create(input=[{"type": "text", "text": text} for text in texts])
    assert objects.results == strings
    assert strings[2].unscored == "the text is empty"


def test_another_policy(url):
    borderline = client(url).moderations.create(
        input=HARMLESS, extra_body={"policy": "high-precision"}
    )
    assert borderline.results[0].flagged is False
    with pytest.raises(openai.BadRequestError) as caught:
        client(url).moderations.create(input=HARMLESS, extra_body={"policy": "nope"})
    assert caught.value.param == "policy"


def test_raw_response_and_request_id(url):
    raw = client(url).moderations.with_raw_response.create(input=HARMLESS)
    assert raw.parse()._request_id == raw.headers["x-request-id"]


def test_errors_are_the_clients_classes(url, server, tmp_path):
    asked = client(url)
    with pytest.raises(openai.BadRequestError) as caught:
        asked.moderations.create(input=7)
    assert (caught.value.param, caught.value.type) == ("input", "invalid_request_error")
    with pytest.raises(openai.BadRequestError) as caught:
        asked.moderations.create(
            input=[{"type": "image_url", "image_url": {"url": "data:image/png;base64,AA"}}]
        )
    assert "text" in caught.value.message
    with pytest.raises(openai.NotFoundError):
        asked.models.list()
    with pytest.raises(openai.APIStatusError) as caught:
        asked.moderations.create(input=["a"] * 10_000)
    assert (caught.value.status_code, caught.value.code) == (413, "too_many_texts")

    keys = tmp_path / "keys"
    keys.write_text("right\n")
    guarded = server("--api-keys-file", str(keys))
    with pytest.raises(openai.AuthenticationError) as caught:
        client(guarded, "wrong").moderations.create(input=HARMLESS)
    assert caught.value.code == "invalid_api_key"
    assert client(guarded, "right").moderations.create(input=HARMLESS).results


def test_a_full_queue_is_a_rate_limit_and_the_client_tries_again(server):
    url = server("--queue-texts", "4", "--threads", "1")
    texts = [f"{HARMLESS} {n} " * 200 for n in range(4)]

    def ask(retries):
        return client(url, retries=retries).moderations.create(input=texts)

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        asked = [pool.submit(ask, 0) for _ in range(4)]
        refused = [asked.exception() for asked in asked if asked.exception()]
    assert refused and all(isinstance(error, openai.RateLimitError) for error in refused)
    assert refused[0].code == "queue_full"
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        assert all(pool.map(ask, [10, 10]))
