"""Who reviews a task: nobody, one reviewer, or a panel; by its size, the paths it changed and its agent."""

from __future__ import annotations

from ..plan import Reviewing, Route, Task
from .standing import Result


def routed(reviewing: Reviewing, task: Task, result: Result, by: str = "") -> tuple[Route, str]:
    """The route of a task that is claimed to be done, and why it is this one.

    ``by`` is the agent that did it, where a fallback stood for the task's own.
    """
    route = task.review if task.review is not None else reviewing.route
    if route is not Route.AUTO:
        return route, ""
    for path in (*result.paths, *task.files):
        under = _under(path, reviewing.panel_paths)
        if under:
            return Route.PANEL, f"{path} is under {under}"
    for agent in (task.agent, by):
        if agent in reviewing.panel_agents:
            return Route.PANEL, f"agent {agent} takes a panel"
    if result.lines < 0 or result.files < 0:
        return Route.FAST, "nobody knows how much it changed"
    if result.lines <= reviewing.pass_lines and result.files <= reviewing.pass_files:
        return Route.NONE, f"{result.lines} lines in {result.files} files are few"
    return Route.FAST, f"{result.lines} lines in {result.files} files"


def _under(path: str, folders: tuple[str, ...]) -> str:
    """The first of these folders that a path is or lies in, at any depth; empty if none."""
    parts = f"/{path.casefold()}/"
    return next((folder for folder in folders if f"/{folder.strip('/').casefold()}/" in parts), "")
