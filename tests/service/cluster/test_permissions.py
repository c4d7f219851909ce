"""deploy/nats/users.conf: what nodes and gateways may, and that all else is refused."""

import asyncio
import ssl
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from nats.aio.client import Client
from nats.errors import Error as NatsError

from service.auth.guard import Guard
from service.cluster.asking import Question, ask
from service.cluster.bucket import Bucket
from service.cluster.bus import Bus, BusAddress, BusAway
from service.cluster.command import create_buckets
from service.cluster.control import Control
from service.cluster.counts import LeasedCounts
from service.cluster.gateway import Gateway
from service.cluster.options import ClusterOptions
from service.settings import Settings
from tests.service.cluster.fake_node import FakeRunner
from tests.service.cluster.harness import MAIN, Loop, add_streams
from tests.service.sinks.brokers import Broker, cluster_server, free_port
from tests.service.waiting import wait_until

USERS = Path(__file__).resolve().parents[3] / "deploy" / "nats" / "users.conf"


@dataclass
class Secured:
    server: Broker
    folder: Path

    def address(self, name: str) -> BusAddress:
        cert, key = self.folder / f"{name}.pem", self.folder / f"{name}.key"
        return BusAddress.parse([f"tls://127.0.0.1:{self.server.port}"], name, self.folder / "ca.pem", cert, key)

    async def tries(self, name: str, publish: str = "", subscribe: str = "") -> bool:
        """Whether the server lets this user do it."""
        errors: list[Exception] = []

        async def on_error(error: Exception) -> None:
            errors.append(error)

        client, address = Client(), self.address(name)
        await client.connect(
            list(address.servers),
            tls=address.tls(),
            inbox_prefix=address.inbox,
            error_cb=on_error,
            allow_reconnect=False,
        )
        if publish:
            await client.publish(publish, b"{}")
        else:
            await client.subscribe(subscribe)
        echo = await client.subscribe(inbox := client.new_inbox())
        await client.publish(inbox, b"")
        await echo.next_msg(10)  # what the server has to say of the words before, it has said
        await client.close()
        return not errors


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    folder = tmp_path_factory.mktemp("secured")
    make_certificates(folder, "server", "admin", "gateway", "hall-0")
    port = free_port()
    files = f'cert_file: "{folder}/server.pem", key_file: "{folder}/server.key", ca_file: "{folder}/ca.pem"'
    conf = folder / "server.conf"
    conf.write_text(
        f'listen: "127.0.0.1:{port}"\njetstream {{ store_dir: "{folder}/js" }}\n'
        f"tls {{ {files}, verify_and_map: true }}\ninclude {USERS.name}\n"
    )
    (folder / USERS.name).write_text(USERS.read_text())
    server = Broker([cluster_server(), "-c", str(conf), "--log", str(folder / "nats.log")], port)
    server.start()
    found, loop = Secured(server, folder), Loop()

    async def prepare() -> None:
        bus = Bus(found.address("admin"))
        running = asyncio.create_task(bus.run())
        assert await bus.wait(30), bus.error
        await create_buckets(bus, MAIN, 1)
        await add_streams(bus, ["door"])
        await Bucket(bus, MAIN.secrets).put("door.1", b"rtsp://viewer:secret@camera")
        running.cancel()

    loop.do(prepare())
    yield found
    loop.stop()
    server.stop()


def make_certificates(folder: Path, *names: str) -> None:
    """An authority, and a certificate for each name."""

    def openssl(*arguments: str) -> None:
        subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)

    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    openssl("req", "-x509", *curve, "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=authority", "-days", "2")
    (folder / "names").write_text("subjectAltName=IP:127.0.0.1,DNS:localhost")
    for name in names:
        openssl("req", *curve, "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}")
        openssl(
            "x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial",
            "-out", f"{name}.pem", "-days", "2", "-extfile", "names",
        )  # fmt: skip


def test_nobody_comes_in_without_a_certificate(secured: Secured, loop: Loop) -> None:
    async def knock() -> None:
        context = ssl.create_default_context(cafile=secured.folder / "ca.pem")
        server = f"tls://127.0.0.1:{secured.server.port}"
        await Client().connect([server], tls=context, allow_reconnect=False, max_reconnect_attempts=1)

    with pytest.raises((NatsError, OSError)):
        loop.do(knock())


