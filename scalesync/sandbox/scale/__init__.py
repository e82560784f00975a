"""Scale's v1 API: tasks, batches and projects.

Each layer imports only layers below it in this list. All of them may import `core`.

    app         the platform for the server
    routes      one function per endpoint: batches, projects, tasks/mutations, tasks/lists
    control     what the control plane does to tasks
    store       two worlds (live and test keys) and the data file
    hosted      a world for the program that hosts it
    batches, projects
    tasks/      checks of a create, inherited fields, the life of a task, lists
    answers/    synthetic answers and result files
    state/      tasks, batches, projects, and the indexes over them
    keys, errors, config
"""
