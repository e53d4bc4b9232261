.PHONY: install lint types test test-slow docs

install:
	uv sync

lint:
	uv run ruff check
	uv run ruff format --check
	uv run lint-imports

types:
	uv run mypy

test:
	uv run pytest

test-slow:
	uv run pytest -m slow

docs:
	uv run --group docs mkdocs build --strict