@pytest.mark.parametrize(
    ("user", "publish", "allowed"),
    [
        ("hall-0", "att.t.main.hall-0.door", True),
        ("hall-0", "att.t.main.hall-1.door", False),
        ("hall-0", "att.beat.main.hall-0.abc", True),
        ("hall-0", "att.beat.main.hall-1.abc", False),
        ("hall-0", "$KV.att-main.lease.free", True),
        ("hall-0", "$KV.att-main.counts.free", True),
        ("hall-0", "$KV.att-main.spec.door", False),
        ("hall-0", "$KV.att-secrets-main.door.1", False),
        ("hall-0", "$JS.API.STREAM.MSG.GET.KV_att-secrets-main", True),
        ("hall-0", "$JS.API.STREAM.MSG.GET.KV_att-keys", False),
        ("hall-0", "$JS.API.STREAM.DELETE.KV_att-main", False),
        ("hall-0", "att.ask.main.hall-1", False),
        ("gateway", "att.ask.main.hall-0", True),
        ("gateway", "$KV.att-main.spec.other", True),
        ("gateway", "$KV.att-main.lease.door", False),
        ("gateway", "$KV.att-secrets-main.door.2", True),
        ("gateway", "$JS.API.STREAM.MSG.GET.KV_att-secrets-main", False),
        ("gateway", "$JS.API.DIRECT.GET.KV_att-secrets-main", False),
        ("gateway", "$JS.API.CONSUMER.CREATE.KV_att-secrets-main", False),
        ("gateway", "att.t.main.hall-0.door", False),
    ],
)
def test_publishing_is_allowed_or_refused(secured: Secured, loop: Loop, user: str, publish: str, allowed: bool) -> None:
    assert loop.do(secured.tries(user, publish=publish)) == allowed


@pytest.mark.parametrize(
    ("user", "subscribe", "allowed"),
    [
        ("hall-0", "att.ask.main.hall-0", True),
        ("hall-0", "att.ask.main.hall-1", False),
        ("hall-0", "att.kv.main.lease.>", True),
        ("hall-0", "_INBOX_gateway.>", False),
        ("hall-0", "$KV.att-secrets-main.>", False),
        ("gateway", "att.t.main.>", True),
        ("gateway", "$KV.att-secrets-main.>", False),
        ("gateway", "_INBOX_hall-0.>", False),
    ],
)
def test_listening_is_allowed_or_refused(
    secured: Secured, loop: Loop, user: str, subscribe: str, allowed: bool
) -> None:
    assert loop.do(secured.tries(user, subscribe=subscribe)) == allowed


def test_template_suffices_for_a_node_and_a_gateway(secured: Secured, loop: Loop) -> None:
    counts = LeasedCounts()
    runner = FakeRunner(counts)
    control = Control(secured.address("hall-0"), "main", "hall-0", runner, counts)
    gateway = Gateway(Settings(), ClusterOptions(secured.address("gateway"), "main", "gateway"))
    control.start()

    async def open_gateway() -> Guard:
        await gateway.open()
        assert await gateway.bus.wait(30), gateway.bus.error
        return gateway.guard()

    guard = loop.do(open_gateway())
    try:
        wait_until(lambda: gateway.streams.owner("door") == "hall-0", 20, "the node to take the stream")
        wait_until(lambda: "door" in runner.running, 20, "it to run there")
        counts.keep_counts("door", {"n": 1}).result(10)
        loop.do(_keys_and_tickets(guard))
        loop.do(_asked(secured))
    finally:
        control.leave()
        loop.do(gateway.drain())


async def _keys_and_tickets(guard: Guard) -> None:
    """A key works at once, and a ticket once."""
    secret, _ = await asyncio.wrap_future(guard.keys.add("screen", "read"))
    caller = guard.keys.find(secret)
    assert caller is not None
    ticket = await guard.issue(caller)
    found = await asyncio.gather(*(guard._redeemed(ticket) for _ in range(20)))
    assert sum(one is not None for one in found) == 1


async def _asked(secured: Secured) -> None:
    """A node answers whoever may ask it, and nobody else hears it."""
    node, gateway = Bus(secured.address("hall-0")), Bus(secured.address("gateway"))
    tasks = [asyncio.create_task(one.run()) for one in (node, gateway)]
    assert await node.wait(30)
    assert await gateway.wait(30)

    async def answer(message: object) -> None:
        head = b'{"status":200,"headers":[],"more":true}\n'
        for piece in (head + b"a", b"b" * 100_000, b""):
            await node.publish(message.reply, piece)

    await node.subscribe(MAIN.ask("hall-0"), answer)
    await node.barrier()
    began_s = time.monotonic()
    assert len(await (await ask(gateway, MAIN.ask("hall-0"), Question("GET", "/"))).whole()) == 100_001
    assert time.monotonic() - began_s < 5
    with pytest.raises(BusAway):
        await ask(gateway, MAIN.ask("nobody"), Question("GET", "/"), 0.5)
    for task in tasks:
        task.cancel()
