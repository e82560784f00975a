"""What a run stands on: settings, and which platforms there are."""
