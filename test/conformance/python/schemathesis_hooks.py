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
        case "/v1/responses/{id}", {"starting_after": _, **others}, _ if others.get("stream") not in (True, "true"):
            return False  # what is told from there on is a stream
        case "/v1/responses", _, {"tool_choice": dict() | "required"}:
            return False  # what must be called must be there
        case "/v1/responses", _, {"background": True, "store": False}:
            return False  # what nobody waits for must be kept
        case "/v1/responses", _, {"conversation": str() | dict(), "previous_response_id": str()}:
            return False  # it goes on from one of them
        case "/api/node-control", _, {"method": "node.drain", "node_id": "n1"}:
            return False  # this gateway would take no more requests
    return True
