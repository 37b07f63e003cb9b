"""The hub: organizations, users, collaborations, jobs, runs and sealed payloads that it cannot open."""
