"""What an OpenAPI document cannot say."""
import schemathesis


def part_from(response, **_):
    """A connection that has become a WebSocket serves no further request."""
    if response.status_code == 101:
        response.raw.connection.close()


@schemathesis.hook
def before_call(context, case, kwargs):
    kwargs["hooks"] = {"response": part_from}  # of requests, which makes the call


@schemathesis.hook
def filter_case(context, case):
    match case.path, case.query or {}, case.body:
        case "/ws/chat", {"after": _, **others}, _ if "session" not in others:
            return False  # a position belongs to a session
        case "/api/node-control", _, {"method": "node.drain", "node_id": "n1"}:
            return False  # this gateway would take no more requests
    return True
