"""The official OpenAI client from PyPI, on responses of any model: nothing here
depends on what the model says. MODEL names it."""
import os
import time

import openai
import pydantic

URL, TOKEN, MODEL = os.environ["GATEWAY_URL"], os.environ["GATEWAY_TOKEN"], os.environ["MODEL"]

# The bound of each step in seconds: a safety net, not a measure.
BOUND = 60

client = openai.OpenAI(base_url=URL + "/v1", api_key=TOKEN, max_retries=0, timeout=BOUND, _strict_response_validation=True)


def test_a_response_and_a_chain():
    first = client.responses.create(model=MODEL, input="My name is Ada.", max_output_tokens=16)
    assert first.output_text and first.usage.input_tokens > 0 and first.usage.output_tokens > 0
    second = client.responses.create(model=MODEL, input="What is my name?", previous_response_id=first.id, max_output_tokens=16)
    alone = client.responses.create(model=MODEL, input="What is my name?", max_output_tokens=16)
    assert second.usage.input_tokens >= alone.usage.input_tokens + first.usage.output_tokens
    print(f"{first.output_text!r}, then {second.output_text!r}, alone {alone.output_text!r}")


def test_the_stream_helper_and_a_resumed_stream():
    with client.responses.stream(model=MODEL, input="Count to 20.", max_output_tokens=40) as stream:
        events = list(stream)
        final = stream._state._ResponseStreamState__current_snapshot
    deltas = [e for e in events if e.type == "response.output_text.delta"]
    assert [e.sequence_number for e in events] == list(range(len(events)))
    assert len(deltas) > 2 and "".join(e.delta for e in deltas) == final.output_text
    cut = deltas[1].sequence_number
    with client.responses.stream(response_id=final.id, starting_after=cut) as stream:
        rest = list(stream)
    assert [e.sequence_number for e in rest] == [e.sequence_number for e in events[cut + 1 :]]


def test_background_and_poll():
    r = client.responses.create(model=MODEL, input="Count to 5.", background=True, max_output_tokens=24)
    end = time.monotonic() + BOUND
    while r.status in ("queued", "in_progress"):
        assert time.monotonic() < end
        time.sleep(0.05)
        r = client.responses.retrieve(r.id)
    assert r.status in ("completed", "incomplete") and r.output_text


def test_a_conversation():
    conversation = client.conversations.create(items=[{"role": "user", "content": "My name is Ada."}])
    client.responses.create(model=MODEL, input="What is my name?", conversation=conversation.id, max_output_tokens=16)
    assert [i.role for i in client.conversations.items.list(conversation.id, order="asc")] == ["user", "user", "assistant"]


class City(pydantic.BaseModel):
    city: str


def test_structured_output():
    r = client.responses.parse(model=MODEL, input="The capital of France, as JSON.", text_format=City, max_output_tokens=200)
    assert isinstance(r.output_parsed, City)
    print(r.output_parsed)


def test_an_answer_that_is_cut_short():
    r = client.responses.create(model=MODEL, input="Count to 20.", max_output_tokens=2)
    assert r.status == "incomplete" and r.incomplete_details.reason == "max_output_tokens"
