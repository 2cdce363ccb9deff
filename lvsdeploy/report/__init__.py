"""Results as text for people, JSON, Markdown and JUnit: one registry, chosen with `--output`."""
