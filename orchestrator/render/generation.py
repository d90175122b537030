"""Views + templates -> Generation: a frozen set of files with one digest.

This is the only door to jinja2. Templates place text and decide nothing:

1. A missing value is an error, never empty text (``StrictUndefined``).
2. Text from a view reaches a file only through one of the quoting filters below, one for each
   grammar; text that no filter has marked is refused (``finalize``). facts/reliability.md 5.1
   says what each grammar does with quotes, backslashes and line ends.
3. Control characters are refused, not escaped.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import InitVar, dataclass, field
from enum import StrEnum
from functools import cache
from importlib import resources
from importlib.resources.abc import Traversable
from ipaddress import ip_address
from pathlib import Path

import jinja2

from orchestrator import errors
from orchestrator.render import tables, views
from orchestrator.site import model

_CONTROLS = "\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff"
_CONTROL = re.compile(f"[{_CONTROLS}]")
# What is surely neither special in a table nor a control character.
_PLAIN = bytes(sorted({*range(0x20, 0x7F)} - {*b"\\:"}))
_WORD = re.compile(r"[A-Za-z0-9_.:/+*@=;,-]+")
_HOST = re.compile(r"[A-Za-z0-9.-]{1,253}")
_PATH = re.compile(r"/[A-Za-z0-9_./+@-]*")
_REGEX = re.compile(r"[a-z0-9|.()^$\[\]-]+")
_INTERFACES = re.compile(r"[a-z]+/[0-9a-f.:]+(![0-9a-f.:]+)?(;[a-z]+/[0-9a-f.:]+)*")
_FLAGS = re.compile(r"[A-Za-z0-9_=/ -]+")
_SKELETON_MARK = "0" * 16


class Effect(StrEnum):
    """What the engines need to take notice of a changed file, cheapest first."""

    NONE = "none"
    DISPATCHER_RELOAD = "dispatcher-reload"
    TABLE_RELOAD = "table-reload"
    REGISTRATIONS_RELOAD = "registrations-reload"
    ADDRESSES_RELOAD = "addresses-reload"
    TLS_RELOAD = "tls-reload"
    UNIT_RELOAD = "unit-reload"
    RTPENGINE_RESTART = "rtpengine-restart"
    KAMAILIO_RESTART = "kamailio-restart"


@dataclass(frozen=True, slots=True)
class File:
    """One rendered file.

    Attributes:
        path: Relative path with forward slashes, for example ``kamailio/kamailio.cfg``.
        text: The whole content.
        effect: What the engines need to take notice of a change.
        secret: True when only the engine's user may read it.
        table: For ``TABLE_RELOAD``: the name of the htable that reads it.
        known: The digest, of who has it already.
        digest: SHA-256 of the content, in hexadecimal.
    """

    path: str
    text: str
    effect: Effect
    secret: bool = False
    table: str = ""
    known: InitVar[str] = ""
    digest: str = field(init=False, repr=False, compare=False)

    def __post_init__(self, known: str) -> None:
        """A text may be large, and its digest is asked for often."""
        digest = known or hashlib.sha256(self.text.encode()).hexdigest()
        object.__setattr__(self, "digest", digest)


@dataclass(frozen=True, slots=True)
class Generation:
    """One complete rendered set of files, sorted by path and named by its digest.

    Attributes:
        files: The files, sorted by path.
        skeleton: Digest over what Kamailio reads at its start only; the running Kamailio tells
            it as the run-time value ``sbc.skeleton``.
    """

    files: tuple[File, ...]
    skeleton: str

    @property
    def digest(self) -> str:
        """SHA-256 over all paths and contents, in hexadecimal."""
        total = hashlib.sha256()
        for file in self.files:
            total.update(f"{file.path}\0{file.digest}\n".encode())
        return total.hexdigest()

    def file(self, path: str) -> File:
        """Return the file at *path*; KeyError when there is none."""
        for file in self.files:
            if file.path == path:
                return file
        raise KeyError(path)


class _Marked(str):
    """Text that a quoting filter has made safe for the grammar it goes into."""

    __slots__ = ()


def _refuse_control(value: str) -> str:
    found = _CONTROL.search(str(value))
    if found:
        raise ValueError(f"control character U+{ord(found[0]):04X} in {value!r}")
    return value


def _allowed(pattern: re.Pattern[str], what: str, value: str) -> _Marked:
    text = str(value)  # a missing value says so here (StrictUndefined)
    if not pattern.fullmatch(text):
        raise ValueError(f"this is not {what}: {text!r}")
    return _Marked(text)


def word(value: str) -> _Marked:
    """Place *value* bare: letters, digits and the punctuation of URIs and addresses."""
    return _allowed(_WORD, "a plain word", value)


def host(value: str) -> _Marked:
    """Place a host name or an address; an IPv6 address gets its brackets."""
    if ":" in value:
        return _Marked(f"[{ip_address(value)}]")
    return _allowed(_HOST, "a host", value)


def path(value: str) -> _Marked:
    """Place an absolute path that needs no quoting in any of the grammars."""
    return _allowed(_PATH, "a plain absolute path", value)


def regex(value: str) -> _Marked:
    """Place a regular expression of ours inside a double-quoted Kamailio string."""
    return _allowed(_REGEX, "an expression of names", value)


def flags(value: str) -> _Marked:
    """Place a list of RTPEngine flags inside a double-quoted Kamailio string."""
    return _allowed(_FLAGS, "a list of flags", value)


def interfaces(value: str) -> _Marked:
    """Place RTPEngine's list of interfaces: NAME/ADDRESS[!ADVERTISED];..."""
    return _allowed(_INTERFACES, "a list of interfaces", value)


