"""The official OpenAI client from PyPI, on responses and conversations. Every
answer is parsed strictly: what disagrees with the client's types fails."""
import json
import time

import openai
import pydantic
import pytest

from gateway import BOUND, TOKEN, URL, ask, call, count, last_body

settings = {"base_url": URL + "/v1", "api_key": TOKEN, "max_retries": 0, "timeout": BOUND}
client = openai.OpenAI(**settings, _strict_response_validation=True)

WEATHER = {
    "type": "function",
    "name": "weather",
    "description": "The weather of a city.",
    "strict": True,
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"], "additionalProperties": False},
}
TEXT = [
    "response.created", "response.in_progress", "response.output_item.added", "response.content_part.added",
    "response.output_text.delta", "response.output_text.delta", "response.output_text.delta",
    "response.output_text.done", "response.content_part.done", "response.output_item.done", "response.completed",
]


def until(response_id, *statuses):
    """Polls until the response has one of the statuses."""
    end = time.monotonic() + BOUND
    while time.monotonic() < end:
        response = client.responses.retrieve(response_id)
        if response.status in statuses:
            return response
        time.sleep(0.02)
    raise AssertionError(f"{response_id} is still {response.status}")


def said(model):
    """The conversation that the model was last given."""
    return [(m["role"], m.get("content")) for m in last_body(model)["messages"]]


def numbered(events):
    events = list(events)
    assert [e.sequence_number for e in events] == list(range(len(events)))
    return events


def test_a_response():
    r = client.responses.create(model="hello", input="Hi.", instructions="Be kind.", metadata={"who": "ädä"}, temperature=0.5)
    assert r.id.startswith("resp_") and r.object == "response" and r.status == "completed"
    assert r.output_text == "Hello there"
    assert r.output[0].role == "assistant" and r.output[0].status == "completed"
    assert (r.model, r.instructions, r.metadata, r.temperature) == ("hello", "Be kind.", {"who": "ädä"}, 0.5)
    assert (r.usage.input_tokens, r.usage.output_tokens, r.usage.total_tokens) == (2, 3, 5)
    assert said("hello") == [("system", "Be kind."), ("user", "Hi.")]
    assert client.responses.retrieve(r.id).to_dict() == r.to_dict()
    [item] = client.responses.input_items.list(r.id).data
    assert item.role == "user" and item.content[0].text == "Hi."


def test_a_stream():
    events = numbered(client.responses.create(model="hello", input="Hi.", stream=True))
    assert [e.type for e in events] == TEXT
    assert "".join(e.delta for e in events if e.type == "response.output_text.delta") == "Hello there"
    last = events[-1].response
    assert last.output_text == "Hello there" and last.usage.output_tokens == 3
    assert client.responses.retrieve(last.id).to_dict() == last.to_dict()


def test_a_stream_told_again_is_the_same():
    events = numbered(client.responses.create(model="counts", input="Hi.", stream=True))
    again = list(client.responses.retrieve(events[0].response.id, stream=True))
    assert [e.to_dict() for e in again] == [e.to_dict() for e in events]
    for after in (0, 5, len(events) - 2, len(events) - 1):
        rest = list(client.responses.retrieve(events[0].response.id, stream=True, starting_after=after))
        assert [e.to_dict() for e in rest] == [e.to_dict() for e in events[after + 1 :]]


def test_the_helper_that_rebuilds_the_response():
    with client.responses.stream(model="hello", input="Hi.") as stream:
        snapshots = [e.snapshot for e in stream if e.type == "response.output_text.delta"]
        final = stream.get_final_response()
    assert snapshots == ["Hel", "Hello ", "Hello there"]
    assert final.output_text == "Hello there"


@pytest.mark.parametrize("cut", [3, 40, 200])
def test_a_stream_that_was_cut_is_resumed(cut):
    seen = []
    stream = client.responses.create(model="counts", input="Hi.", stream=True, background=True)
    for event in stream:
        seen.append(event)
        if len(seen) == cut:
            break
    stream.close()
    response = seen[0].response
    with client.responses.stream(response_id=response.id, starting_after=seen[-1].sequence_number) as rest:
        seen += list(rest)
    assert [e.sequence_number for e in seen] == list(range(len(seen)))
    assert [e.type for e in seen[:3]] == ["response.created", "response.queued", "response.in_progress"]
    assert "".join(e.delta for e in seen if e.type == "response.output_text.delta") == count(300)
    assert seen[-1].type == "response.completed" and seen[-1].response.output_text == count(300)


