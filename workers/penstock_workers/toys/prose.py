"""Sentences of invented reports: lead sentences that sum a text up, and filler around them."""

from collections.abc import Mapping
from random import Random

from penstock_workers.toys.sample import Language

_SUBJECTS_EN = (
    "The city library", "The night market", "The river ferry", "The art museum",
    "The train company", "The old bridge", "The public garden", "The music school",
    "The fishing village", "The solar plant", "The tea factory", "The football club",
    "The science center", "The children's hospital", "The coffee farm", "The local theater",
)  # fmt: skip
_EVENTS_EN = (
    "opened a second hall", "won a national prize", "will close for repairs",
    "hired forty new workers", "raised its prices", "doubled its income",
    "started a free course", "planted a thousand trees", "bought new machines",
    "cut its energy use by half", "moved to a larger site", "welcomed record crowds",
)  # fmt: skip
_PLACES_EN = (
    "in Hanoi", "in Hue", "in Da Nang", "in Lisbon", "in Oslo", "in Kyoto", "in Lima",
    "near the coast", "in the north", "in the old town",
)  # fmt: skip
_TIMES_EN = (
    "on Monday", "on Friday", "last week", "this spring", "next month", "after the storm",
    "in March", "before the holiday",
)  # fmt: skip
_SUBJECTS_VI = (
    "Thư viện thành phố", "Chợ đêm", "Bến phà", "Bảo tàng mỹ thuật", "Công ty đường sắt",
    "Cây cầu cũ", "Vườn hoa công cộng", "Trường âm nhạc", "Làng chài", "Nhà máy chè",
    "Câu lạc bộ bóng đá", "Bệnh viện nhi",
)  # fmt: skip
_EVENTS_VI = (
    "mở thêm một phòng mới", "giành giải thưởng quốc gia", "sẽ đóng cửa để sửa chữa",
    "tuyển thêm bốn mươi nhân viên", "tăng giá vé", "mở lớp học miễn phí",
    "trồng một nghìn cây xanh", "mua máy móc mới", "chuyển đến nơi rộng hơn",
)  # fmt: skip
_PLACES_VI = ("ở Hà Nội", "ở Huế", "ở Đà Nẵng", "ở miền bắc", "gần biển", "trong phố cổ")
_TIMES_VI = ("vào thứ hai", "vào thứ sáu", "tuần trước", "mùa xuân này", "tháng sau")

_WHO_EN = (
    "Visitors", "The staff", "Two engineers", "Neighbors", "Some students", "The manager",
    "A reporter", "Older people", "Most families", "The morning team", "A small group",
    "The accountant",
)  # fmt: skip
_DID_EN = (
    "checked the pumps", "asked about the noise", "waited for an answer", "wrote a short note",
    "liked the new plan", "talked about the weather", "cleaned the front rooms",
    "counted the boxes", "found no problem", "painted the doors", "looked at the figures",
    "took some pictures",
)  # fmt: skip
_HOW_EN = (
    "and went home.", "before lunch.", "with great care.", "for most of the day.",
    "as they do every year.", "without any trouble.", "and were pleased.", "twice.",
    "in the afternoon.", "while it was raining.",
)  # fmt: skip
_WHO_VI = (
    "Khách tham quan", "Nhân viên", "Hai kỹ sư", "Hàng xóm", "Một số sinh viên", "Người quản lý",
    "Một phóng viên", "Nhiều gia đình",
)  # fmt: skip
_DID_VI = (
    "kiểm tra máy bơm", "hỏi về tiếng ồn", "chờ câu trả lời", "viết một ghi chú ngắn",
    "thích kế hoạch mới", "nói chuyện về thời tiết", "đếm các thùng hàng", "chụp vài bức ảnh",
)  # fmt: skip
_HOW_VI = (
    "rồi về nhà.", "trước bữa trưa.", "rất cẩn thận.", "gần như cả ngày.", "như mọi năm.",
    "vào buổi chiều.",
)  # fmt: skip


_LEADS: Mapping[Language, tuple[tuple[str, ...], ...]] = {
    "en": (_SUBJECTS_EN, _EVENTS_EN, _PLACES_EN, _TIMES_EN),
    "vi": (_SUBJECTS_VI, _EVENTS_VI, _PLACES_VI, _TIMES_VI),
}
_FILLERS: Mapping[Language, tuple[tuple[str, ...], ...]] = {
    "en": (_WHO_EN, _DID_EN, _HOW_EN),
    "vi": (_WHO_VI, _DID_VI, _HOW_VI),
}


def lead(rng: Random, language: Language) -> str:
    """The sentence that says what a text is about."""
    subject, event, place, time = (rng.choice(part) for part in _LEADS[language])
    return f"{subject} {place} {event} {time}."


def filler(rng: Random, language: Language) -> str:
    """A sentence that matters to nobody."""
    return " ".join(rng.choice(part) for part in _FILLERS[language])
