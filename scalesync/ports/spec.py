"""What is known about a labelling service in advance: static, cheap to import, no network.

A spec opens a live object made of roles (`ports.platform`). A role that the service lacks is absent, and `offers` holds
the reason, so the program can report it before it sends anything.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, NamedTuple, Protocol
from urllib.parse import urlsplit

from scalesync.model.records import JsonObject
from scalesync.model.selection import TaskFields
from scalesync.model.targets import Mode, RequestClass
from scalesync.model.task_view import Part, TaskView
from scalesync.ports.changes import ChangeSpec

API = 1  # of this port; a platform that was written for another one is refused


class KeyStrength(Enum):
    """The strength of a record's key: what to do with a create whose outcome is unknown.

    ENFORCED: the server refuses a second use, so sending again is safe.
    PUT: the second send returns the task of the first, so sending again is safe.
    NAMED: unique only if we look first: names of projects, batches, tasks.
    LABEL: stored and searchable, and repeats are allowed: a look-up must precede any second send, and "absent" counts
        only after the landing window.
    NONE: scalesync refuses an import unless the user accepts that records may become several tasks.
    """

    ENFORCED = "enforced"
    PUT = "put"
    NAMED = "named"
    LABEL = "label"
    NONE = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyRule:
    """The key of a record on one platform.

    landing_s: seconds in which a request that was given up may still take effect; 0 where sending again is safe.
    one_fate: a request with several records is carried out whole or not at all.
    namespaced: unique within a project or dataset only, so rows belong to that as well.
    removes: the service removes a task when it is asked to, so one of several under a key can go.
    listed: a task is found only in the list of its batch or project.
    """

    strength: KeyStrength
    landing_s: float = 0.0
    one_fate: bool = False
    namespaced: bool = False
    removes: bool = False
    listed: bool = False

    @property
    def promise(self) -> str:
        """What it means for an import, in words."""
        match self.strength:
            case KeyStrength.ENFORCED:
                return "exactly once: the server refuses a key that is in use"
            case KeyStrength.PUT:
                return "exactly once: sending a key again returns the task of the first time"
            case KeyStrength.NAMED | KeyStrength.LABEL:
                repair = ", and `--fix` removes those that nobody has worked on" if self.removes else ""
                return (
                    "looked up before a second send: no record gets two tasks unless a request takes effect more than"
                    f" {self.landing_s:g} s after it was given up; `scalesync verify` finds these{repair}"
                )
            case KeyStrength.NONE:
                return "at least once: a record whose request got no answer may become two tasks"

    @property
    def resend_is_safe(self) -> bool:
        """Whether a create may be sent again although the first one may have been carried out."""
        return self.strength in {KeyStrength.ENFORCED, KeyStrength.PUT}


@dataclass(frozen=True, slots=True, kw_only=True)
class Vocabulary:
    """What things are called on a platform; None where it has none.

    key, ref: names under which raw documents hold the record's key and the platform's own id.
    project, batch, type: nouns for people.
    statuses: all that are documented.
    new: of a task that nobody has worked on.
    done: of one with its answer.
    dead: nobody works on a task in one of them.
    failed: of a task in error.
    reclaimable: statuses of tasks whose key may be freed.
    reviews: results of a customer's review.
    type_required: a task cannot be made without naming its type.
    """

    key: str
    ref: str
    project: str = "project"
    batch: str | None = "batch"
    type: str | None = "type"
    statuses: tuple[str, ...] = ()
    new: str | None = None
    done: str | None = None
    dead: frozenset[str] = frozenset()
    failed: str | None = None
    reclaimable: tuple[str, ...] = ()
    reviews: tuple[str, ...] = ()
    type_required: bool = True

    def shown(self, status: str) -> str:
        """A status as it follows "the task is"."""
        return f"in {status}" if status == self.failed else status


class Variables(NamedTuple):
    """Names of the environment variables that hold the API key and the address."""

    key: str
    url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassLimit:
    """One class of requests.

    rate: as `--rate` takes it, at the platform's own host; None: follow the server.
    width: requests in flight at most, None: follow the server.
    """

    rate: str | None = None
    width: int | None = None


class Offer(NamedTuple):
    """Whether a command or operation works here.

    words: how well, or why not.
    """

    works: bool
    words: str


@dataclass(frozen=True, slots=True)
class Option:
    """A platform's own option, typed as `--with NAME=VALUE`.

    parse: raises ValueError with what it takes.
    """

    words: str
    parse: Callable[[str], Any] = str


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What an export reads, where the options of `--with` choose among several lists.

    typed: the options that chose it, in one spelling; they belong to the export as its filters do.
    words: which list it is and what the others are, for people; empty where there is one list.
    refuses: filters of an export that cannot be answered -> why, as it follows the option's name.
    unseen: filters that the service applies and no line shows, so the export takes its word for them.
    stays: filters, beside project and type, by what never changes in a task; an increment sends them as well.
    """

    typed: Mapping[str, str] = field(default_factory=dict)
    words: str = ""
    refuses: Mapping[str, str] = field(default_factory=dict)
    unseen: frozenset[str] = frozenset()
    stays: frozenset[str] = frozenset()


