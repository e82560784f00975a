"""From a record to the body of a create call: template, expressions, identity."""