def test_background_and_poll():
    r = client.responses.create(model="counts", input="Hi.", background=True)
    assert r.status == "queued" and r.background and r.output == []
    done = until(r.id, "completed")
    assert done.output_text == count(300) and done.created_at == r.created_at


def test_cancel():
    r = client.responses.create(model="endless", input="Hi.", background=True)
    end = time.monotonic() + BOUND
    while not client.responses.retrieve(r.id).output_text:
        assert time.monotonic() < end
    cancelled = client.responses.cancel(r.id)
    assert cancelled.status == "cancelled" and cancelled.output_text == "1 2 3 "
    assert cancelled.output[0].status == "incomplete"
    assert client.responses.cancel(r.id).to_dict() == cancelled.to_dict()
    events = numbered(client.responses.retrieve(r.id, stream=True))
    assert events[-1].type == "response.incomplete" and events[-1].response.status == "cancelled"


def test_a_chain():
    first = client.responses.create(model="echo", input="one", instructions="Only now.")
    second = client.responses.create(model="echo", input="two", previous_response_id=first.id)
    assert second.previous_response_id == first.id and second.instructions is None
    assert said("echo") == [("user", "one"), ("assistant", "one"), ("user", "two")]
    fork = client.responses.create(model="echo", input="three", previous_response_id=first.id)
    assert said("echo") == [("user", "one"), ("assistant", "one"), ("user", "three")]
    assert [i.content[0].text for i in client.responses.input_items.list(fork.id).data] == ["three"]
    client.responses.create(model="echo", input="four", previous_response_id=fork.id, store=False)
    assert [c for _, c in said("echo")] == ["one", "one", "three", "three", "four"]
    client.responses.create(model="echo", input="five", previous_response_id=second.id)
    assert [c for _, c in said("echo")] == ["one", "one", "two", "two", "five"]


def test_conversations():
    conversation = client.conversations.create(metadata={"topic": "x"}, items=[{"role": "developer", "content": "Count."}, {"role": "user", "content": "zero"}])
    assert conversation.id.startswith("conv_") and conversation.metadata == {"topic": "x"}
    r = client.responses.create(model="echo", input="one", conversation=conversation.id)
    assert r.conversation.id == conversation.id
    assert said("echo") == [("developer", "Count."), ("user", "zero"), ("user", "one")]
    client.conversations.items.create(conversation.id, items=[{"role": "user", "content": [{"type": "input_text", "text": "two"}]}])
    items = list(client.conversations.items.list(conversation.id, order="asc", limit=2))  # pages
    assert [i.content[0].text for i in items] == ["Count.", "zero", "one", "one", "two"]
    assert [i.id for i in client.conversations.items.list(conversation.id).data] == [i.id for i in reversed(items)]
    assert client.conversations.items.retrieve(items[3].id, conversation_id=conversation.id).to_dict() == r.output[0].to_dict()
    assert client.conversations.items.delete(items[2].id, conversation_id=conversation.id).id == conversation.id
    client.conversations.items.delete(items[3].id, conversation_id=conversation.id)
    client.responses.create(model="echo", input="three", conversation={"id": conversation.id})
    assert said("echo") == [("developer", "Count."), ("user", "zero"), ("user", "two"), ("user", "three")]
    with pytest.raises(openai.NotFoundError):
        client.conversations.items.retrieve(items[2].id, conversation_id=conversation.id)
    assert client.conversations.update(conversation.id, metadata={"topic": "y"}).metadata == {"topic": "y"}
    assert client.conversations.retrieve(conversation.id).metadata == {"topic": "y"}
    # It is a session like any other.
    assert call("GET", "/v1/sessions/" + conversation.id)["messages"] == 5
    assert client.conversations.delete(conversation.id).deleted
    for gone in (lambda: client.conversations.retrieve(conversation.id), lambda: client.responses.retrieve(r.id),
                 lambda: client.responses.create(model="echo", input="x", conversation=conversation.id)):
        with pytest.raises(openai.NotFoundError):
            gone()


