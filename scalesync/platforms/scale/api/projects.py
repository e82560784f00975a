"""Projects: /projects. facts/scale-api 2.6."""

from __future__ import annotations

from scalesync.model.targets import RequestClass
from scalesync.platforms.scale.api.endpoint import Again, Endpoint, In, Kind, Param

NAME = Param("project_name", "the name of the project", In.PATH, needed=True)
COLUMNS = ("name", "type", "created_at")

ROWS = (
    Endpoint(
        *("create_project", "projects", "create", "create a project", "create project", "POST", "/projects"),
        (
            Param("project_name", "a name that no other project of the account has", In.BODY, wire="name", needed=True),
            Param("task_type", "the type of its tasks, for good", In.BODY, wire="type", needed=True),
            Param("params", "what each task gets that does not say otherwise", In.BODY, Kind.OBJECT),
            Param("rapid", "a self-serve project", In.BODY, Kind.FLAG),
            Param("studio", "a project for your own people", In.BODY, Kind.FLAG),
            Param("dataset_id", "a dataset of Nucleus that belongs to it", In.BODY, wire="datasetId", sends_null=True),
            Param("pipeline", "who works on a task: standard_task or consensus_task", In.BODY),
            Param("consensus_attempts", "how many people label each task of a consensus", In.BODY, Kind.NUMBER),
        ),
        request=RequestClass.MUTATE,
        again=Again.NAMED,
        named_by="project_name",
        returns="Project",
        columns=COLUMNS,
        sdk="create_project",
        facts="2.6",
    ),
    Endpoint(
        *("get_project", "projects", "get", "show one project", "get project", "GET", "/projects/{project_name}"),
        (NAME,),
        returns="Project",
        columns=COLUMNS,
        sdk="get_project",
        facts="2.6",
    ),
    Endpoint(
        *("get_projects", "projects", "list", "list projects", "list projects", "GET", "/projects"),
        (Param("archived", "only archived ones, or only others; both if it is left out", kind=Kind.FLAG),),
        returns="Project",
        is_list=True,
        columns=COLUMNS,
        sdk="get_projects",
        facts="2.6",
    ),
    Endpoint(
        *("update_project", "projects", "update", "give a project a new version of its parameters", "update project"),
        *("POST", "/projects/{project_name}/setParams"),
        (
            NAME,
            Param("params", "the parameters", In.REST, Kind.OBJECT),
            Param("patch", "keep the parameters that are not named", In.BODY, Kind.FLAG),
        ),
        request=RequestClass.MUTATE,
        # A repeat makes one version more, with the same parameters.
        again=Again.SAFE,
        returns="Project",
        asks="tasks that are created from now on get the new parameters",
        columns=COLUMNS,
        sdk="update_project",
        facts="2.6",
    ),
    Endpoint(
        *("set_project_ontology", "projects", "set-ontology", "give a project a new version of its ontology"),
        *("set ontology", "POST", "/projects/{project_name}/setOntology"),
        (
            NAME,
            Param(
                "ontology",
                "an object with the list `ontology`, and a `name` if it has one",
                In.REST,
                Kind.OBJECT,
                needed=True,
            ),
        ),
        request=RequestClass.MUTATE,
        facts="2.6",
    ),
    Endpoint(
        *("get_project_template", "projects", "template", "show the template of a chat or text project"),
        *("get template", "GET", "/projects/{project_name}/taskTemplates", (NAME,)),
        returns="TaskTemplate",
        columns=("id", "version", "created_at", "updated_at"),
        bound="Project.get_template",
        sdk="get_project_template",
        facts="2.6",
    ),
)
