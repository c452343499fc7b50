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

_TASK_PATTERNS: Final[Sequence[tuple[TaskType, re.Pattern[str]]]] = tuple(
    (task, re.compile(pattern, _FLAGS))
    for task, pattern in (
        (TaskType.TRANSLATION, r"\btranslat(e|ion)\b|\bdịch\b|\bphiên dịch\b|\bin vietnamese\b"),
        (
            TaskType.SUMMARIZATION,
            r"\bsummar(y|i[sz]e|ies)\b|\btl;?dr\b|\bin (one|a single) sentence\b"
            r"|\btóm (tắt|lược)\b|\btóm lại\b|\bý chính\b",
        ),
        (
            TaskType.CODE,
            r"```|\bdef \w+\(|\b(python|javascript|java|sql|rust|golang|bash|regex|c\+\+)\b"
            r"|\b(write|implement|fix|debug|refactor)\b.{0,40}\b(function|code|script|class|query)\b"
            r"|\bviết (một )?(hàm|mã|chương trình|đoạn mã)\b",
        ),
        (
            TaskType.CREATIVE,
            r"\b(poem|story|haiku|limerick|lyrics|fairy ?tale|slogan)\b"
            r"|\b(imagine|invent|make up)\b"
            r"|\b(bài thơ|câu chuyện|truyện|kể chuyện|làm thơ|viết thơ|câu thơ)\b",
        ),
    )
)

_REASONING: Final[Sequence[re.Pattern[str]]] = tuple(
    re.compile(pattern, _FLAGS)
    for pattern in (
        r"\bstep[- ]by[- ]step\b|\btừng bước\b",
        r"\bhow (many|much)\b.*\d|\d.*\bhow (many|much)\b|\bbao nhiêu\b.*\d|\d.*\bbao nhiêu\b",
        r"\d+\s*[-+*/×÷^]\s*\d+|\b\d+ (plus|minus|times|cộng|trừ|nhân|chia) \d+\b",
        r"\b(prove|derive|deduce|infer)\b|\bchứng minh\b|\bsuy ra\b|\bsuy luận\b",
        r"\b(calculate|compute|solve)\b|\btính\b|\bgiải (bài|phương trình)\b",
        r"\b(explain why|reason about|trade-?offs?|compare)\b"
        r"|\bgiải thích (tại sao|vì sao)\b|\bso sánh\b",
        r"\bif\b.{3,80}\bthen\b|\bnếu\b.{3,80}\bthì\b",
        r"\b(probability|equation|theorem)\b|\bxác suất\b|\bphương trình\b|\bđịnh lý\b",
    )
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
    reasoning = sum(1 for pattern in _REASONING if pattern.search(edges))
    task_type = request.task_type or _detect(edges, reasoning, tokens >= long_context_tokens)
    return Signals(task_type, len(text.split()), tokens, reasoning, request.kind)


def _edges(question: str) -> str:
    if len(question) <= 2 * _EDGE_CHARS:
        return question
    return f"{question[:_EDGE_CHARS]}\n{question[-_EDGE_CHARS:]}"


def _detect(edges: str, reasoning: int, is_long: bool) -> TaskType:
    for task_type, pattern in _TASK_PATTERNS:
        if pattern.search(edges):
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
