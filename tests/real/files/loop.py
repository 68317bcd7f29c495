"""An asyncio server with its clients over TCP and over a path, a child process, and timeouts."""

import asyncio
import os
import sys


async def serve(reader, writer):
    while line := await reader.readline():
        writer.write(line.upper())
        await writer.drain()
    writer.close()


async def ask(connection, words):
    reader, writer = await connection
    for word in words:
        writer.write(word.encode() + b"\n")
    writer.write_eof()
    answer = await reader.read()
    writer.close()
    return answer.decode().split()


async def main():
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    clients = [
        ask(asyncio.open_connection("127.0.0.1", port), [f"tcp{n}", "x" * 50]) for n in range(10)
    ]
    for answer in await asyncio.gather(*clients):
        print(answer[0], len(answer[1]))
    server.close()
    await server.wait_closed()

    server = await asyncio.start_unix_server(serve, "socket.of.loop")
    print(await ask(asyncio.open_unix_connection("socket.of.loop"), ["unix", "path"]))
    server.close()
    os.unlink("socket.of.loop")

    child = await asyncio.create_subprocess_exec(
        sys.executable, "-c", "print(input()[::-1])", stdin=-1, stdout=-1
    )
    out, _ = await child.communicate(b"backwards\n")
    print(out.decode().strip(), child.returncode)
    try:
        await asyncio.wait_for(asyncio.sleep(60), 0.05)
    except TimeoutError:
        print("timed out")
    print(await asyncio.to_thread(lambda: "in a thread"))


asyncio.run(main())