ONE_LIST = Reading()


class BlueprintRule(NamedTuple):
    """Tasks of some types follow a blueprint that their project has, so what may be in them is known before.

    types: of tasks.
    field: of a create call; it names another blueprint than the active one.
    """

    types: frozenset[str]
    field: str


class Shaper(Protocol):
    """How a record becomes the body of a create call. Pure."""

    def shape(self, fields: JsonObject, *, key: str, project: str | None, batch: str | None) -> JsonObject:
        """The body.

        fields: of the record, after template and --set; an object of the caller that may be changed.
        """

    def rekey(self, body: bytes, before: str, after: str) -> bytes:
        """An encoded body whose key, one that the record did not bring itself, is another one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlatformSpec:
    """One labelling service.

    hosts: of its own API, which choose the platform where only an address was given, and at which `limits` hold.
    default_url: the API root, None where each installation has its own.
    other_roots: ends of addresses that stand for this root: of another version of the API beside it.
    apis: where the service has several versions of its API, each a platform: version, as `--api` takes it -> platform.
    api_of_types: task types that an import makes over another version than this one -> that version.
    only_types: the types of tasks that it makes, if it makes no others.
    root_like: an example of a root, for messages.
    mode_of: whether a key opens the live or the test world.
    limits: by class of requests; a class that is not named follows the server.
    shared: classes that one limit of the server counts together.
    types: what is known of the fields of task types.
    known_types: all that are documented; open, so others are sent.
    fields: members of a task that are documented; open as well.
    offers: command or operation -> whether it works here, and why not.
    changes: what `scalesync apply` can do here, by the name of the operation; where it is empty, `offers` says why.
    shaper: makes bodies of records.
    view: reads one raw task; raises OutcomeUnknown for what is none.
    parts: those of one raw task that were delivered apart from it; None where a service has nothing of the kind.
    blueprints: which tasks follow one; None where the service has nothing of the kind.
    page_most: tasks on a page.
    columns: of a table of tasks, for values that are not under the column's name: column -> paths in a task, such as
        "project.name"; the first one that is there counts. A new name makes a column of strings.
    reading: what an export reads, by the options of `--with`; raises ConfigError for options that exclude each other.
    keyed_files: a pattern of paths below the API root. Result files there need the credential; no other file gets it.
    adapter: `module:name` of what opens the live object, imported when a run connects.
    resources: `module:name` of the commands for the service's own things (`flows.runtime.setup.resources.Resources`),
        imported when one is used; empty if there are none.
    """

    name: str
    title: str
    hosts: tuple[str, ...]
    default_url: str | None
    root_like: str
    variables: Variables
    vocabulary: Vocabulary
    key: KeyRule
    shaper: Shaper
    view: Callable[[bytes], TaskView]
    page_most: int
    adapter: str
    parts: Callable[[TaskView, bytes], Sequence[Part]] | None = None
    blueprints: BlueprintRule | None = None
    mode_of: Callable[[str], Mode] = lambda key: Mode.LIVE
    columns: Mapping[str, Sequence[str]] = field(default_factory=dict)
    reading: Callable[[Mapping[str, Any]], Reading] = lambda extras: ONE_LIST
    keyed_files: str = ""
    limits: Mapping[RequestClass, ClassLimit] = field(default_factory=dict)
    shared: tuple[frozenset[RequestClass], ...] = ()
    types: Mapping[str, TaskFields] = field(default_factory=dict)
    known_types: frozenset[str] = frozenset()
    fields: frozenset[str] = frozenset()
    other_roots: tuple[str, ...] = ()
    apis: Mapping[str, str] = field(default_factory=dict)
    api_of_types: Mapping[str, str] = field(default_factory=dict)
    only_types: frozenset[str] = frozenset()
    options: Mapping[str, Option] = field(default_factory=dict)
    offers: Mapping[str, Offer] = field(default_factory=dict)
    changes: Mapping[str, ChangeSpec] = field(default_factory=dict)
    resources: str = ""
    api: int = API

    @property
    def root(self) -> str:
        """What the address of the API is called: `v1 root` where all addresses end so."""
        return f"{urlsplit(self.root_like).path.rpartition('/')[2]} root".lstrip()

    @property
    def version(self) -> str | None:
        """Which version of its service's API it is, as `--api` takes it; None if the service has one."""
        return next((version for version, name in self.apis.items() if name == self.name), None)

    @property
    def heads(self) -> dict[RequestClass, RequestClass]:
        """For each class that the server counts together with others, the one that stands for all of them."""
        order = list(RequestClass)
        return {cls: min(group, key=order.index) for group in self.shared for cls in group}

    def is_at(self, base_url: str) -> bool:
        """Whether this is the address of the platform's own API."""
        try:
            return urlsplit(base_url).hostname in self.hosts
        except ValueError:  # not a URL
            return False
