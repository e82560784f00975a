"""Where the tasks of an `apply` come from: one module for each way to name them."""
