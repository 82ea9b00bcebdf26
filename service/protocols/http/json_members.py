"""
The members of one JSON object (RFC 8259), checked as they arrive, up to the text of the one that is wanted.

Theory of operation.  A document is a sequence of tokens.  Which tokens may come next is a state; `_STEPS` says for each state
which first byte leads to which other state, and a step that it does not know is not JSON.  Names, strings, numbers and literals
are collected, within bounds, and judged when they are whole, so that it does not matter how a document was cut.  Objects and
arrays are never built; the only memory of them is one state for each that is open.

The text of the wanted member is not read here: `walk` stops behind its opening quote, and goes on behind its closing one.
"""

from __future__ import annotations

import enum
import json
import re

from holdfast.service.protocols.http.wire import ProtocolError

# RFC 8259, section 9: "An implementation may set limits on the size of texts that it accepts", on the depth of nesting, on
# numbers and on strings.  Nobody needs that much beside an image.
MAX_DEPTH = 32  # objects and arrays in each other, the document itself included
MAX_NAME = 1024  # bytes, as they stand
MAX_STRING = 16 * 1024  # bytes, as they stand
MAX_NUMBER = 512  # characters; the longest double that is written out has 309 digits before its point
MAX_OTHERS = 64 * 1024  # bytes of all that is not the wanted text: they are walked through in Python

# RFC 8259, section 2: ws.  A byte order mark is none, and is ignored before everything else only (section 8.1: "MAY ignore the
# presence of a byte order mark rather than treating it as an error").
_WHITE_SPACE = re.compile(rb"[ \t\n\r]*+")
# What a string consists of up to its end, or up to a backslash whose character has not come yet (section 7).
_STRING = re.compile(rb'[^"\\]*+(?:\\.[^"\\]*+)*+', re.DOTALL)
_SCALAR = re.compile(rb"[-+.0-9A-Za-z]*+")
# RFC 8259, section 6: number = [ minus ] int [ frac ] [ exp ]; section 3: "The literal names MUST be lowercase."
_LITERAL_OR_NUMBER = re.compile(rb"true|false|null|-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")


class _State(enum.Enum):
    BEGIN = enum.auto()
    IN_MARK = enum.auto()  # of the byte order, which has three bytes
    MARK_ENDS = enum.auto()
    BEHIND_MARK = enum.auto()
    FIRST_NAME = enum.auto()  # or the end of an object without members
    NAME = enum.auto()
    IN_NAME = enum.auto()
    COLON = enum.auto()
    FIRST_VALUE = enum.auto()  # or the end of an array without values
    VALUE = enum.auto()
    IN_STRING = enum.auto()
    IN_SCALAR = enum.auto()
    IN_WANTED = enum.auto()
    NEXT_MEMBER = enum.auto()
    NEXT_VALUE = enum.auto()
    CLOSED = enum.auto()  # an object or array, just now
    DONE = enum.auto()


_VALUES = {
    '"': _State.IN_STRING,
    "{": _State.FIRST_NAME,
    "[": _State.FIRST_VALUE,
    **dict.fromkeys("-0123456789tfn", _State.IN_SCALAR),
}

_STEPS: dict[_State, dict[str, _State]] = {
    _State.BEGIN: {"{": _State.FIRST_NAME, "\xef": _State.IN_MARK},
    _State.IN_MARK: {"\xbb": _State.MARK_ENDS},
    _State.MARK_ENDS: {"\xbf": _State.BEHIND_MARK},
    _State.BEHIND_MARK: {"{": _State.FIRST_NAME},
    _State.FIRST_NAME: {'"': _State.IN_NAME, "}": _State.CLOSED},
    _State.NAME: {'"': _State.IN_NAME},
    _State.COLON: {":": _State.VALUE},
    _State.FIRST_VALUE: {**_VALUES, "]": _State.CLOSED},
    _State.VALUE: _VALUES,
    _State.NEXT_MEMBER: {",": _State.NAME, "}": _State.CLOSED},
    _State.NEXT_VALUE: {",": _State.VALUE, "]": _State.CLOSED},
    _State.DONE: {},
}

# What follows a value in what was opened.
_FOLLOWING = {_State.FIRST_NAME: _State.NEXT_MEMBER, _State.FIRST_VALUE: _State.NEXT_VALUE}


