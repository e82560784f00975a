"""A GUESS: the names, paths and shapes of multi-stage tasks that no public source of Scale shows.

Documented are the type, the three fields that a create call needs, that a project has blueprints with one of them
active, that a task may choose another one, and that answers come with the task or with each stage (docs: Multi-Stage
Overview, Create Multi-Stage Task). How any of that is spelled is unknown. What differs at the real service is changed
in this module alone: nothing else on the client's side spells a name or a path of it.
"""

from __future__ import annotations

# --- documented ------------------------------------------------------------------------------------

TYPE = "multistage"
PROJECT = "project"
BATCH = "batch"
ATTACHMENTS = "attachments"
REQUIRED = (PROJECT, ATTACHMENTS, "scene_format")

# --- a create call: the name of the blueprint, beside the fields that every task may have ---------------

BLUEPRINT = "blueprint"

# --- a blueprint -----------------------------------------------------------------------------------

NAME = "name"
DELIVERY = "delivery"
STAGES = "stages"
AFTER = "after"
TAXONOMY = "taxonomy"
PARAMETERS = "parameters"
WHEN = "when"

WITH_TASK = "task"  # one response, when all stages are done
WITH_STAGE = "stage"  # a response for each stage, as soon as it is done
DELIVERIES = (WITH_TASK, WITH_STAGE)

LABELS = "labels"  # of a taxonomy: names, or objects with a `choice`
CHOICE = "choice"
ATTRIBUTES = "attributes"  # of a taxonomy: name -> {"choices": [...]}
CHOICES = "choices"

IF_STAGE = "stage"  # of a condition
IF_ATTRIBUTE = "attribute"
IF_HAS = "has"
IF_HAS_NOT = "has_not"

OF_BLUEPRINT = (NAME, DELIVERY, STAGES)
OF_STAGE = (NAME, AFTER, TAXONOMY, PARAMETERS, WHEN)
OF_CONDITION = (IF_STAGE, IF_ATTRIBUTE, IF_HAS, IF_HAS_NOT)

# What a blueprint has beside, when it comes from the service. One that is sent goes without them.
ACTIVE = "active"
ADDED = (ACTIVE, "created_at", "version")

# --- endpoints, below the root of version 1 ---------------------------------------------------------

LIST_PATH = "/projects/{project_name}/blueprints"
ONE_PATH = "/projects/{project_name}/blueprints/{blueprint_name}"
ACTIVATE_PATH = "/projects/{project_name}/blueprints/{blueprint_name}/activate"
DOCS = "docs"  # of the list's answer: the blueprints
MORE = ("has_more", "next_token")  # of it, if it had pages as other lists do: the guess is that it has none

# --- a task: its stages, and what was delivered of them ----------------------------------------------

DELIVERY_OF_TASK = "delivery"  # its value is that of the blueprint
STAGES_OF_TASK = "stages"  # a list of objects
STAGE_NAME = "name"
DELIVERED_AT = "delivered_at"  # of a stage, once it was delivered apart from the task
STAGE_RESPONSE = "response"
