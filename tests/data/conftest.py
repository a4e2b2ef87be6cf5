"""A table of the user's own, and a local server."""

import functools
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest
from houses import on_houses, table

from jointens import Experiment


@pytest.fixture
def houses(tmp_path, monkeypatch):
    """Return a function that writes houses.csv into the working directory and makes an experiment on it."""
    monkeypatch.chdir(tmp_path)

    def make(content: str | bytes | None = None, **keys) -> Experiment:
        content = table() if content is None else content
        (tmp_path / "houses.csv").write_bytes(content if isinstance(content, bytes) else content.encode())
        return on_houses(**keys)

    return make


@pytest.fixture
def web(tmp_path_factory):
    """Yield a folder and the address at which a local server serves it."""
    folder = tmp_path_factory.mktemp("web")
    handler = functools.partial(SimpleHTTPRequestHandler, directory=folder)
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield folder, f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