def test_function_calls():
    inputs = [{"role": "user", "content": "How is it in Oslo and Rome?"}]
    r = client.responses.create(model="tools", input=inputs, tools=[WEATHER])
    calls = [i for i in r.output if i.type == "function_call"]
    assert [(c.call_id, c.name, json.loads(c.arguments)) for c in calls] == [("call_1", "weather", {"city": "Oslo"}), ("call_2", "weather", {"city": "Rome"})]
    sent = last_body("tools")["tools"]
    assert sent == [{"type": "function", "function": {k: v for k, v in WEATHER.items() if k != "type"}}]
    outputs = [{"type": "function_call_output", "call_id": c.call_id, "output": "rain"} for c in calls]
    want = [
        {"role": "user", "content": "How is it in Oslo and Rome?"},
        {"role": "assistant", "content": None, "tool_calls": [
            {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": '{"city":"Oslo"}'}},
            {"id": "call_2", "type": "function", "function": {"name": "weather", "arguments": '{"city":"Rome"}'}}]},
        {"role": "tool", "tool_call_id": "call_1", "content": "rain"},
        {"role": "tool", "tool_call_id": "call_2", "content": "rain"},
    ]
    for fields in ({"previous_response_id": r.id, "input": outputs}, {"input": [*inputs, *[i.to_dict() for i in r.output], *outputs], "store": False}):
        client.responses.create(model="hello", tools=[WEATHER], tool_choice={"type": "function", "name": "weather"}, **fields)
        body = last_body("hello")
        assert body["messages"] == want
        assert body["tool_choice"] == {"type": "function", "function": {"name": "weather"}}


def test_a_function_call_is_streamed():
    with client.responses.stream(model="tools", input="Hi.", tools=[WEATHER]) as stream:
        events = numbered(stream)
        final = stream.get_final_response()
    assert [e.type for e in events if "function_call" in e.type or "item" in e.type] == [
        "response.output_item.added", "response.function_call_arguments.delta", "response.function_call_arguments.delta",
        "response.function_call_arguments.done", "response.output_item.done",
        "response.output_item.added", "response.function_call_arguments.delta",
        "response.function_call_arguments.done", "response.output_item.done",
    ]
    assert [c.arguments for c in final.output] == ['{"city":"Oslo"}', '{"city":"Rome"}']


class City(pydantic.BaseModel):
    city: str


def test_structured_output():
    r = client.responses.parse(model="city", input="Where?", text_format=City)
    assert r.output_parsed == City(city="Oslo")
    sent = last_body("city")["response_format"]
    assert sent["type"] == "json_schema" and sent["json_schema"]["schema"]["required"] == ["city"] and sent["json_schema"]["strict"]
    with client.responses.stream(model="city", input="Where?", text_format=City) as stream:
        stream.until_done()
        assert stream.get_final_response().output_parsed == City(city="Oslo")


def test_reasoning():
    r = client.responses.create(model="thinks", input="Six by seven?", reasoning={"effort": "low", "summary": "auto"})
    assert [i.type for i in r.output] == ["reasoning", "message"]
    assert r.output[0].summary[0].text == "Six by seven." and r.output_text == "42"
    assert last_body("thinks")["reasoning_effort"] == "low"
    types = [e.type for e in numbered(client.responses.create(model="thinks", input="Hi.", stream=True))]
    assert types.count("response.reasoning_summary_text.delta") == 2 and "response.reasoning_summary_part.done" in types


def test_what_is_cut_short_is_incomplete():
    r = client.responses.create(model="brief", input="Hi.", max_output_tokens=2)
    assert (r.status, r.incomplete_details.reason, r.output_text, r.output[0].status) == ("incomplete", "max_output_tokens", "One two", "incomplete")
    assert last_body("brief")["max_completion_tokens"] == 2


def test_failures():
    with pytest.raises(openai.RateLimitError):
        client.responses.create(model="limited", input="Hi.")
    events = numbered(client.responses.create(model="dies", input="Hi.", stream=True))
    failed = events[-1]
    assert failed.type == "response.failed" and failed.response.status == "failed"
    assert failed.response.error.code == "server_error" and failed.response.output_text == "1 2 "
    assert client.responses.retrieve(failed.response.id).to_dict() == failed.response.to_dict()
    r = until(client.responses.create(model="limited", input="Hi.", background=True).id, "failed")
    assert r.error.code == "rate_limit_exceeded" and "Slow down." in r.error.message


def test_delete():
    first = client.responses.create(model="hello", input="one")
    second = client.responses.create(model="hello", input="two", previous_response_id=first.id)
    client.responses.delete(first.id)
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(first.id)
    with pytest.raises(openai.NotFoundError):
        client.responses.create(model="hello", input="x", previous_response_id=first.id)
    client.responses.create(model="echo", input="three", previous_response_id=second.id)
    assert [c for _, c in said("echo")] == ["one", "Hello there", "two", "Hello there", "three"]
    alone = client.responses.create(model="hello", input="alone", background=True)
    client.responses.delete(alone.id)
    with pytest.raises(openai.NotFoundError):
        call_session = alone.id.split("_", 2)[2]
        client.get("/sessions/" + call_session, cast_to=object)


def test_what_is_not_stored_is_not_found():
    r = client.responses.create(model="hello", input="Hi.", store=False)
    assert r.output_text == "Hello there" and r.store is False
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(r.id)


@pytest.mark.parametrize(("fields", "param"), [
    ({"tools": [{"type": "web_search"}]}, "tools[0].type"),
    ({"tools": [{"type": "custom", "name": "x"}]}, "tools[0].type"),
    ({"tool_choice": {"type": "file_search"}}, "tool_choice.type"),
    ({"include": ["file_search_call.results"]}, "include[0]"),
    ({"include": ["reasoning.encrypted_content"]}, "include[0]"),
    ({"service_tier": "flex"}, "service_tier"),
    ({"prompt": {"id": "pmpt_1"}}, "prompt"),
    ({"truncation": "some"}, "truncation"),
    ({"n": 2}, "n"),
    ({"session_id": "x"}, "session_id"),
    ({"stop": "x"}, "stop"),
    ({"background": True, "store": False}, "background"),
    ({"on_busy": "collect"}, "on_busy"),
    ({"temperature": 3}, "temperature"),
    ({"max_output_tokens": 0}, "max_output_tokens"),
    ({"metadata": {"x": 1}}, "metadata"),
    ({"text": {"format": {"type": "grammar"}}}, "text.format.type"),
    ({"input": [{"type": "item_reference", "id": "msg_1"}]}, "input[0].type"),
    ({"input": [{"role": "user", "content": [{"type": "input_file", "file_id": "file-1"}]}]}, "input[0].content[0].file_id"),
    ({"input": [{"role": "user", "content": [{"type": "input_image", "file_id": "file-1"}]}]}, "input[0].content[0].file_id"),
    ({"input": []}, "input"),
])
def test_what_is_not_supported_is_named(fields, param):
    with pytest.raises(openai.BadRequestError) as refused:
        client.post("/responses", body={"model": "hello", "input": "Hi."} | fields, cast_to=object)
    assert refused.value.param == param


def test_the_busy_policy_and_the_order_of_one_conversation():
    conversation = client.conversations.create()
    first = client.responses.create(model="endless", input="one", conversation=conversation.id, background=True)
    ask("arrival", "endless")
    second = client.responses.create(model="echo", input="two", conversation=conversation.id, background=True)
    with pytest.raises(openai.ConflictError):
        client.responses.create(model="echo", input="x", conversation=conversation.id, extra_headers={"X-Busy-Policy": "reject"})
    with pytest.raises(openai.ConflictError):
        client.conversations.items.create(conversation.id, items=[{"role": "user", "content": "x"}])
    assert client.responses.retrieve(second.id).status == "queued"
    third = client.responses.create(model="echo", input="three", conversation=conversation.id, extra_body={"on_busy": "interrupt"})
    assert third.output_text == "three"
    assert until(first.id, "incomplete").incomplete_details.reason is None
    assert until(second.id, "completed").output_text == "two"


def test_an_idempotency_key_starts_one_response():
    key = {"Idempotency-Key": f"key-{time.monotonic_ns()}"}
    one = client.responses.create(model="hello", input="Hi.", extra_headers=key)
    two = client.responses.create(model="hello", input="Hi.", extra_headers=key)
    assert one.to_dict() == two.to_dict()


def test_truncation():
    conversation = client.conversations.create()
    for _ in range(11):
        client.conversations.items.create(conversation.id, items=[{"role": "user", "content": str(i)} for i in range(20)])
    with pytest.raises(openai.BadRequestError) as refused:
        client.responses.create(model="hello", input="Hi.", conversation=conversation.id)
    assert refused.value.param == "truncation"
    client.responses.create(model="hello", input="Hi.", conversation=conversation.id, truncation="auto")
    assert 1 < len(last_body("hello")["messages"]) <= 200


def test_the_golden_streams_are_of_the_types_that_the_client_declares():
    from pathlib import Path
    from openai._models import validate_type
    from openai.types.responses import ResponseStreamEvent

    files = sorted((Path(__file__).parents[3] / "transport" / "responses" / "testdata").glob("*.sse"))
    assert len(files) >= 11
    for file in files:
        lines = [line.removeprefix("data: ") for line in file.read_text().splitlines() if line.startswith("data: ")]
        events = [validate_type(type_=ResponseStreamEvent, value=json.loads(line)) for line in lines]
        assert [e.sequence_number for e in events] == list(range(len(events))), file