def column(value: str) -> _Marked:
    """Escape *value* as one column of a db_text table: backslash and colon."""
    _refuse_control(value)
    return _Marked(value.replace("\\", "\\\\").replace(":", "\\:"))


def rows(table: tables.Table) -> _Marked:
    """The rows of an htable as lines of a db_text table.

    There may be a million: most have nothing to escape, which one look at a block of them tells.
    """
    lines = [f"{column(key)}:0:0:{column(value)}:0\n" for key, value in table.rows]
    for value, keys in table.blocks:
        if "".join(keys).encode().translate(None, _PLAIN):
            keys = tuple(map(column, keys))  # noqa: PLW2901 - the same, as they are written
        lines.append(f":0:0:{column(value)}:0\n".join((*keys, "")))
    return _Marked("".join(lines))


def _finalize(value: object) -> object:
    if isinstance(value, bool):
        raise TypeError("a truth value cannot be placed as text")
    if isinstance(value, str) and not isinstance(value, _Marked | jinja2.Undefined):
        raise TypeError(f"text without a quoting filter: {value!r}")
    if isinstance(value, _Marked | int | jinja2.Undefined):
        return value
    raise TypeError(f"a {type(value).__name__} cannot be placed as text")


def templates_root() -> Traversable:
    """Return the folder of the templates: inside the wheel, or the repository's.

    An editable install has no copy of the folder in the package (facts/ux.md 6.1).
    """
    packaged = resources.files("orchestrator") / "templates"
    if packaged.is_dir():
        return packaged
    beside = Path(__file__).resolve().parents[2] / "templates"
    if beside.is_dir():
        return beside
    raise errors.HostError(
        "the templates of sbcctl are missing",
        hint="install sbcctl again; the wheel carries them in orchestrator/templates",
    )


def _load_template(name: str) -> str | None:
    file = templates_root().joinpath(*name.split("/"))
    return file.read_text(encoding="utf-8") if file.is_file() else None


@cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(_load_template),
        undefined=jinja2.StrictUndefined,
        finalize=_finalize,
        autoescape=False,  # noqa: S701 - not HTML; finalize refuses what no filter has quoted
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters.update(
        word=word,
        host=host,
        path=path,
        column=column,
        rows=rows,
        regex=regex,
        flags=flags,
        interfaces=interfaces,
    )
    return environment


