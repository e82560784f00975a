"""Settings, profiles and API keys."""
