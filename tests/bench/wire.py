#!/usr/bin/env python3
"""A long wire: carries connections to another address and holds every byte for a time, in either direction.

    wire.py HOST PORT MILLISECONDS      prints the port of 127.0.0.1 that it listens on, and runs until it is ended
"""

import asyncio
import socket
import sys


class End(asyncio.Protocol):
    """One end of a connection. What it hears is said at the other end, later."""

    def __init__(self, delay, other=None):
        self.delay, self.other, self.transport = delay, other, None
        self.waiting = []

    def connection_made(self, transport):
        self.transport = transport
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def data_received(self, data):
        asyncio.get_running_loop().call_later(self.delay, self.say, data)

    def connection_lost(self, _error):
        asyncio.get_running_loop().call_later(self.delay, self.say, None)

    def say(self, data):
        if self.other is None or self.other.transport is None:
            self.waiting.append(data)
        elif data is None:
            self.other.transport.close()
        else:
            self.other.transport.write(data)

    def meet(self, other):
        self.other = other
        waiting, self.waiting = self.waiting, []
        for data in waiting:
            self.say(data)


class Near(End):
    def __init__(self, delay, to):
        super().__init__(delay)
        self.to = to

    def connection_made(self, transport):
        super().connection_made(transport)
        self.task = asyncio.ensure_future(self.go_on())

    async def go_on(self):
        try:
            _, far = await asyncio.get_running_loop().create_connection(lambda: End(self.delay, self), *self.to)
        except OSError:
            self.transport.close()
        else:
            self.meet(far)


async def main(host, port, milliseconds):
    loop = asyncio.get_running_loop()
    delay = float(milliseconds) / 1000
    server = await loop.create_server(lambda: Near(delay, (host, int(port))), "127.0.0.1", 0, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


asyncio.run(main(*sys.argv[1:]))
