"""Carries bytes from private networks to the proxy's Unix socket, for a node that runs directly on the host.

Runs alone inside a small container, given as text to `python3 -I -c`: standard library only, no imports of ours.
Each connection starts with a PROXY protocol v1 line, so the proxy learns which sandbox is calling.

    relay.py PORT SOCKET
"""

import asyncio
import contextlib
import socket
import sys

PER_ADDRESS = 64  # connections of one sandbox: a hostile one cannot take the others' place
IN_TOTAL = 1024
PATIENCE_S = 20.0  # how long a call is held while the proxy restarts
CHUNK_BYTES = 1 << 16


class Relay:
    def __init__(self, path: str, patience_s: float = PATIENCE_S):
        self.path, self.patience_s = path, patience_s
        self.open: dict[str, int] = {}

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer, here = writer.get_extra_info("peername"), writer.get_extra_info("sockname")
        address = peer[0]
        if self.open.get(address, 0) >= PER_ADDRESS or sum(self.open.values()) >= IN_TOTAL:
            writer.transport.abort()
            return
        self.open[address] = self.open.get(address, 0) + 1
        try:
            await self._carry(reader, writer, f"PROXY TCP4 {address} {here[0]} {peer[1]} {here[1]}\r\n".encode())
        except OSError:
            writer.transport.abort()  # either side went away: the other one is told by its connection's end
        finally:
            self.open[address] -= 1
            if not self.open[address]:
                del self.open[address]

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, greeting: bytes) -> None:
        keep_alive(writer.get_extra_info("socket"))
        inner_reader, inner_writer = await self._connect()
        try:
            inner_writer.write(greeting)
            async with asyncio.TaskGroup() as both:
                both.create_task(copy(reader, inner_writer))
                both.create_task(copy(inner_reader, writer))
        except* OSError as errors:
            raise OSError("a side went away") from errors
        finally:
            for side in (inner_writer, writer):
                side.close()

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """The proxy may be restarting: its socket is then missing, or refuses, for a moment."""
        deadline = asyncio.get_running_loop().time() + self.patience_s
        while True:
            try:
                return await asyncio.open_unix_connection(self.path, limit=CHUNK_BYTES)
            except OSError:
                if asyncio.get_running_loop().time() >= deadline:
                    raise
                await asyncio.sleep(0.05)


async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """One direction, to its end; the end is passed on and the other direction lives on."""
    while chunk := await reader.read(CHUNK_BYTES):
        writer.write(chunk)
        await writer.drain()
    with contextlib.suppress(OSError):
        writer.write_eof()


def keep_alive(connection: socket.socket) -> None:
    """A sandbox that was killed says no goodbye: find out within a minute."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 30)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 10)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


async def main(port: int, path: str) -> None:
    server = await asyncio.start_server(Relay(path).serve, "0.0.0.0", port, limit=CHUNK_BYTES, backlog=512)
    print(f"listening {server.sockets[0].getsockname()[1]}", flush=True)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), sys.argv[2]))
