"""Scale's v1 API: tasks, batches and projects.

Layers, each importing only those after it, and all of them what they need of `core`:

    app         the platform as the server sees it
    routes      one function per endpoint: batches, projects, tasks/mutations, tasks/lists
    control     what the control plane does to tasks
    store       two worlds (live and test keys) and the data file
    hosted      a world as the program that hosts it uses it
    batches, projects
    tasks/      what a create must hold, what a task inherits, how it ends, how it is listed
    answers/    synthetic answers and result files
    state/      tasks, batches, projects, and the indexes over them
    keys, errors, config
"""
