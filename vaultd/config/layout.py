"""Where each value of a YAML text stands, and the text with one of them replaced, added, moved or taken out.

Spans come from the marks of the parser that the strict reader uses too, so the two cannot disagree on what a text says.
A text written in a way this does not know is `Odd`, and nobody's text is guessed at. The text must have passed
`config.yaml.load` before (THR-35).
"""

from __future__ import annotations

import io
import re
from itertools import pairwise
from typing import Any, Final

import yaml as pyyaml

from vaultd.config import yaml
from vaultd.config.yaml import Plain

Path = tuple[str | int, ...]
Node = Any

_LOADER: Final = getattr(pyyaml, "CSafeLoader", pyyaml.SafeLoader)
#: Text that every YAML reads as text without quotes, and that is not one of the words some read as something else.
_PLAINLY: Final = re.compile(r"[A-Za-z/][A-Za-z0-9_./@+-]*")
_ADDRESS: Final = re.compile(r"[a-z][a-z0-9]*://[A-Za-z0-9_./@+:-]*[A-Za-z0-9/]")
_WORDS: Final = frozenset({"y", "yes", "n", "no", "on", "off", "true", "false", "null"})
_COMMENT: Final = re.compile(r"(?:(?<=\s)|^|(?<=\ufeff))(#[^\r\n]*)", re.MULTILINE)
#: No line is folded: a key is searched for in one piece.
_WIDTH: Final = 1 << 30


def scalar(value: Any, quotes: str = "") -> str:
    """One scalar as it may stand anywhere, in these quotes where it needs any."""
    return _dumped([value], quotes, 2, 2, flow=True)[0][1:-1]


class Odd(Exception):
    """The text is written in a way that this edit does not know."""


