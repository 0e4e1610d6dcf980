"""Which columns hold the texts and the labels: as the user named them, else by well-known names, else the only two."""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from sprat_training.datasets.rows import FileProblems, TableRow

_TEXT_WORDS: Final = """
    text utterance message sentence query question instruction body comment description content subject
    nachricht meldung anfrage frage satz äußerung mitteilung freitext wortlaut anliegen kommentar beschreibung inhalt
    betreff
    texte message phrase énoncé demande requête question commentaire description contenu objet
    texto mensaje frase pregunta consulta solicitud comentario descripción contenido asunto
"""
_LABEL_WORDS: Final = """
    label labels intent category class topic classification target tag
    kategorie klasse absicht thema zuordnung einordnung rubrik klassifikation etikett
    étiquette catégorie classe intention thème sujet rubrique classification
    etiqueta categoría clase intención tema clasificación
"""
_ROUTED_WORDS: Final = """
    queue, group, assignment group, assigned group, assignee group, support group, team, assigned team, department
    warteschlange, gruppe, zuweisungsgruppe, bearbeitergruppe, abteilung, zuständigkeit
    file d'attente, groupe, groupe d'affectation, groupe assigné, équipe, département
    cola, grupo, grupo de asignación, grupo asignado, equipo, departamento
"""


def folded(name: str) -> str:
    """Return the form of a column's name that is compared: without case, accents and white space at its ends."""
    decomposed = unicodedata.normalize("NFKD", name.strip().casefold())
    return "".join(character for character in decomposed if not unicodedata.combining(character))


TEXT_NAMES: Final = tuple(map(folded, _TEXT_WORDS.split()))
"""Well-known names in English, German, French and Spanish, the most certain first."""
LABEL_NAMES: Final = tuple(map(folded, _LABEL_WORDS.split()))
"""The same for labels."""
ROUTED_NAMES: Final = tuple(
    folded(word) for line in _ROUTED_WORDS.split("\n") for word in line.split(",") if word.strip()
)
"""Names that ticket systems (OTRS, Zammad, RT, ServiceNow, osTicket, GLPI) have for where a ticket goes.

They may be of the writer, too, or be a label themselves, so they count only in a file without a column of the names
above whose texts are found, and only where one column has such a name.
"""
HEAD_ROWS: Final = 2_000
"""Rows from which the columns are decided."""

_NAME_SHAPE: Final = re.compile(r"[^\W\d]+(?:[ ./-][^\W\d]+){0,2}[ _-]?\d{0,2}")
"""One to three words of letters, then at most a small number: Thema, customer_text, Text der Mail, Q 12."""
_MAX_NAME: Final = 32
_MAX_SHOWN: Final = 300
_NAME_THEM: Final = "name them: --text-column NAME --label-column NAME, or by number, from 1"
_HIDDEN: Final = (
    "row 1 seems to hold data, not their names, so it is not shown; number them from 1: --text-column 1 "
    "--label-column 2, in the order of the file; or add a row of column names above"
)


@dataclass(frozen=True, slots=True)
class ColumnNames:
    """The columns that the user named, each by its name or by its number from 1; None is to be found."""

    text: str | None = None
    label: str | None = None


@dataclass(frozen=True, slots=True)
class TableColumns:
    """Where the texts and the labels are in each row of a table."""

    text: int
    """Index of the cell."""
    label: int | None
    """Index of the cell; None where only texts are read."""
    count: int
    """Cells that every row has."""
    has_names: bool
    """Whether row 1 holds the names."""
    names: tuple[str, ...]
    """For messages: the names, else the numbers."""

    @property
    def used_names(self) -> tuple[str, ...]:
        """Return the names of the columns that are read."""
        return tuple(self.names[index] for index in (self.text, self.label) if index is not None)

    @property
    def unused_names(self) -> tuple[str, ...]:
        """Return the names of the columns that are not read; none where the columns have no names."""
        used = {self.text, self.label}
        return tuple(name for index, name in enumerate(self.names) if self.has_names and name and index not in used)


def known_columns(names: Sequence[str], *, text_is_named: bool = False) -> tuple[int | None, int | None]:
    """Return the indexes of the texts' and of the labels' column that have a well-known name; None where none has.

    Args:
        names: of the columns.
        text_is_named: whether the user named the texts' column, and it is there.
    """
    found = [folded(name) for name in names]

    def first_of(known: Sequence[str]) -> int | None:
        return next((found.index(name) for name in known if name in found), None)

    text, label = first_of(TEXT_NAMES), first_of(LABEL_NAMES)
    routed = routed_columns(names)
    if label is None and len(routed) == 1 and (text is not None or text_is_named):
        label = routed[0]
    return text, label


def routed_columns(names: Sequence[str]) -> list[int]:
    """Return the indexes of the columns that have a name for where a ticket goes."""
    return [index for index, name in enumerate(names) if folded(name).replace("_", " ") in ROUTED_NAMES]


@dataclass(frozen=True, slots=True)
class MissingColumns:
    """The question which columns or fields hold what was not found."""

    asked: str
    """As "which column holds the labels?"."""
    found: str
    """What was found, as "; the texts are in 'text'"; or what may hold the labels."""
    options: str
    """The options that name what was not found."""


