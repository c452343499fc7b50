"""Stories and poems out of small grammars: open-ended, with no one right answer."""

from collections.abc import Mapping
from random import Random

from penstock_workers.toys.sample import Language, Sample, Turn
from penstock_workers.toys.short_tasks import draw_language

POEM_SHARE = 0.4
_HEROES = (
    ("cat", "con mèo"),
    ("dragon", "con rồng"),
    ("robot", "người máy"),
    ("fox", "con cáo"),
    ("turtle", "con rùa"),
    ("sailor", "chàng thủy thủ"),
    ("farmer", "bác nông dân"),
    ("star", "ngôi sao"),
    ("river", "dòng sông"),
    ("girl", "cô bé"),
)
_ASK_STORY_EN = (
    "Write a short story about a {}.",
    "Tell me a story about a {}.",
    "Tell me a short story about a {}.",
)
_ASK_POEM_EN = ("Write a poem about a {}.", "Write a short poem about a {}.")
_ASK_STORY_VI = ("Kể một câu chuyện ngắn về {}.", "Kể cho tôi nghe câu chuyện về {}.")
_ASK_POEM_VI = ("Viết một bài thơ về {}.", "Viết bài thơ ngắn về {}.")

Grammar = tuple[tuple[str, ...], ...]
_STORY_EN: Grammar = (
    ("Once there was a {}", "Long ago there lived a {}", "In a quiet village lived a {}"),
    ("who loved the sea.", "who could not sleep.", "who wanted to fly.", "with a secret map."),
    (
        "One night the moon fell into the lake.",
        "One day a letter came without a name.",
        "Then the wind took away the last light.",
        "One morning the mountain began to sing.",
    ),
    ("So the {} went out to help", "The {} was brave and walked on", "The {} asked an old owl"),
    (
        "and came home with a smile.",
        "and found a new friend.",
        "and everyone danced until dawn.",
        "and never felt alone again.",
    ),
)
_POEM_EN: Grammar = (
    ("A {} beneath the morning sky,", "A {} in the silver rain,", "A {} that dreams of snow,"),
    ("the clouds are slow, the hills are high,", "it hums a song without a name,"),
    ("the night is long, the stars are near,", "the leaves turn gold, the days grow cold,"),
    ("and all the world is listening here.", "and time is kind to young and old."),
)
_STORY_VI: Grammar = (
    ("Ngày xưa có {}", "Ở một ngôi làng nhỏ có {}", "Bên bờ biển có {}"),
    ("rất thích hát.", "muốn bay lên trời.", "không bao giờ ngủ.", "có một bản đồ bí mật."),
    (
        "Một đêm nọ, mặt trăng rơi xuống hồ.",
        "Một hôm, có lá thư không tên gửi đến.",
        "Rồi gió thổi tắt ngọn đèn cuối cùng.",
    ),
    ("Thế là {} lên đường", "Vậy là {} đi hỏi cụ cú già"),
    ("và trở về với nụ cười.", "và tìm được một người bạn.", "và không còn cô đơn nữa."),
)
_POEM_VI: Grammar = (
    ("Có {} giữa trời xanh,", "Có {} trong cơn mưa,"),
    ("mây trôi chầm chậm quanh đồi,", "gió ru khúc hát ngày xưa,"),
    ("đêm dài sao sáng lung linh,", "lá vàng rơi xuống bên sông,"),
    ("cả thế gian lắng nghe mình.", "thời gian dịu ngọt trong lòng."),
)
_STORIES: Mapping[Language, tuple[tuple[str, ...], Grammar]] = {
    "en": (_ASK_STORY_EN, _STORY_EN),
    "vi": (_ASK_STORY_VI, _STORY_VI),
}
_POEMS: Mapping[Language, tuple[tuple[str, ...], Grammar]] = {
    "en": (_ASK_POEM_EN, _POEM_EN),
    "vi": (_ASK_POEM_VI, _POEM_VI),
}


def creative(rng: Random) -> Sample:
    """A story or a poem about a hero, told in one of many ways."""
    language = draw_language(rng)
    hero = rng.choice(_HEROES)[1 if language == "vi" else 0]
    poem = rng.random() < POEM_SHARE
    asks, grammar = (_POEMS if poem else _STORIES)[language]
    parts = [rng.choice(options).format(hero) for options in grammar]
    answer = ("\n" if poem else " ").join(parts)
    return Sample(
        "creative", language, (Turn(rng.choice(asks).format(hero), answer),), "creative:train"
    )
