"""What verbs that take a SITE have in common: the machine, and problems at their places."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

from orchestrator import errors
from orchestrator.cli import settings

if TYPE_CHECKING:
    from orchestrator import observe
    from orchestrator.site import model, tree


def machine_for(
    options: settings.Settings, site: model.Site, environ: Mapping[str, str]
) -> observe.Machine:
    """The machine that the global options name, with the files that this site names."""
    from orchestrator import observe  # noqa: PLC0415
    from orchestrator.apply import check  # noqa: PLC0415
    from orchestrator.render import views  # noqa: PLC0415

    named = (*check.named_roots(site), *check.named_music(site))
    return observe.Machine(
        paths=views.Paths(state=options.state_dir, run=options.run_dir),
        engine_root=options.engine_root,
        env=environ,
        read=tuple(path for path, _ in named),
    )


@contextmanager
def placed(places: tree.SourceMap) -> Iterator[None]:
    """What is found after the file was read gets its place in it.

    Problems have a path. What an engine or the machine refused has words only: the value of the
    site that stands in them, or in the rendered line they are about, is most likely the cause.
    """
    try:
        yield
    except (errors.EngineRefused, errors.NotHere, errors.ApplyError) as refused:
        refused.hint = _led_back(refused, places)
        raise
    except errors.SiteError as refused:
        raise errors.SiteError(
            tuple(_placed(problem, places) for problem in refused.problems)
        ) from refused


def _led_back(refused: errors.SbcctlError, places: tree.SourceMap) -> str:
    """The hint, with the place in site.yaml that the refusal most likely comes from."""
    from orchestrator.site import blame, sentences  # noqa: PLC0415

    said = [refused.message]
    if isinstance(refused, errors.EngineRefused):
        if refused.lacks:
            return refused.hint
        said = [*refused.quoted, refused.words, refused.message]
    for text in said:
        if cause := blame.find_cause(text, places):
            position, path = cause
            return f"most likely from {position} ({sentences.dotted(path)}); {refused.hint}"
    return refused.hint


def _placed(problem: errors.Problem, places: tree.SourceMap) -> errors.Problem:
    """The problem with its place in site.yaml, or that of the nearest part around it."""
    found, _ = places.find(problem.path)
    position = places.position(found)
    source = places.source_of(found).line(position.line) if position else ""
    return dataclasses.replace(problem, position=position, source=source)
