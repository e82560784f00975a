"""Teammates, Studio, and fixless audits: /teams, /studio, /audits. facts/scale-api 2.8, 2.9."""

from __future__ import annotations

from scalesync.model.targets import RequestClass
from scalesync.platforms.scale.api.endpoint import Again, Endpoint, In, Kind, Param

EMAILS = Param("emails", "their addresses", In.BODY, Kind.TEXTS, needed=True)
ROLES = ("labeler", "member", "manager")  # admins cannot be made through the API
ROLE = Param("role", f"their role: {', '.join(ROLES)}", In.BODY, wire="team_role", needed=True, choices=ROLES)
PROJECT = Param("project", "the name of the project", In.PATH, needed=True)
TEAMMATE = ("email", "role", "firstName", "lastName")
GROUP = ("id", "name", "numWorkers", "isSingleton")
BATCH = ("name", "projectName", "batchType", "studioPriority", "total", "completed")
MUTATE = RequestClass.MUTATE

TEAM = (
    Endpoint(
        *("list_teammates", "team", "list", "list the people of the account", "list teammates", "GET", "/teams"),
        returns="Teammate",
        is_list=True,
        columns=TEAMMATE,
        sdk="list_teammates",
        facts="2.9",
    ),
    Endpoint(
        *("invite_teammates", "team", "invite", "invite people by e-mail", "invite teammates", "POST", "/teams/invite"),
        (EMAILS, ROLE),
        request=MUTATE,
        again=Again.ONCE,  # each invitation is an e-mail
        returns="Teammate",
        is_list=True,
        asks="each of them gets an e-mail",
        columns=TEAMMATE,
        sdk="invite_teammates",
        facts="2.9",
    ),
    Endpoint(
        *("update_teammates_role", "team", "set-role", "change the role of people", "set role", "POST"),
        "/teams/set_role",
        (EMAILS, ROLE),
        request=MUTATE,
        returns="Teammate",
        is_list=True,
        asks="this changes what they may do",
        columns=TEAMMATE,
        bound="Teammate.update_teammate_role",
        sdk="update_teammates_role",
        facts="2.9",
    ),
)


def _assignments(name: str, verb: str, words: str, path: str, *params: Param) -> Endpoint:
    return Endpoint(
        *(name, "studio", verb, words),
        op="list assignments" if not params else "change assignments",
        method="POST" if params else "GET",
        path=f"/studio/assignments{path}",
        params=params,
        request=MUTATE if params else RequestClass.LIST,
        returns="Assignments",
        asks="this changes who works on what" if params else "",
        sdk=name,
        facts="2.9",
    )


PROJECTS = Param("projects", "the names of the projects", In.BODY, Kind.TEXTS, needed=True)
GROUPS = "/studio/projects/{project}/groups"
STUDIO = (
    _assignments(
        "list_studio_assignments",
        "assignments",
        "show who works on which projects",
        "",
    ),
    _assignments(
        "add_studio_assignments",
        "assign",
        "let people work on projects",
        "/add",
        EMAILS,
        PROJECTS,
    ),
    _assignments(
        "remove_studio_assignments",
        "unassign",
        "take people off projects",
        "/remove",
        EMAILS,
        PROJECTS,
    ),
    Endpoint(
        *("list_project_groups", "studio", "groups", "list the groups of a project", "list groups", "GET", GROUPS),
        (PROJECT,),
        returns="Group",
        is_list=True,
        columns=GROUP,
        sdk="list_project_groups",
        facts="2.9",
    ),
    Endpoint(
        *("create_project_group", "studio", "create-group", "create a group of people", "create group", "POST", GROUPS),
        (PROJECT, EMAILS, Param("project_group", "the name of the group", In.BODY, wire="name", needed=True)),
        request=MUTATE,
        again=Again.NAMED,
        named_by="project_group",
        returns="Group",
        columns=GROUP,
        sdk="create_project_group",
        facts="2.9",
    ),
    Endpoint(
        *("update_project_group", "studio", "update-group", "add people to a group, or remove them", "update group"),
        *("PUT", GROUPS + "/{project_group}"),
        (
            PROJECT,
            Param("project_group", "the name of the group", In.PATH, needed=True),
            Param("add_emails", "who comes", In.BODY, Kind.TEXTS, needed=True),
            Param("remove_emails", "who goes", In.BODY, Kind.TEXTS, needed=True),
        ),
        request=MUTATE,
        returns="Group",
        asks="this changes who works on what",
        columns=GROUP,
        sdk="update_project_group",
        facts="2.9",
    ),
    Endpoint(
        *("list_studio_batches", "studio", "batches", "list pending batches in their order", "list batches", "GET"),
        "/studio/batches",
        returns="StudioBatch",
        is_list=True,
        columns=BATCH,
        sdk="list_studio_batches",
        facts="2.9",
    ),
    Endpoint(
        *("assign_studio_batches", "studio", "assign-batch", "set the groups that work on a batch", "assign batch"),
        *("PUT", "/studio/batches/{batch_name}"),
        (
            Param("batch_name", "the name of the batch", In.PATH, needed=True),
            Param(
                "project_groups",
                "all its groups; an address stands for one person",
                In.BODY,
                Kind.TEXTS,
                wire="groups",
                needed=True,
            ),
        ),
        request=MUTATE,
        returns="StudioBatch",
        asks="this changes who works on what",
        columns=BATCH,
        sdk="assign_studio_batches",
        facts="2.9",
    ),
    Endpoint(
        *("set_studio_batches_priorities", "studio", "set-priorities", "set the order of all pending batches"),
        *("set priorities", "POST", "/studio/batches/set_priorities"),
        (
            Param(
                *("batch_names", "all pending batches, the first comes first", In.BODY, Kind.TEXTS),
                wire="batches",
                needed=True,
                wrapped="name",
            ),
        ),
        request=MUTATE,
        returns="StudioBatch",
        is_list=True,
        columns=BATCH,
        sdk="set_studio_batches_priorities",
        facts="2.9",
    ),
    Endpoint(
        *("reset_studio_batches_priorities", "studio", "reset-priorities", "let the service order pending batches"),
        *("reset priorities", "POST", "/studio/batches/reset_priorities"),
        request=MUTATE,
        returns="StudioBatch",
        is_list=True,
        columns=BATCH,
        sdk="reset_studio_batches_priorities",
        facts="2.9",
    ),
)
AUDITS = (
    Endpoint(
        *("create_fixless_audit", "audits", "create", "record an audit that changes no answer", "create audit", "PUT"),
        "/audits",
        (Param("audit", "the audit, with its task_id", In.REST, Kind.OBJECT, needed=True),),
        request=MUTATE,
        # Only the newest audit of a task counts, so a repeat does no harm.
        again=Again.SAFE,
        returns="FixlessAudit",
        columns=("id", "task_id", "created_at"),
        facts="2.8",
    ),
)
ROWS = (*TEAM, *STUDIO, *AUDITS)
