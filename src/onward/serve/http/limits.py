"""What a client may ask for."""

from dataclasses import dataclass

MEGABYTE = 1 << 20


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Bounds of what a request, and all of them together, may take.

    Attributes:
        body_bytes: of a request, and of a message of a WebSocket.
        text_characters: of a text that is typed or scored.
        prompt_symbols: of all prompts of a request.
        max_tokens: symbols of a sample.
        choices: samples of a request.
        lanes: samples that a model writes side by side; others wait.
        waiting: requests that wait for a model, or are worked on; others get 429.
        sessions: that are kept; the least recently used goes.
        adapting: sessions that learn, each with weights of its own; others are refused.
        batch_records: lines, records or events of a batch to watch.
        batches: to watch that wait for a detector; others get 429.
        listeners: that follow the alarms of a detector.
        session_megabytes: of the states of all sessions, and of the weights that some have learned.
        session_seconds: after which a session that is not used ends.
        connections: open at once; further ones are closed.
        request_seconds: for the head of a request to come, and for its body.
        send_seconds: for a client to take a part of an answer.
        stop_seconds: for running requests to end when the server is told to stop.
    """

    body_bytes: int = MEGABYTE
    text_characters: int = 200_000
    prompt_symbols: int = 65_536
    max_tokens: int = 16_384
    choices: int = 128
    lanes: int = 64
    waiting: int = 1024
    sessions: int = 1000
    adapting: int = 8
    batch_records: int = 50_000
    batches: int = 64
    listeners: int = 200
    session_megabytes: int = 512
    session_seconds: float = 3600.0
    connections: int = 2000
    request_seconds: float = 10.0
    send_seconds: float = 30.0
    stop_seconds: float = 30.0
