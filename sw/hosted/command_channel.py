"""The client's side of the commands: what was asked, and what came back.

The server answers commands in the order in which they were sent, so that an answer belongs to the
oldest command that waits. Anything else it sends is an indication, or is counted and forgotten.
"""

from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from byway.sw.vnic.commands import ErrorIndication, LinkStateIndication, Message, decode

__all__ = ["CommandChannel"]

_RESPONSE = 0x80


class CommandChannel:
    """Commands that wait for an answer.

    Parameters
    ----------
    send : callable
        Sends an element to the server.
    on_indication : callable
        Called with what the server sends unasked.

    Attributes
    ----------
    unexpected : int
        Elements that made no sense.
    """

    def __init__(
        self,
        send: Callable[[bytes], object],
        on_indication: Callable[[ErrorIndication | LinkStateIndication], None],
    ):
        self.unexpected = 0
        self._send = send
        self._on_indication = on_indication
        self._waiting: deque[tuple[int, Callable[[Any], None]]] = deque()

    def ask(self, message: Message, on_answer: Callable[[Any], None]) -> None:
        """Send a command; `on_answer` is called with the response to it."""
        self._waiting.append((message.CODE | _RESPONSE, on_answer))
        self._send(message.pack())

    def ask_all(self, messages: Sequence[Message], on_answers: Callable[[list[Any]], None]) -> None:
        """Send commands; `on_answers` is called with the responses to all of them, in order."""
        answers: list[Any] = []

        def collect(answer: Message) -> None:
            answers.append(answer)
            if len(answers) == len(messages):
                on_answers(answers)

        for message in messages:
            self.ask(message, collect)

    def receive(self, element: bytes) -> None:
        """Take an element that the server sent."""
        message = decode(element)
        if isinstance(message, ErrorIndication | LinkStateIndication):
            self._on_indication(message)
        elif message is None or not self._waiting or self._waiting[0][0] != message.CODE:
            self.unexpected += 1
        else:
            _, on_answer = self._waiting.popleft()
            on_answer(message)

    def forget(self) -> None:
        """Wait for no answer any more."""
        self._waiting.clear()
