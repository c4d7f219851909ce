"""What is called how on NATS: subjects of messages, keys of buckets. A dot in an id is written %2E, as in the sink."""

from dataclasses import dataclass

KEYS_BUCKET = "att-keys"
TICKETS_BUCKET = "att-tickets"


def token(name: str) -> str:
    """A stream's or node's name as one part of a subject."""
    return name.replace(".", "%2E")


def name_of(part: str) -> str:
    """The name that `token` made this part of."""
    return part.replace("%2E", ".")


def life_of(node: str, life: str) -> str:
    """A node from its start to its end, as leases name it: a node that was started again is another one."""
    return f"{node}/{life}"


def node_of(owner: str) -> str:
    """The node's name in what `life_of` made."""
    return owner.partition("/")[0]


@dataclass(frozen=True, slots=True)
class SiteSubjects:
    """All names of one site: nodes that reach the same cameras."""

    site: str

    @property
    def bucket(self) -> str:
        """Specs, leases and counts: in one bucket, since the server compares revisions only inside of one."""
        return f"att-{token(self.site)}"

    @property
    def secrets(self) -> str:
        """Addresses and credentials of cameras: written by gateways, read by nodes only."""
        return f"att-secrets-{token(self.site)}"

    @property
    def beats(self) -> str:
        """All beats of the site."""
        return f"att.beat.{token(self.site)}.>"

    def beat(self, node: str, life: str) -> str:
        """A node's sign of life."""
        return f"att.beat.{token(self.site)}.{token(node)}.{life}"

    def tracks(self, node: str, stream_id: str) -> str:
        """A stream's messages, from that node."""
        return f"att.t.{token(self.site)}.{token(node)}.{token(stream_id)}"

    def followed(self, stream_id: str | None) -> str:
        """A stream's messages whoever has it; None: all messages of the site."""
        return f"att.t.{token(self.site)}.>" if stream_id is None else f"att.t.{token(self.site)}.*.{token(stream_id)}"

    def ask(self, node: str) -> str:
        """Questions to that node."""
        return f"att.ask.{token(self.site)}.{token(node)}"

    def news(self, kind: str) -> str:
        """Every write of the bucket's keys of one kind, told by the server as it happens."""
        return f"att.kv.{token(self.site)}.{kind}.>"


def key(kind: str, stream_id: str) -> str:
    """Key of a stream's `spec`, `lease` or `counts`."""
    return f"{kind}.{token(stream_id)}"


def stream_of(full_key: str) -> str:
    """The stream's id in what `key` made."""
    return name_of(full_key.partition(".")[2])
