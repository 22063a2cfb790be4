"""A server for the tests, on a free port, with the model that ships."""

import os
import pathlib
import subprocess

import pytest

ROOT = pathlib.Path(__file__).parents[2]
COMMAND = ROOT / os.environ.get("DIGNITY", "target/release/dignity")


def start(*arguments):
    command = [COMMAND, "serve", "--port", "0", "--log-level", "warn", *arguments]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    url = process.stdout.readline().strip().removeprefix("listening on ")
    assert url, "the server did not start"
    return process, url


@pytest.fixture(scope="session")
def url():
    process, url = start()
    yield url
    process.terminate()
    assert process.wait(30) == 0


@pytest.fixture
def server():
    """Starts further servers, with arguments."""
    processes = []

    def started(*arguments):
        process, url = start(*arguments)
        processes.append(process)
        return url

    yield started
    for process in processes:
        process.kill()
        process.wait()
