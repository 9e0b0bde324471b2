"""Two servers behind a real nginx with the configuration of the guide: sessions stay with their servers."""

import json
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.documentation import ROOT
from tests.serve.conftest import Server
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

pytestmark = pytest.mark.slow

GUIDE = ROOT / "docs" / "guides" / "onward-nginx.conf"
MAIN = """
daemon off; pid {folder}/nginx.pid; error_log stderr warn; events {{ worker_connections 256; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
    include {site};
}}
"""


def free_port() -> int:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Proxied:
    """Two servers and the proxy.

    Attributes:
        url: address of the proxy.
        client: sends requests to it.
        servers: the servers by name.
    """

    def __init__(self, model: Path, folder: Path) -> None:
        self._model, self._folder = model, folder
        self._ports = {"a": free_port(), "b": free_port()}
        self.servers = {name: self.start(name) for name in self._ports}
        site, port = folder / "onward.conf", free_port()
        text = GUIDE.read_text(encoding="utf-8")
        for documented, real in ((8000, port), (8001, self._ports["a"]), (8002, self._ports["b"])):
            assert f":{documented};" in text
            text = text.replace(f":{documented};", f":{real};")
        site.write_text(text)
        (folder / "nginx.conf").write_text(MAIN.format(folder=folder, site=site))
        command = ["nginx", "-e", "stderr", "-p", str(folder), "-c", str(folder / "nginx.conf")]
        self._nginx = subprocess.Popen(command)
        self.url = f"http://127.0.0.1:{port}"
        self.client = httpx.Client(base_url=self.url, timeout=30)
        end = time.monotonic() + 30
        while not self._answers():
            assert time.monotonic() < end
            time.sleep(0.1)

    def start(self, name: str) -> Server:
        state = self._folder / f"{name}.db"
        options = [
            "--state",
            state,
            "--name",
            name,
            "--port",
            self._ports[name],
            "--allow-host",
            "onward.test",
        ]
        return Server(self._model, *options)

    def stop(self) -> None:
        self.client.close()
        self._nginx.terminate()
        self._nginx.wait(30)
        for server in self.servers.values():
            server.end()

    def session(self, text: str = "the st") -> str:
        """Returns the id of a new session."""
        response = self.client.post("/v1/sessions", json={"text": text})
        assert response.status_code == 201, response.text
        return response.json()["id"]

    def _answers(self) -> bool:
        try:
            return self.client.get("/healthz").status_code == 200
        except httpx.TransportError:
            return False


@pytest.fixture(scope="module")
def proxied(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxied]:
    if not shutil.which("nginx"):
        pytest.skip("nginx is not installed (Debian: apt install nginx-light)")
    running = Proxied(model, tmp_path_factory.mktemp("proxied"))
    yield running
    running.stop()


def socket_of(proxied: Proxied, session: str, **options: Any) -> Any:
    return connect(f"{proxied.url.replace('http', 'ws', 1)}/v1/sessions/{session}/ws", **options)


def test_both_servers_get_sessions_which_stay_with_them(proxied: Proxied) -> None:
    ids = [proxied.session() for _ in range(12)]
    assert {id_[:4] for id_ in ids} == {"s-a-", "s-b-"}
    for letter in "ate":
        for id_ in ids:
            answer = proxied.client.post(f"/v1/sessions/{id_}/edit", json={"insert": letter})
            assert answer.status_code == 200, answer.text
    for id_ in ids:
        assert proxied.client.get(f"/v1/sessions/{id_}").json()["text"] == "the state"


def test_a_websocket_goes_to_the_server_of_its_session(proxied: Proxied) -> None:
    for id_ in [proxied.session() for _ in range(6)]:
        with socket_of(proxied, id_, origin=proxied.url) as websocket:
            for letter in "ate":
                websocket.send(json.dumps({"insert": letter}))
                assert json.loads(websocket.recv(30))["id"] == id_
        assert proxied.client.get(f"/v1/sessions/{id_}").json()["text"] == "the state"


def test_a_stream_arrives_in_parts(proxied: Proxied) -> None:
    body = {"prompt": "the st", "max_tokens": 16_000, "stream": True}
    started = time.monotonic()
    with proxied.client.stream("POST", "/v1/completions", json=body) as response:
        arrived = [(time.monotonic() - started, part) for part in response.iter_raw() if part]
    assert b"".join(part for _, part in arrived).rstrip().endswith(b"data: [DONE]")
    assert arrived[0][0] < 0.9 * arrived[-1][0]


def test_the_page_is_served_and_metrics_are_not(proxied: Proxied) -> None:
    assert "text/html" in proxied.client.get("/").headers["content-type"]
    assert proxied.client.get("/metrics").status_code == 404


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, 200),
        ({"host": "onward.test"}, 200),
        ({"host": "onward.test", "origin": "http://onward.test"}, 200),
        ({"host": "evil.example"}, 403),
        ({"origin": "http://evil.example"}, 403),
        ({"host": "onward.test", "origin": "http://onward.test:81"}, 403),
        ({"sec-fetch-site": "cross-site"}, 403),
    ],
)
def test_the_servers_check_host_and_origin_behind_the_proxy(
    headers: dict[str, str], expected: int, proxied: Proxied
) -> None:
    response = proxied.client.get("/v1/models", headers=headers)
    assert response.status_code == expected, response.text


def test_a_websocket_of_another_site_is_refused(proxied: Proxied) -> None:
    with (
        pytest.raises(InvalidStatus) as refused,
        socket_of(proxied, proxied.session(), origin="http://evil.example"),
    ):
        pass
    assert refused.value.response.status_code == 403


def test_a_server_that_is_killed_takes_only_its_sessions_and_brings_them_back(proxied: Proxied) -> None:
    ids = {id_[2]: id_ for id_ in (proxied.session() for _ in range(12))}
    proxied.servers["a"].end(signal.SIGKILL)

    def insert(name: str) -> httpx.Response:
        return proxied.client.post(f"/v1/sessions/{ids[name]}/edit", json={"insert": "a"})

    assert insert("a").status_code == 502
    assert insert("b").status_code == 200
    for _ in range(4):
        answer = proxied.client.post("/v1/completions", json={"prompt": "the ", "max_tokens": 4})
        assert answer.status_code == 200, answer.text
        assert proxied.session().startswith("s-b-")
    proxied.servers["a"] = proxied.start("a")
    end = time.monotonic() + 30
    while insert("a").status_code != 200:  # nginx tries a server that failed again after ten seconds
        assert time.monotonic() < end
        time.sleep(0.5)
    assert proxied.client.get(f"/v1/sessions/{ids['a']}").json()["text"] == "the sta"
