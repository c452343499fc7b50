"""What a prompt's text says about itself, in English and Vietnamese. Pure functions."""

import math
import re
from collections.abc import Sequence
from typing import Final, NamedTuple

from penstock_shared.request import Request
from penstock_shared.words import RequestKind, TaskType

_FLAGS: Final = re.IGNORECASE | re.UNICODE

# The instruction stands at the start or at the end of a prompt, the material between them.
_EDGE_CHARS: Final = 300


class _Clue(NamedTuple):
    """A pattern, and the pieces of text of which at least one stands in all that it matches.

    To look for the pieces (in small letters) costs a twentieth of a search for the pattern.
    """

    pattern: re.Pattern[str]
    pieces: tuple[str, ...]

    def shows(self, text: str, folded: str) -> bool:
        """True when the pattern is found; ``folded`` is ``_folded(text)``."""
        for piece in self.pieces:  # a plain loop: any() takes three times as long
            if piece in folded:
                return self.pattern.search(text) is not None
        return False


def _clue(pattern: str, pieces: str) -> _Clue:
    return _Clue(re.compile(pattern, _FLAGS), tuple(pieces.split("|")))


_TASK_CLUES: Final[Sequence[tuple[TaskType, _Clue]]] = (
    (
        TaskType.TRANSLATION,
        _clue(
            r"\btranslat(e|ion)\b|\bdịch\b|\bphiên dịch\b|\bin vietnamese\b",
            "translat|dịch|in vietnamese",
        ),
    ),
    (
        TaskType.SUMMARIZATION,
        _clue(
            r"\bsummar(y|i[sz]e|ies)\b|\btl;?dr\b|\bin (one|a single) sentence\b"
            r"|\btóm (tắt|lược)\b|\btóm lại\b|\bý chính\b",
            "summar|tldr|tl;dr|sentence|tóm|ý chính",
        ),
    ),
    (
        TaskType.CODE,
        _clue(
            r"```|\bdef \w+\(|\b(python|javascript|java|sql|rust|golang|bash|regex|c\+\+)\b"
            r"|\b(write|implement|fix|debug|refactor)\b.{0,40}\b(function|code|script|class|query)\b"
            r"|\bviết (một )?(hàm|mã|chương trình|đoạn mã)\b",
            "```|def |python|java|sql|rust|golang|bash|regex|c++"
            "|function|code|script|class|query|viết",
        ),
    ),
    (
        TaskType.CREATIVE,
        _clue(
            r"\b(poem|story|haiku|limerick|lyrics|fairy ?tale|slogan)\b"
            r"|\b(imagine|invent|make up)\b"
            r"|\b(bài thơ|câu chuyện|truyện|kể chuyện|làm thơ|viết thơ|câu thơ)\b",
            "poem|story|haiku|limerick|lyrics|fairy|slogan|imagine|invent|make up"
            "|thơ|chuyện|truyện",
        ),
    ),
)

_REASONING: Final[Sequence[_Clue]] = (
    _clue(r"\bstep[- ]by[- ]step\b|\btừng bước\b", "step|từng"),
    _clue(
        r"\bhow (many|much)\b.*\d|\d.*\bhow (many|much)\b|\bbao nhiêu\b.*\d|\d.*\bbao nhiêu\b",
        "how many|how much|bao nhiêu",
    ),
    _clue(
        r"\d+\s*[-+*/×÷^]\s*\d+|\b\d+ (plus|minus|times|cộng|trừ|nhân|chia) \d+\b",
        "-|+|*|/|×|÷|^|plus|minus|times|cộng|trừ|nhân|chia",
    ),
    _clue(
        r"\b(prove|derive|deduce|infer)\b|\bchứng minh\b|\bsuy ra\b|\bsuy luận\b",
        "prove|derive|deduce|infer|chứng|suy",
    ),
    _clue(
        r"\b(calculate|compute|solve)\b|\btính\b|\bgiải (bài|phương trình)\b",
        "calculate|compute|solve|tính|giải",
    ),
    _clue(
        r"\b(explain why|reason about|trade-?offs?|compare)\b"
        r"|\bgiải thích (tại sao|vì sao)\b|\bso sánh\b",
        "explain|reason|trade|compare|giải|so sánh",
    ),
    _clue(r"\bif\b.{3,80}\bthen\b|\bnếu\b.{3,80}\bthì\b", "then|thì"),
    _clue(
        r"\b(probability|equation|theorem)\b|\bxác suất\b|\bphương trình\b|\bđịnh lý\b",
        "probability|equation|theorem|xác|phương|định",
    ),
)

_GREETING: Final = re.compile(
    r"^\W*(hi|hello|hey|good (morning|afternoon|evening|night)|xin chào|chào( buổi \w+)?)\b"
    r"( there| all| everyone| bạn| anh| chị| em)?[\s,!.]*",
    _FLAGS,
)
_SMALL_TALK: Final = re.compile(
    r"^\W*(thanks?|thank you|bye|goodbye|sorry|good (job|work|luck)|well done|nice to meet you"
    r"|see you|how are you|who are you|what can you do|what is your name|are you (human|real|a \w+)"
    r"|tell me about yourself|(i am|i'm) (so |very )?(tired|bored|sad|happy|sorry|lonely|back)"
    r"|cảm ơn|tạm biệt|xin lỗi|hẹn gặp lại|bạn (là ai|tên (là )?gì|khỏe không|có khỏe không)"
    r"|bạn (có thể )?làm (được )?gì|(hôm nay )?(tôi|mình) (rất )?(mệt|buồn|vui|chán))\b",
    _FLAGS,
)


class Signals(NamedTuple):
    """What the router looks at."""

    task_type: TaskType
    words: int
    prompt_tokens: int  # estimated
    reasoning: int  # how many kinds of reasoning signal the text shows
    kind: RequestKind = RequestKind.CHAT


def read_signals(request: Request, *, bytes_per_token: float, long_context_tokens: int) -> Signals:
    """Read the signals of a request; a task type that the caller names is taken as it is."""
    text = request.text
    tokens = math.ceil(len(text.encode()) / bytes_per_token)
    edges = _edges(request.question)
    folded = _folded(edges)
    reasoning = sum(1 for clue in _REASONING if clue.shows(edges, folded))
    is_long = tokens >= long_context_tokens
    task_type = request.task_type or _detect(edges, folded, reasoning, is_long=is_long)
    return Signals(task_type, len(text.split()), tokens, reasoning, request.kind)


def _edges(question: str) -> str:
    if len(question) <= 2 * _EDGE_CHARS:
        return question
    return f"{question[:_EDGE_CHARS]}\n{question[-_EDGE_CHARS:]}"


def _folded(text: str) -> str:
    """In small letters, as the patterns see it: they take ı and İ for i, and ſ for s."""
    if not text.isascii():
        text = text.replace("İ", "i").replace("ı", "i").replace("ſ", "s")
    return text.lower()


def _detect(edges: str, folded: str, reasoning: int, *, is_long: bool) -> TaskType:
    for task_type, clue in _TASK_CLUES:
        if clue.shows(edges, folded):
            return task_type
    if is_long:
        return TaskType.LONG_CONTEXT
    if reasoning:
        return TaskType.REASONING
    return TaskType.CHAT if _is_small_talk(edges) else TaskType.FACTUAL_QA


def _is_small_talk(text: str) -> bool:
    """A greeting alone is small talk; one before a question is only polite."""
    rest = _GREETING.sub("", text, count=1)
    is_greeting_alone = rest != text and len(rest.split()) <= 1
    return is_greeting_alone or _SMALL_TALK.search(rest) is not None
