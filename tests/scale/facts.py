"""What there is to cover, as data: every endpoint that is known of Scale's API, every section of the SDK's README."""

from __future__ import annotations

# facts/scale-api 2.0: below /v1
VERSION_1 = """
POST /task/{type}
GET /task/{task_id}
GET /tasks
POST /task/{task_id}/cancel
POST /task/{task_id}/audit
POST /task/{task_id}/unique_id
DELETE /task/{task_id}/unique_id
POST /task/{task_id}/setMetadata
POST /task/{task_id}/tags
PUT /task/{task_id}/tags
DELETE /task/{task_id}/tags
POST /task/{task_id}/send-callback
POST /batches
GET /batches
GET /batches/{name}
GET /batches/{name}/status
POST /batches/{name}/finalize
POST /batches/{name}/setMetadata
POST /batches/{name}/prioritize
POST /projects
GET /projects
GET /projects/{name}
POST /projects/{name}/setParams
POST /projects/{name}/setOntology
GET /projects/{name}/taskTemplates
POST /files/upload
POST /files/import
POST /evaluation_tasks/{type}
POST /training_tasks/{type}
GET /teams
POST /teams/invite
POST /teams/set_role
GET /studio/assignments
POST /studio/assignments/add
POST /studio/assignments/remove
GET /studio/projects/{project}/groups
POST /studio/projects/{project}/groups
PUT /studio/projects/{project}/groups/{group}
GET /studio/batches
PUT /studio/batches/{batch}
POST /studio/batches/set_priorities
POST /studio/batches/reset_priorities
PUT /audits
"""
# facts/scale-api 2.10
VERSION_2 = """
GET /v2/task
GET /v2/tasks
POST /v2/task/chat
POST /v2/task/metadata
GET /v2/batch
GET /v2/batches
POST /v2/batch
POST /v2/batch/finalize
POST /v2/batch/pause
POST /v2/batch/resume
POST /v2/batch/cancel
POST /v2/batch/metadata
GET /v2/project
GET /v2/projects
GET /v2/deliveries
GET /v2/delivery
GET /v2/delivery/tasks
GET /v2/schema
GET /v2/annotation
GET /v2/datasets
GET /v2/datasets/deliveries
GET /v2/datasets/delivery
GET /v2/datasets/tasks
GET /v2/datasets/task
GET /v2/datasets/task/{taskId}/response_url/{attachmentId}
"""
ENDPOINTS = [*VERSION_1.split("\n")[1:-1], *VERSION_2.split("\n")[1:-1]]
# The documentation says what they do, and nothing says how they look on the wire. facts/scale-api 6
GUESSED = [
    "GET /projects/{project}/blueprints",
    "GET /projects/{project}/blueprints/{name}",
    "POST /projects/{project}/blueprints",
    "POST /projects/{project}/blueprints/{name}/activate",
]
# Documentation names them, and nothing that is known says where they are.
NOWHERE = {
    '"Get Assets"': "its path is unknown; the documentation names its parameters only",
    "retrieve fixless audits": "its path is unknown; the sandbox guesses `GET /audits?task_id=`",
    '"Change Dependent Task Options"': "its path is unknown, and dependent tasks are legacy",
    '"Force Dependent Tasks Creation"': "its path is unknown, and dependent tasks are legacy",
}
V2 = "v2"
# section of the SDK's README -> the SDK's methods that it is about, or what there is here instead
README: dict[str, tuple[str, ...] | str] = {
    "Installation": "README.md: Install",
    "Usage": "[client.md](client.md): The client",
    "Tasks": "the sections below",
    "Create Task": ("create_task",),
    "Retrieve a task": ("get_task",),
    "Task Attributes": "`task.params`, `task.as_dict()`; [client.md](client.md): Results",
    "Retrieve List of Tasks": ("get_tasks", "tasks"),
    "Get Tasks Count": ("get_tasks_count",),
    "Cancel Task": ("cancel_task", "Task.cancel"),
    "Audit a Task": ("audit_task", "Task.audit"),
    "Update A Task's Unique Id": ("update_task_unique_id", "Task.update_unique_id"),
    "Clear A Task's Unique Id": ("clear_task_unique_id", "Task.clear_unique_id"),
    "Set A Task's Metadata": ("set_task_metadata", "Task.set_metadata"),
    "Set A Task's Tags": ("set_task_tags", "Task.set_tags"),
    "Add Tags to A Task": ("add_task_tags", "Task.add_tags"),
    "Delete Tags from A Task": ("delete_task_tags", "Task.delete_tags"),
    "Batches": "the sections below",
    "Create Batch": ("create_batch",),
    "Finalize Batch": ("finalize_batch", "Batch.finalize"),
    "Check Batch Status": ("batch_status", "Batch.get_status"),
    "Retrieve A Batch": ("get_batch",),
    "List Batches": ("get_batches", "batches"),
    "Projects": "the sections below",
    "Create Project": ("create_project",),
    "Retrieve Project": ("get_project",),
    "List Projects": ("projects", "get_projects"),
    "Update Project": ("update_project",),
    "Files": "the sections below",
    "Upload Files": ("upload_file",),
    "Import Files": ("import_file",),
    "Manage Teammates": "the sections below",
    "List Teammates": ("list_teammates",),
    "Invite Teammate": ("invite_teammates",),
    "Update Teammate Role": ("update_teammates_role", "Teammate.update_teammate_role"),
    "Example Scripts": "[resources.md](resources.md): cancel a batch, the SDK's one example",
    "Evaluation tasks (For Scale Rapid projects only)": "the section below",
    "Create Evaluation Task": ("create_evaluation_task",),
    "Training tasks (For Scale Rapid projects only)": "the section below",
    "Create Training Task": ("create_training_task",),
    "Studio Assignments (For Scale Studio only)": "the sections below",
    "List All Assignments": ("list_studio_assignments",),
    "Add Studio Assignment": ("add_studio_assignments",),
    "Remove Studio Assignment": ("remove_studio_assignments",),
    "Studio Project Groups (For Scale Studio Only)": "the sections below",
    "List Studio Project Groups": ("list_project_groups",),
    "Add Studio Project Group": ("create_project_group",),
    "Update Studio Project Group": ("update_project_group",),
    "Studio Batches (For Scale Studio Only)": "the sections below",
    "List Studio Batches": ("list_studio_batches",),
    "Assign Studio Batches": ("assign_studio_batches",),
    "Set Studio Batches Priority": ("set_studio_batches_priorities",),
    "Reset Studio Batches Priority": ("reset_studio_batches_priorities",),
    "Error handling": "[client.md](client.md): When something goes wrong",
    "V2 API": V2,
    "Troubleshooting": "the words of each error say what to do",
}
