"""The websockets package from PyPI on /ws/chat."""
import asyncio
import json

import pytest
from websockets.asyncio.client import connect as connect_async
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from gateway import BOUND, TOKEN, URL, call, count, hangup

ADDRESS = URL.replace("http", "ws") + "/ws/chat"
AUTHORIZED = {"additional_headers": {"Authorization": "Bearer " + TOKEN}, "open_timeout": BOUND, "proxy": None}


def hear(ws):
    return json.loads(ws.recv(timeout=BOUND))


def hear_turn(ws):
    """Reads to the end of a turn: its text, and the frame that ended it."""
    text = ""
    while (frame := hear(ws))["type"] == "delta":
        text += frame["delta"]
    return text, frame


def refused(query="", **settings):
    with pytest.raises(InvalidStatus) as failure:
        connect(ADDRESS + query, **{"proxy": None, "open_timeout": BOUND} | settings)
    response = failure.value.response
    return response.status_code, json.loads(response.body)["error"]["code"]


def test_a_chat():
    with connect(ADDRESS, **AUTHORIZED) as ws:
        for message in ["there and back", "Grüße 👋"]:
            ws.send(message)
            assert hear_turn(ws) == (message, {"type": "done"})
    assert ws.close_code == 1000


def test_a_message_in_fragments():
    with connect(ADDRESS, **AUTHORIZED) as ws:
        ws.send(["in ", "three ", "pieces"])
        assert hear_turn(ws)[0] == "in three pieces"


def test_the_token_as_a_subprotocol():
    with connect(ADDRESS, subprotocols=["agentzero.v1", "bearer." + TOKEN], proxy=None) as ws:
        assert ws.subprotocol == "agentzero.v1"
        assert ws.response.headers.get_all("Sec-WebSocket-Protocol") == ["agentzero.v1"]
        ws.send("Hi.")
        assert hear_turn(ws)[0] == "Hi."


def test_a_ticket_which_is_good_for_one():
    query = "?ticket=" + call("POST", "/v1/ws-ticket")["ticket"]
    with connect(ADDRESS + query, proxy=None) as ws:
        ws.send("Hi.")
        assert hear_turn(ws)[0] == "Hi."
    assert refused(query) == (403, "auth_failed")


def test_who_is_not_let_in():
    assert refused() == (401, "auth_required")
    assert refused(additional_headers={"Authorization": "Bearer az_wrong"}) == (403, "auth_failed")
    assert refused(**AUTHORIZED, origin="https://elsewhere.example") == (403, "origin_denied")


def test_a_session_that_is_resumed_where_the_connection_was_lost():
    text = ""
    with connect(ADDRESS + "?session=py-resumed", **AUTHORIZED) as ws:
        ws.send(json.dumps({"type": "message", "content": "count", "model": "counts"}))
        while len(text) < len(count(10)):
            frame = hear(ws)
            text += frame["delta"]
        ws.socket.close()
    with connect(f"{ADDRESS}?session=py-resumed&after={frame['seq']}", **AUTHORIZED) as ws:
        rest, last = hear_turn(ws)
    assert text + rest == count(300)
    assert (last["type"], last["turn"]) == ("done", frame["turn"])


def test_pings_and_a_cancel_during_a_turn():
    with connect(ADDRESS, **AUTHORIZED) as ws:
        ws.send(json.dumps({"type": "message", "content": "Hi.", "model": "endless"}))
        text = ""
        while text != "1 2 3 ":
            text += hear(ws)["delta"]
        assert ws.ping().wait(BOUND)
        ws.send('{"type":"cancel"}')
        text, last = hear_turn(ws)
        assert (text, last["code"]) == ("", "turn_interrupted")
        hangup("endless")


def test_a_binary_message_is_refused_during_a_turn_which_can_still_be_cancelled():
    with connect(ADDRESS, **AUTHORIZED) as ws:
        ws.send(json.dumps({"type": "message", "content": "Hi.", "model": "silent"}))
        ws.send(b"binary")
        assert hear(ws)["code"] == "bad_request"
        ws.send('{"type":"cancel"}')
        assert hear(ws)["code"] == "turn_interrupted"


def test_many_at_once():
    async def talk(i):
        async with connect_async(ADDRESS, **AUTHORIZED) as ws:
            text = ""
            await ws.send(f"number {i}")
            async for message in ws:
                frame = json.loads(message)
                if frame["type"] != "delta":
                    return text, frame["type"]
                text += frame["delta"]

    async def all_of_them():
        return await asyncio.wait_for(asyncio.gather(*map(talk, range(50))), BOUND)

    assert asyncio.run(all_of_them()) == [(f"number {i}", "done") for i in range(50)]
