"""Blueprints: /projects/{project}/blueprints. A guess; see `multistage.wire`. facts/scale-api 6."""

from __future__ import annotations

from scalesync.model.targets import RequestClass
from scalesync.platforms.scale.api.endpoint import Endpoint, In, Kind, Param
from scalesync.platforms.scale.multistage import wire
from scalesync.platforms.scale.multistage.check import ready

PROJECT = Param("project_name", "the name of the project", In.PATH, needed=True)
NAME = Param("blueprint_name", "the name of the blueprint", In.PATH, needed=True)
COLUMNS = ("name", "active", "delivery", "stages", "version", "created_at")

ROWS = (
    Endpoint(
        *("get_blueprints", "blueprints", "list", "list the blueprints of a project", "list blueprints"),
        *("GET", wire.LIST_PATH, (PROJECT,)),
        returns="Blueprint",
        is_list=True,
        docs=wire.DOCS,
        columns=COLUMNS,
        facts="6",
    ),
    Endpoint(
        *("get_blueprint", "blueprints", "show", "show one blueprint", "get blueprint"),
        *("GET", wire.ONE_PATH, (PROJECT, NAME)),
        returns="Blueprint",
        facts="6",
    ),
    Endpoint(
        *("create_blueprint", "blueprints", "push", "check a blueprint and give it to a project", "push blueprint"),
        *("POST", wire.LIST_PATH),
        (
            PROJECT,
            Param(
                "blueprint",
                "its name, delivery and stages",
                In.WHOLE,
                Kind.DOCUMENT,
                needed=True,
                ready=ready,
            ),
        ),
        request=RequestClass.MUTATE,  # a repeat brings the same blueprint again, and makes no second one
        returns="Blueprint",
        columns=COLUMNS,
        facts="6",
    ),
    Endpoint(
        *("activate_blueprint", "blueprints", "activate", "make a blueprint the one that new tasks follow"),
        *("activate blueprint", "POST", wire.ACTIVATE_PATH, (PROJECT, NAME)),
        request=RequestClass.MUTATE,
        returns="Blueprint",
        asks="tasks that are created from now on without the name of a blueprint follow this one",
        columns=COLUMNS,
        facts="6",
    ),
)
