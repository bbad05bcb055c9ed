# The Autobahn fuzzing client (Python 2.7), made to talk to a chat.
#
#   python2.7 fuzz.py LIB SPEC
#
# LIB is the folder the suite is installed in, SPEC its usual specification file.
#
# Autobahn's cases judge a server that echoes. /ws/chat answers a text message
# with JSON frames, so behind the gateway stands a model that repeats what it was
# told, and this client puts the answer together again before the case sees it:
#
#   {"type":"delta","delta":"..."} ... {"type":"done"}   the joined deltas, as one
#                                                        text message
#   {"type":"error",...} after a binary message          that message, as if echoed
#   {"type":"error",...} after an empty text message     that message, as if echoed
#
# The last two are the chat's own rules (it takes no binary and no empty message,
# says so, and stays open), and how often they stood for an echo in which case is
# written to refusals.json. Any other frame, an error after another message
# included, reaches the case as it came, and fails it. Everything below the
# messages is left alone: framing, fragments, control frames, UTF-8, closing.
import json
import os
import site
import sys

site.addsitedir(sys.argv[1])

from autobahntestsuite import fuzzing, wstest  # noqa: E402
from autobahntestsuite.case import Cases  # noqa: E402

TEXT, BINARY = 1, 2

# Cases 9.7 and 9.8 send 1000 messages one after another to measure round trips.
# A chat remembers: 1000 turns of one conversation would measure the model's
# prompt. A few turns show the same on the protocol.
ROUND_TRIPS = 10

# How many seconds a case that waits for something may last. The suite says one,
# which a busy machine may need for a turn. A case that is content ends at once.
PATIENCE = 20

# Held here because main replaces them by the classes below.
Fuzzing, Factory = fuzzing.FuzzingClientProtocol, fuzzing.FuzzingClientFactory


class ChatProtocol(Fuzzing):
    """One case's connection."""

    def connectionMade(self):
        self.open_opcode, self.open_payload = None, []  # of the message being sent
        self.sent = []  # (opcode, payload) of messages without an answer yet
        self.answer = u""  # of the turn that runs
        Fuzzing.connectionMade(self)

    def sendFrame(self, opcode, payload="", fin=True, rsv=0, mask=None, payload_len=None, chopsize=None, sync=False):
        whole = payload
        if payload_len is not None:
            whole = payload * (payload_len / len(payload)) + payload[: payload_len % len(payload)]
        if opcode in (TEXT, BINARY):
            self.open_opcode, self.open_payload = opcode, []
        if opcode <= BINARY and self.open_opcode:
            self.open_payload.append(whole)
            if fin:
                self.sent.append((self.open_opcode, "".join(self.open_payload)))
                self.open_opcode = None
        Fuzzing.sendFrame(self, opcode, payload, fin, rsv, mask, payload_len, chopsize, sync)

    def killAfter(self, delay):
        Fuzzing.killAfter(self, max(delay, PATIENCE))

    def closeAfter(self, delay):
        Fuzzing.closeAfter(self, max(delay, PATIENCE))

    def onMessage(self, msg, binary):
        frame = {}
        if not binary:
            try:
                frame = json.loads(msg)
            except ValueError:
                pass
        kind = frame.get("type")
        if kind == "delta":
            self.answer += frame["delta"]
        elif kind == "done":
            echo, self.answer = self.answer.encode("utf-8"), u""
            self.forget(lambda sent: sent[0] == TEXT)
            Fuzzing.onMessage(self, echo, False)
        else:
            refused = kind == "error" and self.forget(lambda sent: sent[0] == BINARY or sent[1] == "")
            if refused:
                self.factory.refused(self.case_id())
                Fuzzing.onMessage(self, refused[1], refused[0] == BINARY)
            else:
                Fuzzing.onMessage(self, msg, binary)

    def forget(self, which):
        for i, sent in enumerate(self.sent):
            if which(sent):
                return self.sent.pop(i)
        return None

    def case_id(self):
        return self.factory.CaseSet.caseClasstoId(self.Case)


class ChatFactory(Factory):
    def refused(self, case):
        refusals = self.__dict__.setdefault("refusals", {})
        refusals[case] = refusals.get(case, 0) + 1

    def createReports(self):
        Factory.createReports(self, produceHtml=False)
        with open(os.path.join(self.outdir, "refusals.json"), "w") as f:
            json.dump(self.__dict__.get("refusals", {}), f)


def main():
    # The suite builds its protocol and factory by these names.
    fuzzing.FuzzingClientProtocol = ChatProtocol
    fuzzing.FuzzingClientFactory = ChatFactory
    for case in Cases:
        if getattr(case, "COUNT", 0) > ROUND_TRIPS and not getattr(case, "perMessageDeflate", False):
            case.COUNT = ROUND_TRIPS
    sys.argv = ["wstest", "--mode", "fuzzingclient", "--spec", sys.argv[2]]
    wstest.run()


main()