class Layout:
    """One text and where its values stand."""

    def __init__(self, text: str, source: str) -> None:
        yaml.load(text, source)
        # libyaml counts from after a byte order mark.
        self._bom = "\ufeff" if text.startswith("\ufeff") else ""
        self._text = text.removeprefix("\ufeff")
        self._eol = "\r\n" if "\r\n" in text else "\n"
        self.root: Node = pyyaml.compose(self._text, Loader=_LOADER)
        self._step, self._offset = 2, 2
        self._learn(self.root)

    # --- what may be asked --------------------------------------------------------------------------------------------

    def scalars(self) -> list[tuple[Path, int, int, str]]:
        """Every scalar that is written out: its path, its span, its quotes."""
        found: list[tuple[Path, int, int, str]] = []
        lead = len(self._bom)

        def walk(node: Node, path: Path) -> None:
            if isinstance(node, pyyaml.MappingNode):
                for key, value in node.value:
                    walk(value, (*path, str(key.value)))
            elif isinstance(node, pyyaml.SequenceNode):
                for index, item in enumerate(node.value):
                    walk(item, (*path, index))
            elif path and (node.style or node.value not in yaml.NULL):
                found.append((path, lead + node.start_mark.index, lead + self._end(node), node.style or ""))

        walk(self.root, ())
        return found

    def comments(self) -> list[tuple[int, int]]:
        """The span of every comment, its `#` included."""
        spans = [(start, end) for _, start, end, _ in self.scalars()]
        waiting = [self.root]
        while waiting:
            node = waiting.pop()
            if isinstance(node, pyyaml.MappingNode):
                for key, value in node.value:
                    spans.append((len(self._bom) + key.start_mark.index, len(self._bom) + key.end_mark.index))
                    waiting.append(value)
            elif isinstance(node, pyyaml.SequenceNode):
                waiting += node.value
        found, text, begin = [], self._bom + self._text, 0
        for start, end in [*sorted(spans), (len(text), len(text))]:
            found += [match.span(1) for match in _COMMENT.finditer(text, begin, start)]
            begin = end
        return found

    # --- the edits ----------------------------------------------------------------------------------------------------

    def replaced(self, path: Path, value: Any) -> str:
        """With `value` where another stands."""
        parents, node = self._found(path)
        if any(_is_flow(parent) for parent in parents):
            return self._spliced((node.start_mark.index, self._end(node), self._gap(node) + _flow(value, node)))
        if not path:
            raise Odd
        parent = parents[-1]
        if isinstance(path[-1], int):
            after, column = self._dash(parent, path[-1]) + 1, parent.start_mark.column
            lines = self._item(value, _quotes(node))
        else:
            key = _pair(parent, path[-1])[0]
            after, column = self._colon(key), key.start_mark.column
            lines = self._pair_lines("k", value, _quotes(node))
        head, tail = lines[0][1 + isinstance(path[-1], str) :].strip(), [" " * column + line for line in lines[1:]]
        return self._new_value(node, after, head, tail)

    def renamed(self, path: Path, name: str) -> str:
        """With the key at `path` spelled `name`."""
        key = _pair(self._found(path)[0][-1], str(path[-1]))[0]
        return self._spliced((key.start_mark.index, key.end_mark.index, name))

    def added(self, path: Path, key: str, value: Any) -> str:
        """With one more member in the mapping at `path`, after its last."""
        if not path and not (isinstance(self.root, pyyaml.MappingNode) and self.root.value):
            return self._first(key, value)
        parents, node = self._found(path)
        if _is_null(node) or not isinstance(node, pyyaml.MappingNode) or not node.value:
            return self.replaced(path, {key: value})
        if any(_is_flow(one) for one in (*parents, node)):
            end = self._end(node.value[-1][1])
            return self._spliced((end, end, f", {_flow({key: value})[1:-1]}"))
        column = node.start_mark.column
        return self._below(self._end(node), [" " * column + line for line in self._pair_lines(key, value)])

    def inserted(self, path: Path, index: int, *values: Any) -> str:
        """With more entries in the list at `path`, before the one that is at `index` now, or after the last."""
        parents, node = self._found(path)
        if not isinstance(node, pyyaml.SequenceNode) or not node.value:
            return self.replaced(path, [*values])
        if any(_is_flow(one) for one in (*parents, node)):
            new = ", ".join(_flow(value) for value in values)
            if index == 0:
                start = node.value[0].start_mark.index
                return self._spliced((start, start, f"{new}, "))
            end = self._end(node.value[index - 1])
            return self._spliced((end, end, f", {new}"))
        lines = [" " * node.start_mark.column + line for value in values for line in self._item(value)]
        if index:
            return self._below(self._end(node.value[index - 1]), lines)
        start = self._own_line(self._dash(node, 0))
        return self._spliced((start, start, "".join(line + self._eol for line in lines)))

    def without(self, path: Path) -> str:
        """Without what stands at `path`; a section that is left empty, and without comments, goes with it."""
        parents, node = self._found(path)
        parent = parents[-1]
        alone = len(parent.value) == 1 and len(path) > 1
        if alone and isinstance(parent, pyyaml.MappingNode) and isinstance(path[-2], str):
            key = _pair(parents[-2], path[-2])[0]
            if "#" not in self._text[key.start_mark.index : self._end(parent)]:
                return self.without(path[:-1])
        if any(_is_flow(one) for one in parents):
            return self._out_of_flow(parent, path[-1], node)
        if alone and isinstance(parent, pyyaml.SequenceNode):
            return self.replaced(path[:-1], [])
        if alone and isinstance(path[-2], int):
            return self.replaced(path[:-1], {})
        start = self._start(parent, path[-1])
        line, end = self._bol(start), self._end(node)
        if self._text[line:start].strip():
            return self._out_of_first_line(parent, start, end)
        following = self._next(end)
        if following == len(self._text) and not self._text.endswith("\n"):
            line = max(0, line - len(self._eol))
        return self._spliced((line, following, ""))

    def ordered(self, path: Path, order: list[int]) -> str:
        """With the entries of the list at `path` in another order, each with the comments above it."""
        parents, node = self._found(path)
        if any(_is_flow(one) for one in (*parents, node)):
            texts = [self._text[item.start_mark.index : self._end(item)] for item in node.value]
            spans = [(item.start_mark.index, self._end(item)) for item in node.value]
            return self._spliced(*((*span, texts[i]) for span, i in zip(spans, order, strict=True)))
        begin = self._own_line(self._dash(node, 0))
        starts = [begin, *(self._next(self._end(item)) for item in node.value)]
        if starts[-1] == len(self._text) and not self._text.endswith("\n"):
            raise Odd
        pieces = [self._text[start:end] for start, end in pairwise(starts)]
        return self._spliced((begin, starts[-1], "".join(pieces[i] for i in order)))

    # --- how ----------------------------------------------------------------------------------------------------------

    def _new_value(self, node: Node, after: int, head: str, tail: list[str]) -> str:
        """`head` follows the colon or the dash, `tail` are lines of their own."""
        start, end = node.start_mark.index, self._end(node)
        if isinstance(node, pyyaml.CollectionNode) and not node.flow_style:
            if self._text[after:start].strip() == "" and "\n" not in self._text[after:start]:  # begins beside its dash
                return self._spliced((start, end, self._eol.join([head, *tail])))
            splices = [(after, after, f" {head}" if head else "")]
            lines = "".join(line + self._eol for line in tail)
            return self._spliced(*splices, (self._bol(start), self._next(end), lines))
        if _is_null(node):
            start = end = after
        elif not head and self._text[start - 1] == " ":
            start -= 1
        written = f" {head}" if head and start == after else head
        line = self._line_end(end)
        return self._spliced((start, end, written), (line, line, "".join(self._eol + one for one in tail)))

    def _first(self, key: str, value: Any) -> str:
        lines = self._eol.join(self._pair_lines(key, value))
        if self.root is not None and not _is_null(self.root):
            return self._spliced((self.root.start_mark.index, self._end(self.root), lines))
        lead = self._eol if self._text and not self._text.endswith("\n") else ""
        return f"{self._bom}{self._text}{lead}{lines}{self._eol}"

    def _below(self, position: int, lines: list[str]) -> str:
        at = self._line_end(position)
        return self._spliced((at, at, "".join(self._eol + line for line in lines)))

    def _out_of_flow(self, parent: Node, step: str | int, node: Node) -> str:
        start = self._start(parent, step)
        end = self._end(node)
        if (comma := self._comma(end)) >= 0:
            rest = re.compile(r"[ \t]*").match(self._text, comma + 1)
            assert rest is not None
            return self._spliced((start, rest.end(), ""))
        members = [pair[1] for pair in parent.value] if isinstance(parent, pyyaml.MappingNode) else parent.value
        if len(members) == 1:
            return self._spliced((start, end, ""))
        comma = self._comma(self._end(members[-2]))
        between = self._text[comma + 1 : start]
        if comma < 0:
            raise Odd
        keeps = between if between.strip() else ""
        return self._spliced((comma, end, keeps))

    def _comma(self, position: int) -> int:
        """The comma that follows, white space and comments aside; -1 where none does."""
        found = re.compile(r"(?:\s|(?<=\s)#[^\r\n]*)*(,)?").match(self._text, position)
        return found.start(1) if found is not None and found.group(1) else -1

    def _out_of_first_line(self, parent: Node, start: int, end: int) -> str:
        """The first member of a mapping that begins beside its dash."""
        if not isinstance(parent, pyyaml.MappingNode) or len(parent.value) < 2:
            raise Odd
        following = parent.value[1][0].start_mark.index
        if self._text[self._line_end(end) : following].strip():  # comments between the two
            while self._text[start - 1] == " ":
                start -= 1
            return self._spliced((start, self._line_end(end), ""))
        return self._spliced((start, following, ""))

    def _found(self, path: Path) -> tuple[list[Node], Node]:
        parents, node = [], self.root
        for step in path:
            parents.append(node)
            node = node.value[step] if isinstance(step, int) else _pair(node, step)[1]
        return parents, node

    def _start(self, parent: Node, step: str | int) -> int:
        """Where the member begins: its key, its dash, or in a flow list itself."""
        if isinstance(step, str):
            return int(_pair(parent, step)[0].start_mark.index)
        return int(parent.value[step].start_mark.index) if _is_flow(parent) else self._dash(parent, step)

    def _dash(self, sequence: Node, index: int) -> int:
        if index == 0:
            return int(sequence.start_mark.index)
        column = sequence.start_mark.column
        begin = self._next(self._end(sequence.value[index - 1]))
        dashes = re.compile(rf"^[ ]{{{column}}}(-)(?=\s|$)", re.MULTILINE)
        region = self._text[begin : sequence.value[index].start_mark.index + 1]
        found = list(dashes.finditer(region))
        if not found:
            raise Odd
        return begin + found[-1].start(1)

    def _own_line(self, position: int) -> int:
        """The start of the line that begins, white space aside, at `position`."""
        line = self._bol(position)
        if self._text[line:position].strip():
            raise Odd
        return line

    def _colon(self, key: Node) -> int:
        found = re.compile(r"[ \t]*:").match(self._text, key.end_mark.index)
        if found is None:
            raise Odd
        return found.end()

    def _end(self, node: Node) -> int:
        """Where the content ends: what follows on its line, or below it, is not part of it."""
        if isinstance(node, pyyaml.CollectionNode) and not node.flow_style:
            last = node.value[-1]
            return self._end(last[1] if isinstance(last, tuple) else last)
        start, end = int(node.start_mark.index), int(node.end_mark.index)
        if getattr(node, "style", None) in {"|", ">"}:
            return start + len(self._text[start:end].rstrip())
        return end

    def _gap(self, node: Node) -> str:
        return " " if _is_null(node) else ""

    def _bol(self, position: int) -> int:
        return self._text.rfind("\n", 0, position) + 1

    def _line_end(self, position: int) -> int:
        found = self._text.find("\n", position)
        end = len(self._text) if found < 0 else found
        return end - 1 if end > position and self._text[end - 1] == "\r" else end

    def _next(self, position: int) -> int:
        found = self._text.find("\n", position)
        return len(self._text) if found < 0 else found + 1

    def _spliced(self, *splices: tuple[int, int, str]) -> str:
        text = self._text
        for start, end, new in sorted(splices, reverse=True):
            text = text[:start] + new + text[end:]
        return self._bom + text

    # --- what is new --------------------------------------------------------------------------------------------------

    def _learn(self, root: Node) -> None:
        """How this text indents, from the first place that shows it."""
        step = offset = None
        waiting = [root]
        while waiting and (step is None or offset is None):
            node = waiting.pop(0)
            if isinstance(node, pyyaml.SequenceNode):
                waiting += node.value
            if not isinstance(node, pyyaml.MappingNode):
                continue
            for key, value in node.value:
                waiting.append(value)
                inward = value.start_mark.column - key.start_mark.column
                if isinstance(value, pyyaml.MappingNode) and not value.flow_style and step is None:
                    step = inward
                if isinstance(value, pyyaml.SequenceNode) and not value.flow_style and offset is None:
                    offset = inward
        self._step = step or self._step
        self._offset = self._offset if offset is None else offset

    def _pair_lines(self, key: str, value: Any, quotes: str = "") -> list[str]:
        return _dumped({key: value}, quotes, self._step, self._offset)

    def _item(self, value: Any, quotes: str = "") -> list[str]:
        first, *rest = [line[self._offset :] for line in _dumped([value], quotes, self._step, self._offset)]
        # The emitter sets a list within a list off by as much as any other; beside its dash one space is enough.
        wide = len(first) - len(first[1:].lstrip()) - 2
        return [f"- {first[1:].lstrip()}", *(line[wide:] for line in rest)]


