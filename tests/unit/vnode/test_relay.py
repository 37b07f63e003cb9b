"""The relay between real sockets, in one process."""

import asyncio
import contextlib

import pytest

from vnode import relay

DEADLINE_S = 20


class Proxy:
    """Answers with all it got, once the caller has said its last word."""

    def __init__(self, path):
        self.path, self.server = str(path), None

    async def start(self):
        self.server = await asyncio.start_unix_server(self.serve, self.path)

    async def serve(self, reader, writer):
        writer.write(await reader.read())
        await writer.drain()
        writer.close()

    async def stop(self):
        self.server.close()
        await self.server.wait_closed()


@contextlib.asynccontextmanager
async def relaying(path, patience_s=5.0):
    server = await asyncio.start_server(relay.Relay(str(path), patience_s).serve, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


async def call(port, data):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    here = writer.get_extra_info("sockname")
    writer.write(data)
    writer.write_eof()
    answer = await reader.read()
    writer.close()
    return here, answer


def run(story):
    async def with_deadline():
        async with asyncio.timeout(DEADLINE_S):
            await story

    asyncio.run(with_deadline())


def test_bytes_go_both_ways_after_a_line_that_names_the_caller(tmp_path):
    async def story():
        proxy = Proxy(tmp_path / "s")
        await proxy.start()
        async with relaying(proxy.path) as port:
            here, answer = await call(port, b"x" * 1_000_000)
        greeting, _, body = answer.partition(b"\r\n")
        assert greeting == f"PROXY TCP4 127.0.0.1 127.0.0.1 {here[1]} {port}".encode()
        assert body == b"x" * 1_000_000
        await proxy.stop()

    run(story())


def test_a_call_waits_while_the_proxy_restarts(tmp_path):
    async def story():
        proxy = Proxy(tmp_path / "s")
        async with relaying(proxy.path) as port:
            calling = asyncio.create_task(call(port, b"hello"))
            await asyncio.sleep(0)
            await proxy.start()
            _, answer = await calling
            assert answer.endswith(b"hello")
            await proxy.stop()
            (tmp_path / "s").unlink(missing_ok=True)
            again = Proxy(tmp_path / "s")
            await again.start()
            _, answer = await call(port, b"again")
            assert answer.endswith(b"again")
            await again.stop()

    run(story())


def test_without_a_proxy_the_call_ends(tmp_path):
    async def story():
        async with relaying(tmp_path / "none", patience_s=0.0) as port:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            with contextlib.suppress(ConnectionError):
                assert await reader.read() == b""
            writer.close()

    run(story())


def test_one_caller_cannot_take_all_connections(tmp_path, monkeypatch):
    monkeypatch.setattr(relay, "PER_ADDRESS", 2)

    async def story():
        proxy = Proxy(tmp_path / "s")
        await proxy.start()
        async with relaying(proxy.path) as port:
            held = [await asyncio.open_connection("127.0.0.1", port) for _ in range(2)]
            for _, writer in held:
                writer.write(b"x")
                await writer.drain()
            with pytest.raises(ConnectionError):
                await refused(port)
            for reader, writer in held:
                writer.write_eof()
                assert (await reader.read()).endswith(b"x")
                writer.close()
            while True:  # the places are free again as soon as the relay has noticed
                with contextlib.suppress(ConnectionError):
                    _, answer = await call(port, b"after")
                    if answer.endswith(b"after"):
                        break
        await proxy.stop()

    run(story())


async def refused(port):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(b"x")
        if await reader.read() == b"":
            raise ConnectionError
    finally:
        writer.close()
