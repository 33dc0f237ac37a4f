"""The engines by name, and what `--engine` may say. Adding one is adding its name here, its module, and its maker to choose.py."""

DOCKER, VENV, HERE = "docker", "venv", "here"

ENGINES = (DOCKER, VENV, HERE)
AUTO = "auto"  # the best for this machine
CHOICES = (AUTO, *ENGINES)
CHOICES_TEXT = f"{', '.join(CHOICES[:-1])} or {CHOICES[-1]}"