def _dumped(value: Any, quotes: str, step: int, offset: int, *, flow: bool = False) -> list[str]:
    from ruamel.yaml import YAML  # noqa: PLC0415 - start-up time

    out = io.StringIO()
    emitter = YAML()
    emitter.indent(mapping=step, sequence=offset + 2, offset=offset)
    emitter.width = _WIDTH
    emitter.default_flow_style = flow
    emitter.brace_single_entry_mapping_in_flow_sequence = True
    emitter.dump(_styled(value, quotes, flow), out)
    return out.getvalue().rstrip("\n").split("\n")


def _flow(value: Any, node: Node = None) -> str:
    """As it stands within braces or brackets."""
    return scalar(value, _quotes(node))


def _styled(value: Any, quotes: str, flow: bool) -> Any:
    """Text in quotes wherever some reader could take it for anything else; in the quotes that stood there before."""
    from ruamel.yaml.scalarstring import DoubleQuotedScalarString, SingleQuotedScalarString  # noqa: PLC0415 - start-up time

    if isinstance(value, dict):
        return {_styled(key, "", flow): _styled(member, quotes, flow) for key, member in value.items()}
    if isinstance(value, list | tuple):
        return [_styled(member, quotes, flow) for member in value]
    if not isinstance(value, str):
        return value
    if isinstance(value, Plain) and not isinstance(given := yaml.natural(value), str) and str(given) == str(value):
        return given
    safe = _PLAINLY.fullmatch(value) and value.lower() not in _WORDS
    if not quotes and (safe or (not flow and _ADDRESS.fullmatch(value))):
        return str(value)
    if quotes == "'" and value.isprintable():
        return SingleQuotedScalarString(value)
    return DoubleQuotedScalarString(value)


def _quotes(node: Node) -> str:
    style = getattr(node, "style", None)
    return style if style in {"'", '"'} else ""


def _is_flow(node: Node) -> bool:
    return isinstance(node, pyyaml.CollectionNode) and bool(node.flow_style)


def _is_null(node: Node) -> bool:
    """A value left out: nothing is written where it stands."""
    return isinstance(node, pyyaml.ScalarNode) and node.start_mark.index == node.end_mark.index and not node.style


def _pair(mapping: Node, key: str) -> tuple[Node, Node]:
    for pair in mapping.value:
        if pair[0].value == key:
            return pair[0], pair[1]
    raise Odd