def question_for(
    kind: Literal["column", "field"], names: Sequence[str], text: str | None, label: str | None, *, with_labels: bool
) -> MissingColumns:
    """Return the question for what was not found.

    Args:
        kind: of what holds them.
        names: all of them.
        text: the name of what holds the texts; None where it was not found.
        label: the same for the labels.
        with_labels: whether labels are read.
    """
    every = (("texts", "--text-column NAME", text), ("labels", "--label-column NAME", label))
    places = every if with_labels else every[:1]
    missing = [(what, option) for what, option, name in places if name is None]
    content = " and the ".join(what for what, _ in missing)
    asked = f"which {kind}s hold the {content}?" if len(missing) > 1 else f"which {kind} holds the {content}?"
    found = "".join(f"; the {what} are in {name!r}" for what, _, name in places if name is not None)
    may = [repr(names[index]) for index in routed_columns(names)]
    if label is None and len(may) > 1:
        found += f"; {' and '.join(may)} may each hold the labels"
    return MissingColumns(asked, found, " ".join(option for _, option in missing))


def safe_listing(names: Sequence[str], below: Sequence[Sequence[str]] = ()) -> str | None:
    """Return names of columns or fields for a message; None where they may be texts, which must not be shown.

    They may be texts where one does not look like a name, or occurs again in its column `below`, as labels do.
    """
    repeated = {(index, cell.strip()) for cells in below for index, cell in enumerate(cells)}
    if all(not name or (_looks_like_name(name) and (index, name) not in repeated) for index, name in enumerate(names)):
        return ", ".join(map(repr, names))[:_MAX_SHOWN]
    return None


def find_columns(
    head: Sequence[TableRow], user_columns: ColumnNames, problems: FileProblems, *, with_labels: bool
) -> TableColumns:
    """Decide from the first rows which columns are read.

    Raises:
        UserError: they cannot be determined; the message lists the columns.
    """
    first = head[0]
    names = [cell.strip() for cell in first.cells]
    found = [name.casefold() for name in names]
    text_is_named = user_columns.text is not None and user_columns.text.strip().casefold() in found
    known_text, known_label = known_columns(names, text_is_named=text_is_named)
    named = [column.strip().casefold() for column in (user_columns.text, user_columns.label) if column is not None]
    has_names = known_text is not None or known_label is not None or any(name in found for name in named)
    text = known_text if user_columns.text is None else _index_of(user_columns.text, head, problems)
    label = known_label if user_columns.label is None else _index_of(user_columns.label, head, problems)
    if not has_names and text is None and label is None and len(names) == (2 if with_labels else 1):
        text, label = _unnamed_pair(head) if with_labels else (0, None)
    if not with_labels:
        label = None
    if text is None or (with_labels and label is None):
        problems.fail(first.number, None, _undetermined(head, text, label, with_labels=with_labels), line=first.line)
    if text == label:
        problems.fail(first.number, names[text], f"named for both the texts and the labels; {_NAME_THEM}")
    shown = names if has_names else [str(index + 1) for index in range(len(names))]
    return TableColumns(text, label, len(names), has_names, tuple(shown))


def _index_of(column: str, head: Sequence[TableRow], problems: FileProblems) -> int:
    names = [cell.strip().casefold() for cell in head[0].cells]
    if column.strip().casefold() in names:
        return names.index(column.strip().casefold())
    if column.isdecimal() and 1 <= int(column) <= len(names):
        return int(column) - 1
    listing = _listing(head)
    existing = f"there are: {listing}" if listing is not None else f"there are {len(names)}, and {_HIDDEN}"
    return problems.fail(head[0].number, column, f"there is no such column; {existing}", line=head[0].line)


def _unnamed_pair(head: Sequence[TableRow]) -> tuple[int, int]:
    """Return text and label of two columns without names: labels repeat, texts do not."""
    rows = [row.cells for row in head[:HEAD_ROWS] if len(row.cells) == 2]
    left, right = ({cells[index] for cells in rows} for index in (0, 1))
    return (1, 0) if len(left) < len(right) else (0, 1)


def _undetermined(head: Sequence[TableRow], text: int | None, label: int | None, *, with_labels: bool) -> str:
    names = [cell.strip() for cell in head[0].cells]
    if with_labels and len(names) == 1:
        return (
            "there is one column, a text and a label are needed; separate them by a comma, a semicolon or a tab, "
            "or name the file .tsv where it is a tab"
        )
    at_text, at_label = (None if index is None else names[index] for index in (text, label))
    question = question_for("column", names, at_text, at_label, with_labels=with_labels)
    asks_for_label = with_labels and label is None
    known = (*(TEXT_NAMES if text is None else ()), *(LABEL_NAMES if asks_for_label else ()))
    or_one = ", or one of where tickets go, as queue" if asks_for_label else ""
    known_names = f"known: {', '.join(dict.fromkeys(known))}{or_one}"
    listing = _listing(head)
    if listing is None:
        return f"{question.asked} There are {len(names)}, and {_HIDDEN} ({known_names})"
    it = "them" if question.options.count("--") > 1 else "it"
    return (
        f"{question.asked} There are {listing}{question.found}; name {it}: {question.options}, or by number, from 1 "
        f"({known_names})"
    )


def _listing(head: Sequence[TableRow]) -> str | None:
    return safe_listing([cell.strip() for cell in head[0].cells], [row.cells for row in head[1:]])


def _looks_like_name(name: str) -> bool:
    return len(name) <= _MAX_NAME and _NAME_SHAPE.fullmatch(name) is not None
