"""What the tests here know of the gateway and of the model server behind it,
whose models main_test.go names for what they do."""
import json
import os
import urllib.request

URL = os.environ["GATEWAY_URL"]
TOKEN = os.environ["GATEWAY_TOKEN"]

# The bound of each step in seconds: a safety net, not a measure.
BOUND = 20


def ask(question, model):
    url = f"{os.environ['UPSTREAM_CONTROL']}/{question}?model={model}"
    with urllib.request.urlopen(url, timeout=2 * BOUND) as answer:
        return json.load(answer)


def last_body(model):
    """What the model server was asked for a model: the last call's body."""
    return ask("requests", model)[-1]["body"]


def hangup(model):
    """Returns once the gateway has hung up on the last call of a model."""
    ask("hangup", model)


def count(n):
    """The text of n deltas of the model "counts"."""
    return "".join(f"{i} " for i in range(1, n + 1))


def call(method, path, body=None):
    """Calls an endpoint of the gateway that has no client of its own."""
    request = urllib.request.Request(URL + path, method=method, data=body and json.dumps(body).encode())
    request.add_header("Authorization", "Bearer " + TOKEN)
    request.add_header("Content-Type", "application/json")
    with urllib.request.urlopen(request, timeout=BOUND) as answer:
        return json.load(answer)
