"""Scale's API: version 1, and version 2 for chats.

Each layer imports only layers below it in this list. All of them may import `core`.

    app         the platform for the server
    v2/         version 2 of the same world: one function per endpoint, deliveries, datasets
    routes      one function per endpoint: batches, projects, tasks/mutations, tasks/lists, resources/table
    resources/  files, people, Studio, quality tasks, fixless audits
    courier     sends callbacks while the server runs
    control     what the control plane does to tasks
    store       two worlds (live and test keys) and the data file
    hosted      a world for the program that hosts it
    batches, projects
    tasks/      checks of a create, inherited fields, the life of a task, lists
    multistage/ blueprints, and the way of a task through their stages
    answers/    synthetic answers and result files
    state/      tasks, batches, projects, blueprints, and the indexes over them; the rest of an account; callbacks
    keys, errors, config
"""
