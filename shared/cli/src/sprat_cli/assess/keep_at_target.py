"""The `keep_at` of an assessed model: where it stands, what holds there now, and writing another one."""

import shlex
from dataclasses import dataclass
from pathlib import Path

from sprat.errors import UserError
from sprat.model import DEFAULT_MODEL
from sprat_cli.assess.asked_task import INTENT, TaskOfModel
from sprat_cli.assess.policy_file import (
    KeepAtChange,
    check_task_keep_at,
    write_keep_at,
    write_task_keep_at,
)
from sprat_cli.which_keep_at import place_of_keep_at
from sprat_inference.artefact import BrokenArtefact, load_artefact
from sprat_inference.card import Card
from sprat_operations import local_run
from sprat_policy import IntentPolicy, KeepAtSource, Policy, keep_at_location
from sprat_training.model_card import PREVIOUS, current_folder
from sprat_training.record import SeenRows


@dataclass(frozen=True, slots=True)
class KeepAtTarget:
    """Where the router reads the `keep_at` of the model: in the file of its task, or in the policy."""

    task: TaskOfModel
    name: str | None
    """By which texts ask for the model, as the user says; None where nothing is said."""
    card_name: str
    """The name on its card."""
    version: str
    """On its card."""
    folder: Path | None = None
    """Of the model; None where it has none."""

    @property
    def file(self) -> Path:
        """The file of the task."""
        return (self.task.files.folder or Path()) / f"{self.task.name}.yaml"

    @property
    def place(self) -> str:
        """The field of this model, and its file where that is not the policy."""
        return place_of_keep_at(self.task.name, self._own_name, self.task.files)

    @property
    def _own_name(self) -> str | None:
        """Return the name under which its `keep_at` stands; None: it is that of the task."""
        is_default = not self.task.is_beside if self.task.files else self._is_shipped
        return self.name or (None if is_default else self.card_name)

    @property
    def served_instead(self) -> str | None:
        """Return that this user's `sprat up` serves another version under its name.

        None where none is known to, or where one of several serves this version.
        """
        others = []
        for run in local_run.for_commands():
            try:
                served = None if self.served_as not in run.models else load_artefact(Path(run.models[self.served_as]))
            except BrokenArtefact:
                continue
            if served is not None and served.card.version == self.version:
                return None
            if served is not None:
                others.append(
                    f"your `sprat up` at {run.bootstrap} serves version {served.card.version} as {self.served_as}, "
                    f"from {run.models[self.served_as]}"
                )
        if not others:
            return None
        return (
            f"this is version {self.version}; {'; '.join(others)}. `sprat up` reads what stands under {self.place} "
            f"when it starts: write this version's where you start it again {self._serving}"
        )

    @property
    def served_as(self) -> str:
        """Return the name by which `sprat up` serves it, such as `intent/hr`."""
        return f"{self.task.name}/{self._own_name or DEFAULT_MODEL}"

    @property
    def _serving(self) -> str:
        """Return how `sprat up` serves this version: with an option, or after the way back to the version before."""
        folder = self.folder
        if folder is not None and folder.name.endswith(PREVIOUS) and (current := current_folder(folder)).exists():
            return f"after `sprat models rollback {shlex.quote(str(current))}`"
        return f"with `--model {self.served_as}={'DIR' if folder is None else shlex.quote(str(folder))}`"

    def place_and_how(self, policy: Path | None) -> tuple[str, str]:
        """Return where its `keep_at` is written, with the file, and which options write it.

        Args:
            policy: the policy file; None: none is known.
        """
        if self.task.several and not self.task.files:
            return "keep_at in the file of its task", "name the task with --task and its policy with --policy"
        is_named = self.name is not None or self.task.is_beside or not (self.task.files or self._is_shipped)
        named = [f"--as {self.name or self.card_name}"] if is_named else []
        options = " ".join(["--write", *named] if policy is not None else ["--policy FILE --write", *named])
        place = self.place if self.task.files else f"{self.place} in {policy or 'your policy file'}"
        then = "" if self.served_instead is None else f", and start `sprat up` again {self._serving}"
        return place, f"add `{options}` to this command{then}"

    def check(self, policy: Path, seen: SeenRows | None) -> None:
        """Check that a `keep_at` may be written there.

        Args:
            policy: the policy file.
            seen: the assessed texts that the model was trained on, where those count against it; None: none.

        Raises:
            UserError: it may not; the message says what to do.
        """
        if self.task.several and not self.task.files:
            raise UserError("--write: a model with several labels a text has its keep_at in the file of its task")
        if self.name is None and self.task.is_beside:
            own, card_name = ".".join(keep_at_location(None, self.card_name)), self.card_name
            raise UserError(
                f"--write: {self.file} does not name this model as its artefact, so the keep_at there is not that of "
                f"{card_name}; add --as {card_name} to write {own}, or --as and the name that texts ask for it by; "
                "where it is to answer the task itself, write its folder there as `artefact` first"
            )
        if self.name is None and not self.task.files:
            check_task_keep_at(policy, self.card_name)
        if seen is not None:
            raise UserError(f"--write: {seen}; or add --force to write the keep_at that they give")

    def write(self, policy: Path, keep_at: float, source: KeepAtSource) -> KeepAtChange:
        """Write the `keep_at`, and where it comes from as a comment behind it.

        Raises:
            UserError: see :func:`sprat_policy.set_keep_at`.
        """
        if self.task.files:
            return write_task_keep_at(self.file, keep_at, self.name, source)
        return write_keep_at(policy, keep_at, self.name, source)

    def escalates_outside(self, rules: Policy | None) -> bool:
        """Return whether texts outside every label are escalated."""
        rule = self._rule(rules)
        return not self.task.several and rule is not None and rule.out_of_scope == "escalate"

    def source(self, rules: Policy | None, language: str) -> KeepAtSource | None:
        """Return what stands behind the `keep_at` that is in force for this model; None where nothing does.

        Args:
            rules: the policy; None: there is none.
            language: of the texts; for one with a number of its own, nothing is known.
        """
        rule = self._rule(rules)
        if rule is None or rule.keep_at_in(language) != rule.keep_at:
            return None
        return rule.keep_at_comment(self._own_name or DEFAULT_MODEL).source_of(rule.keep_at, self.version)

    def is_by_hand(self, rules: Policy | None, language: str) -> bool:
        """Return whether the owner wrote the `keep_at` for this model: nothing is known of where it comes from.

        Args:
            rules: the policy; None: there is none.
            language: of the texts.
        """
        rule = self._rule(rules)
        own = rule is not None and rule.sets_keep_at(self._own_name or DEFAULT_MODEL)
        return own and self.source(rules, language) is None

    def thresholds(self, card: Card, rules: Policy | None, language: str) -> dict[str, float]:
        """Return the thresholds that the table shows besides: that of the card, and of the task's file or the policy.

        Args:
            card: of the model.
            rules: the policy; None: there is none.
            language: of the texts; it may have a threshold of its own.
        """
        found = {"card": card.keep_at_of(language)}
        if self.task.files and (rule := self._rule(rules)) is not None:
            found["task"] = rule.keep_at_in(language)
        elif rules is not None and self._is_intent:
            found["policy"] = rules.task(INTENT, self.name or self.card_name).keep_at_in(language)
        return found

    @property
    def _is_shipped(self) -> bool:
        return self.card_name == DEFAULT_MODEL

    @property
    def _is_intent(self) -> bool:
        return self.task.name == INTENT and not self.task.several

    def _rule(self, rules: Policy | None) -> IntentPolicy | None:
        """Return the policy of the task, as it is for this model; None where there is none."""
        if self.task.files:
            unnamed = self.card_name if self.task.is_beside else DEFAULT_MODEL
            return self.task.files[self.task.name].of(self.name or unnamed)
        if rules is None or not self._is_intent:
            return None
        return rules.tasks.intent if self.name is None else rules.tasks.intent.of(self.name)
