"""`guest.py term|rfb PROMPT SCRIPT RC`: types to a guest of Bochs, and prints what it shows.

The screen is Bochs' own pseudo-terminal (term) or what its RFB server at port 5900 sends (rfb): its
letters are told by the font in the VGA BIOS. SCRIPT: lines to type, each once the guest shows
PROMPT, so many keys at once as its keyboard keeps. RC: Bochs' configuration. After LIMIT seconds
Bochs is killed.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import string
import struct
import subprocess
import sys
import termios
import time
import tty

LIMIT = 900
AT_ONCE = 4  # keys
COLUMNS, ROWS = 80, 25
ENTER, XK_RETURN, XK_SHIFT_L = "\r", 0xFF0D, 0xFFE1
SHIFTED = {*string.ascii_uppercase, *'~!@#$%^&*()_+{}|:"<>?'}
FONT = "/usr/share/vgabios/vgabios.bin"
LETTER_A = bytes.fromhex("000010386cc6c6fec6c6c6c600000000")  # 8 by 16 pixels
WIDTH, HEIGHT = 9, 16  # of a letter on the screen
TOOLBAR = 32  # pixels of Bochs' own above the guest's
INK = [b"#" * paper + b" " + b"#" * (255 - paper) for paper in range(256)]


class Terminal:
    """The terminal that Bochs names, as a screen."""

    def __init__(self, bochs: subprocess.Popen[bytes]) -> None:
        """Wait for its name."""
        import pyte

        said = b""
        while not (name := re.search(rb'connected to screen "([^"]*)"', said)):
            said += os.read(bochs.stdout.fileno(), 4096)
        self.fd = os.open(name[1], os.O_RDWR | os.O_NOCTTY)
        tty.setraw(self.fd)
        termios.tcsetwinsize(self.fd, (ROWS, COLUMNS))
        self.screen = pyte.Screen(COLUMNS, ROWS)
        self.stream = pyte.ByteStream(self.screen)

    def update(self) -> None:
        """Wait for something new; EOFError: there will be nothing."""
        try:
            more = os.read(self.fd, 4096)
        except OSError:
            more = b""
        if not more:
            raise EOFError
        self.stream.feed(more)

    def lines(self) -> list[str]:
        """Return what is shown."""
        return list(self.screen.display)

    def press(self, key: str) -> None:
        """Press a key."""
        os.write(self.fd, key.encode())


class Remote:
    """A client of the RFB server (RFC 6143), version 3.3: raw pixels of one byte."""

    def __init__(self, _: subprocess.Popen[bytes]) -> None:
        """Connect, once the server is there."""
        self.socket = socket.socket()
        while self.socket.connect_ex(("127.0.0.1", 5900)):
            time.sleep(0.1)
        self._read(12)
        self.socket.sendall(b"RFB 003.003\n")
        (security,) = struct.unpack(">I", self._read(4))
        if security != 1:
            sys.exit(f"security {security}")
        self.socket.sendall(b"\1")
        self.width, self.height, *_, length = struct.unpack(">HH16sI", self._read(24))
        self._read(length)
        self.pixels = [bytearray(self.width) for _ in range(self.height)]
        self.read: dict[int, str] = {}  # the lines that are told already
        self.socket.sendall(struct.pack(">BxHi", 2, 1, 0))
        self._ask(0)
        self.font = font()

    def _read(self, size: int) -> bytes:
        got = b""
        while len(got) < size:
            try:
                more = self.socket.recv(size - len(got))
            except OSError:
                more = b""
            if not more:
                raise EOFError
            got += more
        return got

    def _ask(self, incremental: int) -> None:
        with contextlib.suppress(OSError):
            area = (0, 0, self.width, self.height)
            self.socket.sendall(struct.pack(">BB4H", 3, incremental, *area))

    def update(self) -> None:
        """Wait for something new; EOFError: there will be nothing."""
        kind, *_, count = struct.unpack(">BxH", self._read(4))
        if kind:
            sys.exit(f"message {kind} of the server")
        for _ in range(count):
            x, y, width, height, encoding = struct.unpack(">4Hi", self._read(12))
            if encoding:
                sys.exit(f"encoding {encoding} of the server")
            pixels = self._read(width * height)
            for row in range(height):
                self.pixels[y + row][x : x + width] = pixels[row * width : (row + 1) * width]
                self.read.pop((y + row - TOOLBAR) // HEIGHT, None)
        self._ask(1)

    def lines(self) -> list[str]:
        """Return what is shown, as letters."""
        for line in set(range(ROWS)) - set(self.read):
            top = TOOLBAR + line * HEIGHT
            rows = self.pixels[top : top + HEIGHT]
            letters = [self._letter(rows, column * WIDTH) for column in range(COLUMNS)]
            self.read[line] = "".join(letters)
        return [self.read[line] for line in range(ROWS)]

    def _letter(self, rows: list[bytearray], left: int) -> str:
        shape = b"".join([row[left : left + 8] for row in rows])
        paper = shape[0]  # no letter has ink in its first corner
        return self.font.get(shape.translate(INK[paper]), " ")  # the cursor, too

    def press(self, key: str) -> None:
        """Press a key, and let it go."""
        symbols = [XK_RETURN] if key == ENTER else [ord(key)]
        if key in SHIFTED:
            symbols.insert(0, XK_SHIFT_L)
        events = [(1, symbol) for symbol in symbols] + [(0, symbol) for symbol in reversed(symbols)]
        for down, symbol in events:
            self.socket.sendall(struct.pack(">BBxxI", 4, down, symbol))


def font() -> dict[bytes, str]:
    """Return the letters of ASCII by their shapes: a byte for each pixel, "#" for ink."""
    with open(FONT, "rb") as rom:
        bios = rom.read()
    first = bios.index(LETTER_A) - ord("A") * HEIGHT
    at = {code: first + code * HEIGHT for code in range(0x20, 0x7F)}
    bits = {code: bios[start : start + HEIGHT] for code, start in at.items()}
    return {inked(rows): chr(code) for code, rows in bits.items()}


def inked(rows: bytes) -> bytes:
    """Return the pixels of a letter, given a bit for each."""
    return "".join(f"{row:08b}" for row in rows).translate({48: " ", 49: "#"}).encode()


def wait_for(screen: Terminal | Remote, wanted: str) -> None:
    """Wait until the lowest line that is not empty is this one."""
    while next((line.strip() for line in reversed(screen.lines()) if line.strip()), "") != wanted:
        try:
            screen.update()
        except EOFError:
            sys.exit("\n".join([f"no {wanted!r}:", *screen.lines()]))


def play(screen: Terminal | Remote, prompt: str, lines: list[str]) -> None:
    """Type the lines, the last of which ends the guest; print the screen as it was before that."""
    for line in lines:
        wait_for(screen, prompt)
        if line == lines[-1]:
            print("\n".join(shown.rstrip() for shown in screen.lines()), flush=True)
        for start in range(0, len(line), AT_ONCE):
            typed = line[: start + AT_ONCE]
            for key in typed[start:]:
                screen.press(key)
            wait_for(screen, f"{prompt} {typed}".strip())
        screen.press(ENTER)
    with contextlib.suppress(EOFError):
        while True:
            screen.update()


def main(kind: str, prompt: str, script: str, rc: str) -> int:
    """Play the script; return Bochs' exit status."""
    bochs = subprocess.Popen(
        ["bochs", "-q", "-f", rc],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=os.environ | {"TERM": "linux"},
    )
    signal.signal(signal.SIGALRM, lambda *_: bochs.kill())
    signal.alarm(LIMIT)
    os.write(bochs.stdin.fileno(), b"c\n")  # its debugger waits for this
    screen = {"term": Terminal, "rfb": Remote}[kind](bochs)
    with open(script) as lines:
        play(screen, prompt, lines.read().splitlines())
    return bochs.wait()


sys.exit(main(*sys.argv[1:]))
