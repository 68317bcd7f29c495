"""Servers and clients of busybox on one machine, whose only network is its loopback."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.system.conftest import Machine

BUSYBOX = Path("/bin/busybox")
pytestmark = pytest.mark.skipif(not BUSYBOX.exists(), reason="needs busybox-static")

SCRIPT = f"""
cd /tmp; echo page > index.html
{BUSYBOX} httpd -f -p 127.0.0.1:8080 -h /tmp & server=$!
{BUSYBOX} sleep 1
{BUSYBOX} wget -q -O - http://127.0.0.1:8080/index.html
kill $server
{BUSYBOX} nc -l -p 9000 > got & {BUSYBOX} sleep 1
echo through nc | {BUSYBOX} nc 127.0.0.1 9000
wait; cat got
{BUSYBOX} netstat -tn | {BUSYBOX} tail -n +3
{BUSYBOX} ifconfig lo | {BUSYBOX} head -2 | {BUSYBOX} tail -1
{BUSYBOX} wget -q -O - http://192.0.2.1/ || echo status $?
"""
SHOWN = """\
page
through nc
tcp        0      0 127.0.0.1:8080          127.0.0.1:32768         TIME_WAIT   
tcp        0      0 127.0.0.1:32769         127.0.0.1:9000          TIME_WAIT   
          inet addr:127.0.0.1  Mask:255.0.0.0
status 1
"""  # noqa: W291


def test_a_server_answers_and_nothing_else_can_be_reached(machine: Machine) -> None:
    machine.uid = 0
    ran = machine.run(BUSYBOX, "sh", "-c", SCRIPT)
    assert ran.out.decode() == SHOWN
    assert b"Network is unreachable" in ran.err
    machine.kernel.check()