class JsonMembers:
    """
    Walks through one document; *wanted* is the name of a member of the outermost object.  After an error it is of no more use.
    """

    def __init__(self, wanted: str) -> None:
        self._wanted = wanted
        self._found = False
        self._is_wanted = False  # whether the value that comes next, or is being read, belongs to the wanted name
        self._state = _State.BEGIN
        self._open: list[_State] = []  # for each object and array, what follows a value in it
        self._token = bytearray()  # what has come of a name, string, number or literal
        self._escaped = False  # whether its last byte is a backslash that escapes the next one
        self._left = MAX_OTHERS

    @property
    def in_text(self) -> bool:
        """Whether what comes next is the text of the wanted member."""
        return self._state is _State.IN_WANTED

    def walk(self, block: bytes, start: int) -> int:
        """
        Go through *block* from *start* on, and return where it ends or the wanted text begins.

        :raises ProtocolError: what came is not JSON, is out of bounds, or has something else than a string where it is wanted.
        """
        at, stop = start, min(len(block), start + self._left)
        while at < stop and self._state is not _State.IN_WANTED:
            match self._state:
                case _State.IN_NAME | _State.IN_STRING:
                    at = self._read_string(block, at, stop)
                case _State.IN_SCALAR:
                    at = self._read_scalar(block, at, stop)
                case _:
                    at = self._step(block, at, stop)
        self._left -= at - start
        if at == stop < len(block) and self._state is not _State.IN_WANTED:
            raise ProtocolError(400, "document_too_large", f"beside the image there are more than {MAX_OTHERS} bytes")
        return at

    def text_ended(self) -> None:
        """
        Go on behind the wanted text.
        """
        self._value_ended()

    def end(self) -> None:
        """
        Take note that nothing more will come.

        :raises ProtocolError: the document is not whole, or has no wanted member.
        """
        if self._state is not _State.DONE:
            raise invalid_document("the content ends before the JSON object does")
        if not self._found:
            raise ProtocolError(400, f"{self._wanted}_required", f"{self._wanted} is missing")

    def _step(self, block: bytes, at: int, stop: int) -> int:
        """Take white space and the one byte that begins, separates or ends something."""
        if self._state not in (_State.IN_MARK, _State.MARK_ENDS):
            begin, at = at, _end(_WHITE_SPACE, block, at, stop)
            if self._state is _State.BEGIN and at > begin:
                self._state = _State.BEHIND_MARK  # there is none
        if at == stop:
            return at
        target = _STEPS[self._state].get(chr(block[at]))
        if target is None:
            raise invalid_document("the content is not a JSON object")
        # The state is still that of before; a value is about to begin where a value may.
        if self._is_wanted and self._state is _State.VALUE:
            target = self._want(target)
        self._state = target
        match target:
            case _State.FIRST_NAME | _State.FIRST_VALUE:
                if len(self._open) == MAX_DEPTH:
                    raise invalid_document(f"the JSON is nested deeper than {MAX_DEPTH}")
                self._open.append(_FOLLOWING[target])
            case _State.CLOSED:
                self._open.pop()
                self._value_ended()
            case _State.IN_SCALAR:
                return at  # its first byte belongs to it
        return at + 1

    def _want(self, target: _State) -> _State:
        """Return what to do with the value of the wanted member, which *target* begins."""
        match target:
            case _State.IN_STRING:
                return _State.IN_WANTED
            case _State.IN_SCALAR:
                return target  # it may be null, which has a code of its own
        raise self._not_string()

    def _value_ended(self) -> None:
        self._is_wanted = False
        self._state = self._open[-1] if self._open else _State.DONE

    def _read_string(self, block: bytes, at: int, stop: int) -> int:
        begin = at
        if self._escaped:
            at += 1
        at = _end(_STRING, block, at, stop)
        self._escaped = at < stop and block[at] == ord("\\")
        if self._escaped:
            at += 1
        self._token += block[begin:at]
        if len(self._token) > (MAX_NAME if self._state is _State.IN_NAME else MAX_STRING):
            raise invalid_document("a name or a string in the JSON is too long")
        # Where a backslash was the last byte of this block, whatever comes is escaped; a quote here is one that ends it.
        if at == stop:
            return at
        try:
            # RFC 8259, section 8.1: "MUST be encoded using UTF-8".  What section 7 asks of strings the library knows, and it
            # takes the lone surrogates that section 8.2 allows.
            text = json.loads(f'"{self._token.decode()}"')
        except ValueError as error:
            raise invalid_document("a name or a string in the content is not JSON in UTF-8") from error
        self._token.clear()
        if self._state is _State.IN_NAME:
            self._name_ended(text)
        else:
            self._value_ended()
        return at + 1

    def _name_ended(self, name: str) -> None:
        self._state = _State.COLON
        if name != self._wanted or len(self._open) > 1:
            return
        # RFC 8259, section 4: "When the names within an object are not unique, the behavior of software that receives such an
        # object is unpredictable."
        if self._found:
            raise ProtocolError(400, "repeated_value", f"{self._wanted} stands twice in the document")
        self._found = self._is_wanted = True

    def _read_scalar(self, block: bytes, at: int, stop: int) -> int:
        begin = at
        at = _end(_SCALAR, block, at, stop)
        self._token += block[begin:at]
        if len(self._token) > MAX_NUMBER:
            raise invalid_document("a number in the JSON is too long")
        if at == stop:
            return at
        if not _LITERAL_OR_NUMBER.fullmatch(self._token):
            raise invalid_document("there is a value in the content that is not JSON")
        if self._is_wanted and self._token == b"null":
            raise ProtocolError(400, f"{self._wanted}_null", f"{self._wanted} is null")
        if self._is_wanted:
            raise self._not_string()
        self._token.clear()
        self._value_ended()
        return at

    def _not_string(self) -> ProtocolError:
        return ProtocolError(400, f"{self._wanted}_not_string", f"{self._wanted} has to be a string of base64")


def _end(pattern: re.Pattern[bytes], block: bytes, at: int, stop: int) -> int:
    """Return where the longest match of *pattern* at *at* ends."""
    match = pattern.match(block, at, stop)
    return match.end() if match else at


def invalid_document(sentence: str) -> ProtocolError:
    """
    Return the refusal of content that is not the JSON it should be.
    """
    return ProtocolError(400, "invalid_document", sentence)
