"""Configuration: a YAML file becomes frozen values and a registry, or a list of everything that is wrong with it."""
