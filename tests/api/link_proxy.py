#!/usr/bin/python3
"""Carries links between nodes and makes them slow, or silent in one direction. A program of its own.

usage: link_proxy.py NAME=ADDRESS:PORT=TARGET:PORT...

Listens at each ADDRESS, and for each connection dials TARGET from the same ADDRESS. Commands come on standard
input, one a line, and are obeyed at once, for connections that exist as well:

    NAME there MS back MS       what is sent from now on arrives so much later; `stall` instead of MS: it waits

Ends when standard input does. Prints "ready" when it listens everywhere.
"""

import asyncio
import sys

CHUNK = 64 * 1024
WAITING_BYTES_MAX = 4 * 1024 * 1024  # of one direction; then the sender waits


class Direction:
    """Delay of one direction, which changes while bytes are under way; the order stays."""

    def __init__(self):
        self.delay = 0.0     # seconds; None: stalled
        self.changed = asyncio.Event()

    def set(self, text):
        self.delay = None if text == "stall" else float(text) / 1000
        self.changed.set()
        self.changed = asyncio.Event()

    async def wait_due(self, sent_at):
        clock = asyncio.get_running_loop().time
        while True:
            left = None if self.delay is None else sent_at + self.delay - clock()
            if left is not None and left <= 0:
                return
            try:
                await asyncio.wait_for(self.changed.wait(), left)
            except asyncio.TimeoutError:
                return


class Pipe:
    """One direction of one connection."""

    def __init__(self, direction, reader, writer):
        self.direction, self.reader, self.writer = direction, reader, writer
        self.queue, self.waiting = asyncio.Queue(), 0
        self.room = asyncio.Event()

    async def take(self):
        clock = asyncio.get_running_loop().time
        while True:
            data = await self.reader.read(CHUNK)
            self.queue.put_nowait((clock(), data))
            if not data:
                return
            self.waiting += len(data)
            while self.waiting > WAITING_BYTES_MAX:
                self.room.clear()
                await self.room.wait()

    async def give(self):
        while True:
            sent_at, data = await self.queue.get()
            await self.direction.wait_due(sent_at)
            if not data:
                return
            self.writer.write(data)
            await self.writer.drain()
            self.waiting -= len(data)
            self.room.set()

    async def run(self):
        taking = asyncio.ensure_future(self.take())
        try:
            await self.give()
        finally:
            taking.cancel()


class Link:
    def __init__(self, text):
        self.name, listen, target = text.split("=")
        self.address, port = listen.split(":")
        self.port = int(port)
        self.target, port = target.split(":")
        self.target_port = int(port)
        self.there, self.back = Direction(), Direction()

    async def listen(self):
        await asyncio.start_server(self.accept, self.address, self.port)

    async def accept(self, reader, writer):
        try:
            far_reader, far_writer = await asyncio.wait_for(asyncio.open_connection(
                self.target, self.target_port, local_addr=(self.address, 0)), 2)
        except (OSError, asyncio.TimeoutError):
            writer.close()
            return
        pipes = [asyncio.ensure_future(Pipe(self.there, reader, far_writer).run()),
                 asyncio.ensure_future(Pipe(self.back, far_reader, writer).run())]
        # The end of either direction is the end of the link.
        await asyncio.wait(pipes, return_when=asyncio.FIRST_COMPLETED)
        for pipe in pipes:
            pipe.cancel()
        await asyncio.gather(*pipes, return_exceptions=True)
        for end in (writer, far_writer):
            end.transport.abort()


async def main(texts):
    links = {link.name: link for link in map(Link, texts)}
    for link in links.values():
        await link.listen()
    commands = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(commands), sys.stdin)
    print("ready", flush=True)
    while True:
        line = (await commands.readline()).decode().split()
        if not line:
            return
        links[line[0]].there.set(line[2])
        links[line[0]].back.set(line[4])


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:]))
