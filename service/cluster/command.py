"""`atttrack cluster`: make a cluster's buckets, show how it is, and write all that it keeps into one file."""

import argparse
import asyncio
import base64
import json
import os
import sys
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

from service.cluster.bucket import Bucket, read_table
from service.cluster.bus import Bus, BusAway, WriteRefused
from service.cluster.options import ClusterOptions, add_options, read_options
from service.cluster.shared_keys import NEWS
from service.cluster.subjects import KEYS_BUCKET, TICKETS_BUCKET, SiteSubjects, node_of, token
from service.cluster.table import Table
from service.configuration import PROGRAM, examples
from service.ending import end

DONE, FAILED = 0, 1
CONNECT_S = 5.0
TICKET_S = 30.0
FORMAT = "atttrack-cluster/1"
EXAMPLES = {
    "init": "cluster init --nats tls://nats1:4222 --replicas 3",
    "status": "cluster status",
    "export": "cluster export backup.json",
    "import": "cluster import backup.json",
}
"""What may be typed, by verb."""


def main(arguments: Sequence[str]) -> int:
    """Run the command; return the exit code: 0 done, 1 not done, 2 bad options."""
    parser = argparse.ArgumentParser(
        prog=f"{PROGRAM} cluster",
        description="Make a cluster, look at it, save it.",
        epilog=examples(*EXAMPLES.values()),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    verbs = parser.add_subparsers(dest="verb", required=True)
    for name, about in (
        ("init", "make the buckets of a site; what there is stays"),
        ("status", "show streams, and which node has them"),
        ("export", "write all that is kept into a file of mode 0600: it has the cameras' passwords"),
        ("import", "make the buckets anew from such a file, on a server that has none of them"),
    ):
        verb = verbs.add_parser(
            name,
            help=about,
            description=f"{about[0].upper()}{about[1:]}.",
            epilog=examples(EXAMPLES[name]),
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )
        if name in ("export", "import"):
            verb.add_argument("file", type=Path, help="to write" if name == "export" else "that an export wrote")
        if name in ("init", "import"):
            verb.add_argument(
                "--replicas", type=int, choices=(1, 3, 5), default=1,
                help="servers that keep each bucket (default: %(default)s)",
            )  # fmt: skip
        add_options(verb)
    given = parser.parse_args(arguments)
    act = {"init": _init, "status": _status, "export": _export, "import": _import}[given.verb]
    return asyncio.run(_connected(read_options(given), given, act))


async def _connected(
    options: ClusterOptions,
    given: argparse.Namespace,
    act: Callable[[Bus, SiteSubjects, argparse.Namespace], Awaitable[int]],
) -> int:
    bus = Bus(options.bus)
    running = asyncio.create_task(bus.run())
    try:
        if not await bus.wait(CONNECT_S):
            return _failed(str(bus.unfit or f"NATS cannot be reached: {bus.error}; start it: nats-server -c one.conf"))
        return await act(bus, SiteSubjects(options.site), given)
    except BusAway as away:
        return _failed(f"NATS does not answer: {away}")
    except WriteRefused as refused:
        return _failed(f"NATS refuses: {refused}")
    except (OSError, ValueError) as error:
        return _failed(str(error))
    finally:
        await end(running)


async def create_buckets(bus: Bus, subjects: SiteSubjects, replicas: int) -> list[str]:
    """Make what there is not, and return the names of what was made. Raises WriteRefused, BusAway."""
    made = []
    for bucket, wanted in (
        (Bucket(bus, subjects.bucket), {"republish": f"att.kv.{token(subjects.site)}.>"}),
        (Bucket(bus, subjects.secrets), {}),
        (Bucket(bus, KEYS_BUCKET), {"republish": NEWS}),
        (Bucket(bus, TICKETS_BUCKET), {"memory": True, "max_age_s": TICKET_S}),
    ):
        if await bucket.create(replicas, **wanted):
            made.append(bucket.name)
    return made


async def _init(bus: Bus, subjects: SiteSubjects, given: argparse.Namespace) -> int:
    made = await create_buckets(bus, subjects, given.replicas)
    print(f"site {subjects.site}: made {', '.join(made)}" if made else f"site {subjects.site} is there already")
    return DONE


async def _status(bus: Bus, subjects: SiteSubjects, given: argparse.Namespace) -> int:
    bucket, table = Bucket(bus, subjects.bucket), Table()
    if await bucket.info() is None:
        return _failed(f"there is no site {subjects.site!r} on this server; make it: atttrack cluster init")
    await read_table(bucket, table)
    print(f"site {subjects.site}: {len(table.stream_ids())} streams")
    for stream_id in table.specs():
        lease = table.lease(stream_id)
        who = node_of(lease.owner) if lease and lease.owner else "nobody has it"
        print(f"  {stream_id:<24} {who:<24} run {lease.revision if lease else 0:x}")
    return DONE


async def _export(bus: Bus, subjects: SiteSubjects, given: argparse.Namespace) -> int:
    kept: dict[str, Any] = {}
    for name, keys in (
        (subjects.bucket, ("spec.>", "counts.>")),
        (subjects.secrets, (">",)),
        (KEYS_BUCKET, (">",)),
    ):
        bucket = Bucket(bus, name)
        if await bucket.info() is None:
            return _failed(f"there is no site {subjects.site!r} on this server; make it: atttrack cluster init")
        entries = [one for pattern in keys for one in (await bucket.all(pattern)).items()]
        kept[name] = {
            one: base64.b64encode(entry.payload).decode() for one, entry in entries if entry.payload is not None
        }
    text = json.dumps({"format": FORMAT, "site": subjects.site, "buckets": kept}, indent=1)
    draft = given.file.with_name(f"{given.file.name}.part")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(given.file)
    print(f"{given.file} has {sum(map(len, kept.values()))} records, camera passwords among them; keep it safe")
    return DONE


async def _import(bus: Bus, subjects: SiteSubjects, given: argparse.Namespace) -> int:
    document = json.loads(given.file.read_text())
    if document.get("format") != FORMAT or document.get("site") != subjects.site:
        return _failed(f"{given.file} is no export of site {subjects.site!r}")
    for name in document["buckets"]:
        if name != KEYS_BUCKET and await Bucket(bus, name).info() is not None:
            return _failed(f"the server has a bucket {name} already; an import is for a server that lost it")
    await create_buckets(bus, subjects, given.replicas)
    records = 0
    for name, entries in document["buckets"].items():
        bucket = Bucket(bus, name)
        for one, text in entries.items():
            await bucket.put(one, base64.b64decode(text))
            records += 1
    print(f"{records} records are there again; nodes take the streams by themselves")
    return DONE


def _failed(message: str) -> int:
    print(f"{PROGRAM} cluster: {message}", file=sys.stderr)
    return FAILED
