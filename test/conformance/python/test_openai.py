"""The official OpenAI client from PyPI."""
import asyncio

import openai
import pydantic
import pytest

from gateway import BOUND, TOKEN, URL, ask, hangup, last_body

settings = {"base_url": URL + "/v1", "api_key": TOKEN, "max_retries": 0, "timeout": BOUND}
client = openai.OpenAI(**settings)

STREAMED = pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
USAGE = {"prompt_tokens": 1, "completion_tokens": 3, "total_tokens": 4}
WEATHER = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "The weather of a city.",
        "strict": True,
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"], "additionalProperties": False},
    },
}
CALLS = [("call_1", "weather", '{"city":"Oslo"}'), ("call_2", "weather", '{"city":"Rome"}')]


def user(content):
    return [{"role": "user", "content": content}]


def chat(model, content="Hi.", **fields):
    return client.chat.completions.create(model=model, messages=user(content), **fields)


def test_a_chat():
    answer = chat("hello")
    assert answer.object == "chat.completion"
    assert answer.id.startswith("chatcmpl-")
    assert answer.model == "hello"
    assert answer.choices[0].message.role == "assistant"
    assert answer.choices[0].message.content == "Hello there"
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage.model_dump(exclude_none=True) == USAGE
    assert answer._request_id


def test_answers_are_of_the_types_that_the_client_declares():
    strict = openai.OpenAI(**settings, _strict_response_validation=True)
    assert strict.chat.completions.create(model="hello", messages=user("Hi.")).choices
    assert list(strict.chat.completions.create(model="tools", messages=user("Hi."), stream=True))
    assert list(strict.models.list())


def test_fields_that_the_gateway_does_not_know_reach_the_model():
    sent = {"temperature": 0.25, "top_p": 0.5, "seed": 7, "stop": ["\n\n"], "logit_bias": {"42": -100}, "metadata": {"who": "ädä"}}
    extra = {"of_tomorrow": {"list": [1, "two", None]}}
    chat("hello", **sent, extra_body=extra)
    body = last_body("hello")
    assert {name: body.get(name) for name in sent | extra} == sent | extra


def test_a_stream():
    chunks = list(chat("hello", stream=True))
    assert "".join(c.choices[0].delta.content or "" for c in chunks) == "Hello there"
    assert len({(c.id, c.created, c.model, c.object) for c in chunks}) == 1
    assert chunks[-1].choices[0].finish_reason == "stop"
    assert not any(c.usage for c in chunks)


def test_usage_at_the_end_of_a_stream():
    *chunks, last = chat("hello", stream=True, stream_options={"include_usage": True})
    assert last.choices == []
    assert last.usage.model_dump(exclude_none=True) == USAGE
    assert all(len(c.choices) == 1 and not c.usage for c in chunks)


def test_the_clients_own_stream_helper():
    with client.chat.completions.stream(model="echo", messages=user("there and back again")) as stream:
        text = "".join(e.delta for e in stream if e.type == "content.delta")
        final = stream.get_final_completion()
    assert text == final.choices[0].message.content == "there and back again"


def test_the_asynchronous_client():
    async def talk():
        async with openai.AsyncOpenAI(**settings) as client:
            ask = [client.chat.completions.create(model="echo", messages=user(f"number {i}"), stream=True) for i in range(20)]
            return ["".join([c.choices[0].delta.content or "" async for c in s]) for s in await asyncio.gather(*ask)]

    assert asyncio.run(talk()) == [f"number {i}" for i in range(20)]


def test_tools_whole():
    fields = {"tools": [WEATHER], "tool_choice": "auto", "parallel_tool_calls": True}
    choice = chat("tools", "The weather in Oslo and Rome?", **fields).choices[0]
    assert choice.finish_reason == "tool_calls"
    assert choice.message.content is None
    assert [(c.id, c.function.name, c.function.arguments) for c in choice.message.tool_calls] == CALLS
    body = last_body("tools")
    assert {name: body[name] for name in fields} == fields

    talk = user("The weather in Oslo and Rome?") + [
        choice.message.model_dump(exclude_none=True),
        {"role": "tool", "tool_call_id": "call_1", "content": "Rain."},
        {"role": "tool", "tool_call_id": "call_2", "content": "Sun."},
    ]
    client.chat.completions.create(model="echo", messages=talk, tools=[WEATHER])
    assert last_body("echo")["messages"] == talk


