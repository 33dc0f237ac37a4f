"""The guards of the unit tests are themselves tested: a guard that lets things through is worse than none."""

import socket
import subprocess

import pytest


def test_a_connection_fails_the_test() -> None:
    with pytest.raises(pytest.fail.Exception, match="opened a connection"), socket.socket() as client:
        client.connect(("127.0.0.1", 9))


def test_starting_docker_fails_the_test() -> None:
    with pytest.raises(pytest.fail.Exception, match="started 'docker'"):
        subprocess.run(["/usr/bin/docker", "ps"], check=False)
