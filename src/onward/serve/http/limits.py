"""Limits of the server: what one request, and all requests together, may take."""

from dataclasses import dataclass

MEGABYTE = 1 << 20


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Limits of the server.

    Attributes:
        body_bytes: bytes of a request body, or of a WebSocket message.
        text_characters: characters of a text that is typed or scored.
        prompt_symbols: symbols of all prompts of one request.
        max_tokens: symbols of one completion.
        choices: completions of one request.
        answer_symbols: symbols that one answer lists, each counted with its alternatives.
        large_answer_symbols: size of an answer up to which it is small.
        large_answers: larger answers in progress at once, half of them for one client; further requests get
            status 429.
        lanes: completions that a model generates in one batch; further ones wait.
        waiting: requests that wait for a model or use it; further ones get status 429.
        searches: searches of the corpus that wait or run, half of them for one client; further ones
            get status 429.
        sessions: open sessions; beyond that the least recently used one is closed.
        adapting: sessions that learn, each with its own weights; further ones are refused. Also, texts that
            are scored with learning at once, half of them for one client.
        batch_records: lines, records or events of one batch for a detector.
        open_sequences: open sequences of a detector; records that would begin further ones get status 429.
        batches: batches that wait for a detector; further ones get status 429.
        listeners: streams of the alarms of one detector, half of them for one client.
        sockets: open WebSockets, half of them for one client.
        session_megabytes: memory for the texts, states and memories of all sessions, and for the weights of
            those that learn.
        session_memory: size of each session's memory (see `onward.memory`) in megabytes; 0 turns it off.
        stored_megabytes: disk space of all sessions in a store; beyond that the least recently used ones that
            are not in memory are removed.
        session_seconds: idle time after which a session is closed.
        connections: open connections, half of them from one address; further ones are closed.
        request_seconds: time for the head of a request to arrive, and for its body.
        send_seconds: time for a client to accept a part of a response.
        stop_seconds: time for running requests to finish when the server stops.
    """

    body_bytes: int = MEGABYTE
    text_characters: int = 200_000
    prompt_symbols: int = 65_536
    max_tokens: int = 16_384
    choices: int = 128
    answer_symbols: int = 1 << 21
    large_answer_symbols: int = 1 << 14
    large_answers: int = 16
    lanes: int = 64
    waiting: int = 1024
    searches: int = 64
    sessions: int = 1000
    adapting: int = 8
    batch_records: int = 50_000
    open_sequences: int = 100_000
    batches: int = 64
    listeners: int = 200
    sockets: int = 1000
    session_megabytes: int = 512
    session_memory: float | int = 4
    stored_megabytes: int = 1024
    session_seconds: float = 3600.0
    connections: int = 2000
    request_seconds: float = 10.0
    send_seconds: float = 30.0
    stop_seconds: float = 30.0
