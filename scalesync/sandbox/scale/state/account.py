"""What an account has beside tasks, batches and projects: files, people, quality tasks, fixless audits."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator

import msgspec

Save = Callable[[str, object], None]


class File(msgspec.Struct, omit_defaults=True):
    """One file of POST /files/upload or /files/import."""

    number: int  # place in the order of creation
    id: str
    kind: str  # mime type
    size: int
    created_ms: int
    name: str = ""
    reference: str | None = None
    projects: list[str] = []
    metadata: bytes | None = None
    source: str = ""  # the URL of an import; such a file has no bytes here
    used: bool = False  # a task names it, so it stays
    gone: bool = False


class Teammate(msgspec.Struct, omit_defaults=True):
    """One person of the team."""

    number: int
    email: str
    role: str


class Group(msgspec.Struct, omit_defaults=True):
    """A group of labelers of a Studio project. `emails` are keys of `Account.teammates`."""

    number: int
    id: str
    project: int
    name: str
    emails: list[str]


class Quality(msgspec.Struct, omit_defaults=True):
    """An evaluation or training task; raw JSON members."""

    number: int
    id: str
    kind: str  # evaluation or training
    project: int
    created_ms: int
    body: bytes


class Audit(msgspec.Struct, omit_defaults=True):
    """A fixless audit of a task; raw JSON members as sent."""

    number: int
    id: str
    seq: int
    created_ms: int
    body: bytes


class Studio(msgspec.Struct, omit_defaults=True):
    """Who works on what, and in which order.

    projects: e-mail -> numbers of projects. order: numbers of batches, set by set_priorities.
    groups: number of a batch -> names of groups.
    """

    projects: dict[str, list[int]] = {}
    order: list[int] = []
    groups: dict[int, list[str]] = {}


class Account:
    """The rest of a world. `save(kind, value)` keeps a change in the data file."""

    def __init__(self, seed: str, save: Save) -> None:
        self._seed = seed
        self._save = save
        self.id = self.digest("account", 0)[:24]
        self.files: dict[str, File] = {}
        self.references: dict[str, str] = {}
        self.teammates: dict[str, Teammate] = {}  # by lower-case e-mail
        self.groups: dict[int, Group] = {}
        self.qualities: list[Quality] = []
        self.audits: list[Audit] = []
        self.studio = Studio()
        self.file_count = 0  # of all files ever, so that no id comes twice

    def digest(self, kind: str, number: int) -> str:
        """40 hex digits for the n-th thing of a kind."""
        return hashlib.blake2b(f"{self._seed}:{kind}:{number}".encode(), digest_size=20).hexdigest()

    def uuid(self, kind: str, number: int) -> str:
        """The same as a UUID."""
        text = self.digest(kind, number)
        return f"{text[:8]}-{text[8:12]}-4{text[13:16]}-a{text[17:20]}-{text[20:32]}"

    # -- writing --------------------------------------------------------------------------------

    def put_file(self, file: File) -> None:
        """Add a file, or save a change of it; one that is gone is forgotten."""
        self.file_count = max(self.file_count, file.number + 1)
        if file.gone:
            self.files.pop(file.id, None)
            if file.reference is not None:
                self.references.pop(file.reference, None)
        else:
            self.files[file.id] = file
            if file.reference is not None:
                self.references[file.reference] = file.id
        self._save("file", file)

    def put_teammate(self, person: Teammate) -> None:
        """Add a person, or save the role."""
        self.teammates[person.email.lower()] = person
        self._save("teammate", person)

    def put_group(self, group: Group) -> None:
        """Add a group, or save who is in it."""
        self.groups[group.number] = group
        self._save("group", group)

    def put_quality(self, quality: Quality) -> None:
        """Add a quality task."""
        self.qualities.append(quality)
        self._save("quality", quality)

    def put_audit(self, audit: Audit) -> None:
        """Add a fixless audit."""
        self.audits.append(audit)
        self._save("audit", audit)

    def put_studio(self) -> None:
        """Save assignments, priorities and the groups of batches."""
        self._save("studio", self.studio)

    # -- the data file --------------------------------------------------------------------------

    def records(self) -> Iterator[tuple[str, object]]:
        """Everything as (kind, value), for a new data file."""
        yield from (("file", file) for file in self.files.values())
        yield from (("teammate", person) for person in self.teammates.values())
        yield from (("group", group) for group in self.groups.values())
        yield from (("quality", quality) for quality in self.qualities)
        yield from (("audit", audit) for audit in self.audits)
        yield "studio", self.studio

    def apply(self, kind: str, value: msgspec.Raw) -> bool:
        """Take over a record of the data file; False if it is of another part."""
        match kind:
            case "file":
                self.put_file(_FILE.decode(value))
            case "teammate":
                self.put_teammate(_TEAMMATE.decode(value))
            case "group":
                self.put_group(_GROUP.decode(value))
            case "quality":
                self.put_quality(_QUALITY.decode(value))
            case "audit":
                self.put_audit(_AUDIT.decode(value))
            case "studio":
                self.studio = _STUDIO.decode(value)
            case _:
                return False
        return True


_FILE = msgspec.msgpack.Decoder(File)
_TEAMMATE = msgspec.msgpack.Decoder(Teammate)
_GROUP = msgspec.msgpack.Decoder(Group)
_QUALITY = msgspec.msgpack.Decoder(Quality)
_AUDIT = msgspec.msgpack.Decoder(Audit)
_STUDIO = msgspec.msgpack.Decoder(Studio)
