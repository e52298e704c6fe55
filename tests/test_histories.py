"""Random insertions, status changes, and complete and killed runs; the warehouse ends up equal.

`HYPOTHESIS_PROFILE=nightly` tries 1,000 histories per vendor.
"""

from __future__ import annotations

from datetime import timedelta

import hypothesis
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from msghistory_sandbox.clock import Clock
from msghistory_sandbox.history import Message
from msghistory_sandbox.options import GatewayOptions
from msghistory_sandbox.server import Sandbox
from tests.support import END, END_MS, LEDGER, check_ledger, config, iso, selecting, sync, truth

UNLIMITED = GatewayOptions(requests_per_minute=None, requests_per_second=None)
HOUR_MS = 3_600_000
LAST_AGE = timedelta(days=30)


class Histories(RuleBasedStateMachine):
    """A server whose history changes, and a warehouse that upserts the records of each run."""

    stream: str
    other_vendor: str

    def __init__(self):
        super().__init__()
        self.sandbox = Sandbox(clock=Clock(END_MS, frozen=True), gateway_options=UNLIMITED)
        self.serving = self.sandbox.serve()
        self.serving.__enter__()
        self.warehouse = {}
        self.state = {}
        self.number = 0

    @property
    def history(self):
        return self.sandbox.edna if self.stream == "edna_history" else self.sandbox.gateway["SMS"]

    @property
    def now_ms(self):
        return self.sandbox.clock.now_ms()

    def insert(self, sent_ms):
        self.number += 1
        id_ = self.number if self.stream == "edna_history" else f"id {self.number}"
        status = "ACCEPTED" if self.stream == "edna_history" else "SENT"
        self.history.add(
            Message(id=id_, sent_ms=sent_ms, channel="SMS", lifecycle=((0, status),), visible_ms=self.now_ms)
        )

    def run(self, *, keep_states):
        until = iso(END + timedelta(milliseconds=self.now_ms - END_MS))
        settings = config(
            self.sandbox,
            start_date=iso(END - timedelta(days=40)),
            end_date=until,
            visibility_lag="PT0S",
            page_size=3,
        )
        catalog = selecting(self.stream, LEDGER)
        output = sync(settings | {self.other_vendor: None}, state=self.state, catalog=catalog)
        check_ledger(output)
        kept = output.messages
        if keep_states is not None:
            states = [at for at, message in enumerate(kept) if message["type"] == "STATE"]
            kept = kept[: states[min(keep_states, len(states) - 1)] + 1]
        for message in kept:
            if message["type"] == "RECORD" and message["stream"] == self.stream:
                self.warehouse[message["record"]["messageId"]] = message["record"]
            elif message["type"] == "STATE":
                self.state = message["value"]

    @initialize(count=st.integers(0, 12), step=st.integers(1, 100))
    def start(self, count, step):
        for number in range(count):
            self.insert(END_MS - number * step * HOUR_MS // 4)

    @rule(hours=st.integers(1, 24 * 12))
    def time_passes(self, hours):
        self.sandbox.clock.advance(hours * 3600)

    @rule(ties=st.integers(1, 5))
    def messages_are_sent(self, ties):
        for _ in range(ties):
            self.insert(self.now_ms)

    @rule(hours=st.integers(1, 24 * 29))
    def a_message_appears_late(self, hours):
        self.insert(self.now_ms - hours * HOUR_MS)

    @precondition(lambda self: len(self.history) > 0)
    @rule(data=st.data(), status=st.sampled_from(["DELIVERED", "READ", "UNDELIVERED"]))
    def a_status_changes(self, data, status):
        followed = [
            message
            for message in self.history
            if self.now_ms - message.sent_ms < LAST_AGE.total_seconds() * 1000
        ]
        if followed:
            self.history.set_status(data.draw(st.sampled_from(followed)).id, status, self.now_ms)

    @rule()
    def a_run(self):
        self.run(keep_states=None)

    @rule(states=st.integers(0, 8))
    def a_run_that_is_killed(self, states):
        self.run(keep_states=states)

    def teardown(self):
        try:
            self.sandbox.clock.advance(LAST_AGE.total_seconds() + 3600)
            self.run(keep_states=None)
            expected = {record["messageId"]: record for record in truth(self.sandbox, self.stream)}
            assert self.warehouse == expected
        finally:
            self.serving.__exit__(None, None, None)


class EdnaHistories(Histories):
    stream = "edna_history"
    other_vendor = "partner_gateway_api_key"


class GatewayHistories(Histories):
    stream = "partner_gateway_history_sms"
    other_vendor = "edna_api_key"


TestEdnaHistories = EdnaHistories.TestCase
TestGatewayHistories = GatewayHistories.TestCase
#: Fewer than by default: each example is a dozen runs of the tap.
TestEdnaHistories.settings = TestGatewayHistories.settings = hypothesis.settings(
    max_examples=hypothesis.settings().max_examples // 2
)
