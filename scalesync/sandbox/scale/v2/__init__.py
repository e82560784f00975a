"""Version 2 of the API, under /v2: chats ("GenAI"), their batches and projects, and what is delivered of them.

Version 1 and version 2 show one world: the same projects and batches, and the tasks of the chat family.

    routes      one function per endpoint, and what each endpoint's requests count as
    control     what the control plane delivers
    due         everything that happens by itself: batches that turn, periodic deliveries
    tasks, annotations, batches, projects, deliveries, datasets, schema
    documents   the JSON of each noun
    answers/    threads, turns, messages and annotations of a completed chat
    hosted      deliveries and datasets for the program that hosts the sandbox
    query, pages
    state       deliveries and datasets, beside the world
"""
