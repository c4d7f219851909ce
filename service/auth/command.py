"""atttrack keys: make, list and revoke API keys on the machine that the service runs on."""

import argparse
import math
import re
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime

from service.auth.caller import SCOPES
from service.auth.keys import ApiKey, KeyRing
from service.auth.stored_keys import StoredKeys
from service.configuration import PROGRAM, examples, read_settings
from service.errors import ApiError
from service.store import ID_PATTERN, WATCH_S, Store, StoreError

MOST_DAYS = 36600
EXAMPLES = {
    "add": ("keys add hall --scope read --streams hall", "keys add guest --scope read --expires-in 7"),
    "list": ("keys list", "keys list --state-dir /var/lib/atttrack"),
    "revoke": ("keys revoke hall",),
}
"""What may be typed, by verb."""


def main(arguments: Sequence[str]) -> int:
    """Do what `arguments` say and return the exit code: 0 done, 1 refused, 2 misspelt."""
    options, settings_flags = _parser().parse_known_args(list(arguments))
    settings = read_settings(settings_flags)
    if settings.store_path is None:
        print(f"{PROGRAM} keys: nothing is kept with --demo, keys neither; give --state-dir", file=sys.stderr)
        return 1
    try:
        store = Store(settings.store_path, exclusive=False)
    except StoreError as error:
        print(f"{PROGRAM} keys: {error}", file=sys.stderr)
        return 1
    try:
        return _obey(options, KeyRing(StoredKeys(store)))
    except (ApiError, StoreError) as error:
        print(f"{PROGRAM} keys: {error}", file=sys.stderr)
        return 1
    finally:
        store.close()


def _obey(options: argparse.Namespace, keys: KeyRing) -> int:
    if options.verb == "add":
        expires_at = None if options.expires_in is None else time.time() + options.expires_in * 86400
        secret, _ = keys.add(options.name, options.scope, options.streams, expires_at).result()
        print(f"key {options.name!r}, scope {options.scope}; keep it now, it cannot be shown again:", file=sys.stderr)
        print(secret)
    elif options.verb == "revoke":
        keys.revoke(options.name).result()
        time.sleep(2 * WATCH_S)  # a running service knows by now
        print(f"key {options.name!r} is revoked", file=sys.stderr)
    else:
        for key in keys.all():
            streams = "all streams" if key.streams is None else ", ".join(sorted(key.streams))
            print(f"{key.name:<24} {key.scope:<6} {streams}{_ends(key)}")
    return 0


def _ends(key: ApiKey) -> str:
    if key.expires_at is None:
        return ""
    end = datetime.fromtimestamp(key.expires_at, UTC)
    return f"  {'expired' if end <= datetime.now(UTC) else 'expires'} {end:%Y-%m-%d %H:%M} UTC"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=f"{PROGRAM} keys",
        description="API keys. A running service knows of changes within a second. Settings may follow: --state-dir.",
        epilog=examples(*(one for each in EXAMPLES.values() for one in each)),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    verbs = parser.add_subparsers(dest="verb", required=True)
    add = _verb(verbs, "add", "make a key and print it, once")
    add.add_argument("name", type=_name, help="what the key is called: 1 to 64 letters, digits, '.', '_' or '-'")
    add.add_argument("--scope", choices=SCOPES, required=True, help="read < write < admin")
    add.add_argument("--streams", type=_streams, metavar="A,B", help="only these streams (default: all)")
    add.add_argument("--expires-in", type=_days, metavar="DAYS", help="worthless after so many days (default: never)")
    _verb(verbs, "list", "show all keys, without their secrets")
    _verb(verbs, "revoke", "make a key worthless").add_argument("name", help="of the key, as `keys list` shows it")
    return parser


def _verb(
    verbs: "argparse._SubParsersAction[argparse.ArgumentParser]", name: str, about: str
) -> argparse.ArgumentParser:
    return verbs.add_parser(
        name,
        help=about,
        description=f"{about[0].upper()}{about[1:]}.",
        epilog=examples(*EXAMPLES[name]),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )


def _name(text: str) -> str:
    if not re.fullmatch(ID_PATTERN, text):
        raise argparse.ArgumentTypeError("a name has 1 to 64 letters, digits, '.', '_' or '-'")
    return text


def _days(text: str) -> float:
    try:
        days = float(text)
    except ValueError:
        days = math.nan
    if not 0 < days <= MOST_DAYS:
        raise argparse.ArgumentTypeError(f"expected a number of days, up to {MOST_DAYS}")
    return days


def _streams(text: str) -> frozenset[str]:
    ids = [one for one in text.split(",") if one]
    if not ids or not all(re.fullmatch(ID_PATTERN, one) for one in ids):
        raise argparse.ArgumentTypeError("expected stream ids separated by commas")
    return frozenset(ids)