def _place(template: str, **values: object) -> str:
    try:
        return _environment().get_template(template).render(values)
    except (jinja2.TemplateError, ValueError, TypeError) as wrong:
        raise errors.SbcctlError(
            f"rendering {template} failed: {wrong}",
            hint="this is a fault of sbcctl; please report it with your site.yaml",
        ) from wrong


def _kamailio_skeleton(view: views.KamailioView) -> tuple[tuple[File, ...], str]:
    names = ["kamailio.cfg", *(f"routes/{name}.cfg" for name in view.route_files)]
    texts = {
        name: _place(f"kamailio/{name}.j2", k=view, skeleton=word(_SKELETON_MARK))
        for name in names
    }
    # TLS profiles can be read again while Kamailio runs, so tls.cfg is not part of the skeleton.
    joined = "\0".join(f"{name}\0{text}" for name, text in sorted(texts.items()))
    digest = hashlib.sha256(joined.encode()).hexdigest()[: len(_SKELETON_MARK)]
    texts["kamailio.cfg"] = texts["kamailio.cfg"].replace(_SKELETON_MARK, digest)
    files = tuple(
        File(path=f"kamailio/{name}", text=text, effect=Effect.KAMAILIO_RESTART)
        for name, text in texts.items()
    )
    return files, digest


def _kamailio_data(view: views.KamailioView) -> tuple[File, ...]:
    files = [
        File(
            path="kamailio/dispatcher.list",
            text=_place("kamailio/dispatcher.list.j2", k=view),
            effect=Effect.DISPATCHER_RELOAD,
        ),
        File(
            path="kamailio/addresses.list",
            text=_place("kamailio/addresses.list.j2", k=view),
            effect=Effect.ADDRESSES_RELOAD,
        ),
        File(
            path="kamailio/tls.cfg",
            text=_place("kamailio/tls.cfg.j2", k=view),
            effect=Effect.TLS_RELOAD,
        ),
        File(
            path="kamailio/tables/version",
            text=_place("kamailio/tables/version.j2", k=view),
            effect=Effect.NONE,
        ),
    ]
    if view.own_roots:
        files.append(
            File(
                path="kamailio/roots.pem",
                text=_place("kamailio/roots.pem.j2"),
                effect=Effect.TLS_RELOAD,
            )
        )
    if view.registrations:
        files.append(
            File(
                path="kamailio/tables/uacreg",
                text=_place("kamailio/tables/uacreg.j2", k=view),
                effect=Effect.REGISTRATIONS_RELOAD,
                secret=True,
            )
        )
    files += [
        File(
            path=f"kamailio/tables/{table.name}",
            text=_place("kamailio/tables/htable.j2", table=table),
            effect=Effect.TABLE_RELOAD,
            secret=table.secret,
            table=table.name,
        )
        for table in view.tables
    ]
    return tuple(files)


def render_site(
    site: model.Site,
    *,
    facts: views.EngineFacts,
    paths: views.Paths,
    secrets: views.Secrets,
) -> Generation:
    """Render *site* for engines of which *facts* are known.

    Pure but for reading the templates: the same arguments give the same bytes.

    Raises:
        errors.SbcctlError: A template or a filter refused a value: a fault of sbcctl.
    """
    kamailio = views.kamailio_view(site, facts=facts, paths=paths, secrets=secrets)
    rtpengine = views.rtpengine_view(site, facts=facts, paths=paths)
    skeleton_files, skeleton = _kamailio_skeleton(kamailio)
    others = (
        File(
            path="rtpengine/rtpengine.conf",
            text=_place("rtpengine/rtpengine.conf.j2", r=rtpengine),
            effect=Effect.RTPENGINE_RESTART,
        ),
        *(
            File(
                path=f"systemd/sbcctl-{name}.service",
                text=_place(f"systemd/{name}.service.j2", k=kamailio, r=rtpengine),
                effect=Effect.UNIT_RELOAD,
            )
            for name in ("kamailio", "rtpengine")
        ),
    )
    files = skeleton_files + _kamailio_data(kamailio) + others
    return Generation(files=tuple(sorted(files, key=lambda f: f.path)), skeleton=skeleton)
