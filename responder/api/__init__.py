"""The HTTP surface: routes, credentials, validation, problems. What a verb does is the pipeline's work."""