def test_tools_streamed():
    calls = {}
    for chunk in chat("tools", stream=True, tools=[WEATHER]):
        for part in chunk.choices[0].delta.tool_calls or []:
            call = calls.setdefault(part.index, [part.id, part.function.name, ""])
            call[2] += part.function.arguments
    assert [tuple(c) for c in calls.values()] == CALLS
    assert chunk.choices[0].finish_reason == "tool_calls"
    assert last_body("tools")["tools"] == [WEATHER]


def test_reasoning_that_the_client_does_not_know():
    assert chat("thinks").choices[0].message.reasoning_content == "Six by seven."
    deltas = [c.choices[0].delta for c in chat("thinks", stream=True)]
    assert "".join(getattr(d, "reasoning_content", None) or "" for d in deltas) == "Six by seven."
    assert "".join(d.content or "" for d in deltas) == "42"


def test_a_response_format():
    class Place(pydantic.BaseModel):
        city: str

    answer = client.chat.completions.parse(model="city", messages=user("Where?"), response_format=Place)
    assert answer.choices[0].message.parsed == Place(city="Oslo")
    assert last_body("city")["response_format"]["json_schema"]["name"] == "Place"


def test_the_list_of_models():
    models = list(client.models.list())
    assert {m.object for m in models} == {"model"}
    assert {"hello", "echo"} <= {m.id for m in models}
    assert client.models.retrieve("hello").id == "hello"
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("nobody/knows")


@STREAMED
def test_a_wrong_key(stream):
    with pytest.raises(openai.PermissionDeniedError) as failure:
        client.with_options(api_key="az_wrong").chat.completions.create(model="hello", messages=user("Hi."), stream=stream)
    assert failure.value.status_code == 403
    assert failure.value.code == "auth_failed"
    assert failure.value.request_id


@STREAMED
def test_an_unknown_model(stream):
    with pytest.raises(openai.NotFoundError, match="nobody") as failure:
        chat("nobody", stream=stream)
    assert failure.value.status_code == 404


def test_a_bad_request():
    with pytest.raises(openai.BadRequestError) as failure:
        client.chat.completions.create(model="hello", messages=[])
    assert (failure.value.code, failure.value.param) == ("bad_request", "messages")


@STREAMED
def test_an_upstreams_early_429_with_its_retry_after(stream):
    with pytest.raises(openai.RateLimitError, match="Slow down") as failure:
        chat("limited", stream=stream)
    assert failure.value.response.headers["retry-after"] == "60"


def test_an_upstream_that_dies_in_mid_answer():
    text = ""
    with pytest.raises(openai.APIError) as failure:
        for chunk in chat("dies", stream=True):
            text += chunk.choices[0].delta.content
    assert failure.value.code == "agent_execution_failed"
    assert text == "1 2 "


def test_an_abort_in_mid_stream():
    stream = chat("endless", stream=True)
    for _ in range(3):
        next(stream)
    stream.close()
    hangup("endless")


def test_an_abort_before_the_first_byte():
    async def abort():
        async with openai.AsyncOpenAI(**settings) as client:
            answer = asyncio.create_task(client.chat.completions.create(model="silent", messages=user("Hi.")))
            await asyncio.to_thread(ask, "arrival", "silent")
            answer.cancel()
            with pytest.raises(asyncio.CancelledError):
                await answer

    asyncio.run(abort())
    hangup("silent")


def test_a_session_that_remembers():
    session = client.with_options(default_headers={"X-Session-Id": "pypi-openai"})
    for content in ["My name is Ada.", "What is my name?"]:
        raw = session.chat.completions.with_raw_response.create(model="echo", messages=user(content))
        assert raw.headers["x-session-id"] == "pypi-openai"
        assert raw.parse().choices[0].message.content == content
    assert last_body("echo")["messages"] == [
        {"role": "user", "content": "My name is Ada."},
        {"role": "assistant", "content": "My name is Ada."},
        {"role": "user", "content": "What is my name?"},
    ]
