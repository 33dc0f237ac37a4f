"""Mistakes in what was typed, in litekiln's words. invoke alone prints its own, or a traceback, and ends with 1.

invoke parses the command line after it has loaded tasks.py, which calls `explain_mistakes`.
"""

import ast
import re
import shlex
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

import invoke.main
from invoke.exceptions import Exit, ParseError
from invoke.parser import Parser
from invoke.parser.context import ParserContext
from invoke.program import Program
from invoke.terminals import pty_size

from litekiln.commands.runner import show_error
from litekiln.errors import UsageError
from litekiln.terminal import Reporter
from litekiln.wording import did_you_mean, nearest

UNKNOWN = re.compile(r"No idea what (.+) is!", re.DOTALL)
NO_VALUE = re.compile(r"Flag <Argument: (\S+).*> needed value and was not given one!", re.DOTALL)
MISSING = re.compile(r"'.+' did not receive required positional arguments: (.+)", re.DOTALL)
# The option that a command's bare words are values of: `inv detect a.jpg b.jpg`. invoke takes only a fixed number of them.
BARE_WORDS = {"detect": "--picture"}
# What a command takes by a flag, and people type without it.
SUBJECTS = ("--model", "--file", "--name")
NARROWEST = 30  # columns of a terminal that help needs beside the options
NUMBERS = {int: "a whole number", float: "a number"}
LIST = "`inv --list` lists the commands"


def explain_mistakes() -> None:
    """Let the running program tell mistakes in litekiln's words."""
    invoke.main.program.__class__ = _Program


class _Program(Program):
    """invoke's program; its parser's errors become litekiln's."""

    _made: Parser | None = None

    def _make_parser(self) -> Parser:
        """The commands' parser, made once: to make one, invoke takes the options' help out of the tasks."""
        self._made = self._made or super()._make_parser()
        return self._made

    def parse_tasks(self) -> None:
        self.core.unparsed = spelled_out(self.core.unparsed, self._make_parser().contexts)
        try:
            super().parse_tasks()
        except (ParseError, ValueError) as error:
            self._refuse(error)

    def parse_cleanup(self) -> None:
        try:
            super().parse_cleanup()
        except ParseError as error:
            self._refuse(error)

    def print_columns(self, tuples: Sequence[tuple[str, str | None]]) -> None:
        """Options or commands with their help: beside each other, or below each other on a narrow terminal."""
        columns = pty_size()[0]
        beside = columns - max(len(name) for name, _ in tuples) - self.leading_indent_width - self.col_padding
        if beside >= NARROWEST:
            super().print_columns(tuples)
            return
        indent = self.leading_indent + self.indent
        for name, text in tuples:
            print(self.leading_indent + name)
            for line in textwrap.wrap(text or "", max(10, columns - len(indent)), break_long_words=False):
                print(indent + line)
        print()

    def _refuse(self, error: ParseError | ValueError) -> None:
        typed = list(self.core.unparsed)
        as_json = "--json" in typed
        explained = explain(error, typed, self._make_parser().contexts)
        show_error(explained, "error:", Reporter(json=as_json), as_json=as_json)
        raise Exit(code=explained.exit_code) from None


def spelled_out(typed: Sequence[str], commands: Mapping[str, ParserContext]) -> list[str]:
    """The command line with an option before each bare word of a command that takes any number of them."""
    spelled: list[str] = []
    context: Any = None
    takes_value = False
    for word in typed:
        option = BARE_WORDS.get(context.name) if context is not None else None
        if takes_value:
            takes_value = False
        elif word.startswith("-"):
            takes_value = context is not None and word in context.flags and context.flags[word].takes_value
        elif option:
            spelled.append(option)
        else:
            context = commands.get(word, context)
        spelled.append(word)
    return spelled


def explain(error: ParseError | ValueError, typed: list[str], commands: Mapping[str, ParserContext]) -> UsageError:
    """The error of invoke's parser in litekiln's words. `typed` is the command line from the first command on."""
    told = str(error)
    context = getattr(error, "context", None)
    if not isinstance(error, ParseError):
        return _no_number(typed, commands) or UsageError(f"an option's value can't be used: {told}", remedy=_help(typed, commands))
    if found := UNKNOWN.fullmatch(told):
        word = str(ast.literal_eval(found[1])) if found[1][0] in "'\"" else found[1]
        if context is None or not context.name:
            return _unknown_command(word, commands)
        return _unknown_word(word, context, typed, commands)
    name = context.name if context is not None else ""
    remedy = f"`inv --help {name}` explains each option" if name else LIST
    if found := NO_VALUE.match(told):
        flag = f"--{found[1].replace('_', '-')}"
        return UsageError(f"{flag} is given without a value", remedy=f"{flag} VALUE; {remedy}")
    if found := MISSING.match(told):
        missing = re.findall(r"'(\w+)'", found[1])  # those of one letter have a place instead of a name
        flags = [each.upper() if len(each) == 1 else f"--{each.replace('_', '-')}" for each in missing]
        return UsageError(f"inv {name} needs {' and '.join(flags)}", remedy=remedy)
    return UsageError(told, remedy=remedy)


def _unknown_command(word: str, commands: Mapping[str, ParserContext]) -> UsageError:
    if word.startswith("-"):
        return UsageError(f"unknown option {word!r} before a command", remedy=LIST)
    return UsageError(f"unknown command {word!r}, {did_you_mean(word, sorted(commands))}", remedy=LIST)


def _unknown_word(word: str, context: ParserContext, typed: list[str], commands: Mapping[str, ParserContext]) -> UsageError:
    """A command's option or word that it does not know."""
    command, flags = context.name, [*context.flags, *context.inverse_flags]
    if word.startswith("-"):
        longer = sorted(flag for flag in flags if flag.startswith("--"))
        what = f"inv {command} has no option {word!r}, {did_you_mean(word, longer)}"
        return UsageError(what, remedy=f"`inv --help {command}` explains each option")
    if switch := next((each for each in typed if each.startswith("-") and each.endswith(f"={word}")), ""):
        return UsageError(f"{switch}: this option takes no value", remedy=f"inv {command} {switch.partition('=')[0]}")
    subject = next((flag for flag in SUBJECTS if flag in context.flags and flag not in typed), "")
    what, other = f"inv {command} takes no argument {word!r}", nearest(word, commands)
    if not subject and other:
        return UsageError(f"{what}, did you mean the command {other!r}?", remedy=f"inv --help {other}")
    if not subject:
        return UsageError(what, remedy=f"inv --help {command}")
    option = f"{subject} {shlex.quote(word) if word.isprintable() else 'NAME'}"
    return UsageError(f"{what}, did you mean {option}?", remedy=f"inv {command} {option}")


def _no_number(typed: list[str], commands: Mapping[str, ParserContext]) -> UsageError | None:
    """The option whose value is no number, where it has to be one."""
    context: Any = None
    for place, word in enumerate(typed):
        context = commands.get(word, context)
        flag, equals, value = word.partition("=")
        argument = context.flags[flag] if context is not None and flag in context.flags else None
        if argument is None or argument.kind not in NUMBERS:
            continue
        given = value if equals else next(iter(typed[place + 1 :]), "")
        try:
            argument.kind(given)
        except ValueError:
            wanted = f"expected {NUMBERS[argument.kind]}"
            return UsageError(f"{flag} {given!r}: {wanted}", remedy=f"{flag} 2, for example")
    return None


def _help(typed: list[str], commands: Mapping[str, ParserContext]) -> str:
    return next((f"`inv --help {word}` explains each option" for word in typed if word in commands), LIST)
