"""Closed tables of facts, in English and Vietnamese, with the wordings that ask for them."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Fact:
    """What is asked about and what is known of it, in both languages."""

    key_en: str
    key_vi: str
    value_en: str
    value_vi: str


@dataclass(frozen=True, slots=True)
class Relation:
    """Wordings and answers hold {k} (what is asked about) and {v} (what is known of it)."""

    ask_en: tuple[str, ...]
    ask_vi: tuple[str, ...]
    tell_en: str
    tell_vi: str
    facts: tuple[Fact, ...]


def _table(text: str) -> tuple[Fact, ...]:
    return tuple(Fact(*line.split("|")) for line in text.strip().splitlines())


CAPITALS = Relation(
    ask_en=(
        "What is the capital of {k}?",
        "What's the capital of {k}?",
        "Which city is the capital of {k}?",
        "What city is the capital of {k}?",
        "Tell me the capital of {k}.",
        "Name the capital city of {k}.",
        "Capital of {k}?",
        "Can you tell me the capital of {k}?",
        "What is the capital city of {k}?",
    ),
    ask_vi=(
        "Thủ đô của {k} là gì?",
        "Thủ đô của {k} là thành phố nào?",
        "{k} có thủ đô là thành phố nào?",
        "Thành phố nào là thủ đô của {k}?",
        "Cho tôi biết thủ đô của {k}.",
        "Thủ đô {k} tên là gì?",
    ),
    tell_en="The capital of {k} is {v}.",
    tell_vi="Thủ đô của {k} là {v}.",
    facts=_table(
        """
France|Pháp|Paris|Paris
Germany|Đức|Berlin|Berlin
Italy|Ý|Rome|Roma
Spain|Tây Ban Nha|Madrid|Madrid
Portugal|Bồ Đào Nha|Lisbon|Lisbon
Greece|Hy Lạp|Athens|Athens
Austria|Áo|Vienna|Vienna
Hungary|Hungary|Budapest|Budapest
Poland|Ba Lan|Warsaw|Warsaw
Sweden|Thụy Điển|Stockholm|Stockholm
Norway|Na Uy|Oslo|Oslo
Denmark|Đan Mạch|Copenhagen|Copenhagen
Finland|Phần Lan|Helsinki|Helsinki
Ireland|Ireland|Dublin|Dublin
Russia|Nga|Moscow|Moscow
Turkey|Thổ Nhĩ Kỳ|Ankara|Ankara
Egypt|Ai Cập|Cairo|Cairo
Kenya|Kenya|Nairobi|Nairobi
Canada|Canada|Ottawa|Ottawa
Mexico|Mexico|Mexico City|Mexico City
Brazil|Brazil|Brasilia|Brasilia
Argentina|Argentina|Buenos Aires|Buenos Aires
Chile|Chile|Santiago|Santiago
Peru|Peru|Lima|Lima
Cuba|Cuba|Havana|Havana
Japan|Nhật Bản|Tokyo|Tokyo
China|Trung Quốc|Beijing|Bắc Kinh
South Korea|Hàn Quốc|Seoul|Seoul
India|Ấn Độ|New Delhi|New Delhi
Thailand|Thái Lan|Bangkok|Bangkok
Vietnam|Việt Nam|Hanoi|Hà Nội
Laos|Lào|Vientiane|Viêng Chăn
Cambodia|Campuchia|Phnom Penh|Phnom Penh
Indonesia|Indonesia|Jakarta|Jakarta
Malaysia|Malaysia|Kuala Lumpur|Kuala Lumpur
Australia|Úc|Canberra|Canberra
"""
    ),
)

CURRENCIES = Relation(
    ask_en=(
        "What is the currency of {k}?",
        "What's the currency of {k}?",
        "Which currency is used in {k}?",
        "What currency does {k} use?",
        "Tell me the currency of {k}.",
    ),
    ask_vi=(
        "Đơn vị tiền tệ của {k} là gì?",
        "{k} dùng đơn vị tiền tệ nào?",
        "Tiền tệ của {k} là gì?",
    ),
    tell_en="The currency of {k} is the {v}.",
    tell_vi="Đơn vị tiền tệ của {k} là {v}.",
    facts=_table(
        """
Japan|Nhật Bản|yen|yên
China|Trung Quốc|yuan|nhân dân tệ
South Korea|Hàn Quốc|won|won
India|Ấn Độ|rupee|rupee
Thailand|Thái Lan|baht|baht
Vietnam|Việt Nam|dong|đồng
Russia|Nga|ruble|rúp
Turkey|Thổ Nhĩ Kỳ|lira|lira
Poland|Ba Lan|zloty|zloty
Sweden|Thụy Điển|krona|krona
Hungary|Hungary|forint|forint
Brazil|Brazil|real|real
Mexico|Mexico|peso|peso
France|Pháp|euro|euro
Germany|Đức|euro|euro
Peru|Peru|sol|sol
"""
    ),
)

SYMBOLS = Relation(
    ask_en=(
        "What is the chemical symbol for {k}?",
        "What's the chemical symbol for {k}?",
        "What is the chemical symbol of {k}?",
        "Which chemical symbol does {k} have?",
        "Tell me the chemical symbol for {k}.",
    ),
    ask_vi=(
        "Ký hiệu hóa học của {k} là gì?",
        "Cho tôi biết ký hiệu hóa học của {k}.",
        "{k} có ký hiệu hóa học là gì?",
    ),
    tell_en="The chemical symbol for {k} is {v}.",
    tell_vi="Ký hiệu hóa học của {k} là {v}.",
    facts=_table(
        """
gold|vàng|Au|Au
silver|bạc|Ag|Ag
iron|sắt|Fe|Fe
copper|đồng|Cu|Cu
lead|chì|Pb|Pb
zinc|kẽm|Zn|Zn
tin|thiếc|Sn|Sn
sodium|natri|Na|Na
potassium|kali|K|K
calcium|canxi|Ca|Ca
oxygen|oxy|O|O
hydrogen|hydro|H|H
carbon|cacbon|C|C
nitrogen|nitơ|N|N
helium|heli|He|He
mercury|thủy ngân|Hg|Hg
"""
    ),
)

AUTHORS = Relation(
    ask_en=("Who wrote {k}?", "Who is the author of {k}?", "{k} was written by whom?"),
    ask_vi=("Ai là tác giả của {k}?", "Ai đã viết {k}?", "Tác giả của {k} là ai?"),
    tell_en="{k} was written by {v}.",
    tell_vi="Tác giả của {k} là {v}.",
    facts=_table(
        """
Hamlet|Hamlet|William Shakespeare|William Shakespeare
War and Peace|Chiến tranh và hòa bình|Leo Tolstoy|Leo Tolstoy
Don Quixote|Don Quixote|Miguel de Cervantes|Miguel de Cervantes
Oliver Twist|Oliver Twist|Charles Dickens|Charles Dickens
The Tale of Kieu|Truyện Kiều|Nguyen Du|Nguyễn Du
Les Miserables|Những người khốn khổ|Victor Hugo|Victor Hugo
The Odyssey|Odyssey|Homer|Homer
Emma|Emma|Jane Austen|Jane Austen
"""
    ),
)

CONTINENTS = Relation(
    ask_en=(
        "Which continent is {k} in?",
        "What continent is {k} in?",
        "On which continent is {k}?",
    ),
    ask_vi=("{k} nằm ở châu lục nào?", "{k} thuộc châu lục nào?"),
    tell_en="{k} is in {v}.",
    tell_vi="{k} nằm ở {v}.",
    facts=_table(
        """
France|Pháp|Europe|châu Âu
Italy|Ý|Europe|châu Âu
Greece|Hy Lạp|Europe|châu Âu
Norway|Na Uy|Europe|châu Âu
Egypt|Ai Cập|Africa|châu Phi
Kenya|Kenya|Africa|châu Phi
Canada|Canada|North America|Bắc Mỹ
Mexico|Mexico|North America|Bắc Mỹ
Brazil|Brazil|South America|Nam Mỹ
Peru|Peru|South America|Nam Mỹ
Japan|Nhật Bản|Asia|châu Á
Vietnam|Việt Nam|Asia|châu Á
India|Ấn Độ|Asia|châu Á
"""
    ),
)

RECORDS = Relation(
    ask_en=("What is the {k}?", "What's the {k}?", "Tell me the {k}.", "Name the {k}."),
    ask_vi=("{k} là gì?", "Cho tôi biết {k} là gì.", "Đâu là {k}?"),
    tell_en="The {k} is {v}.",
    tell_vi="{k} là {v}.",
    facts=_table(
        """
largest planet|hành tinh lớn nhất|Jupiter|sao Mộc
smallest planet|hành tinh nhỏ nhất|Mercury|sao Thủy
highest mountain|ngọn núi cao nhất|Mount Everest|núi Everest
largest ocean|đại dương lớn nhất|the Pacific Ocean|Thái Bình Dương
longest river in Africa|con sông dài nhất châu Phi|the Nile|sông Nile
fastest land animal|loài vật chạy nhanh nhất|the cheetah|báo săn
largest animal|loài vật lớn nhất|the blue whale|cá voi xanh
tallest animal|loài vật cao nhất|the giraffe|hươu cao cổ
"""
    ),
)

RELATIONS = (CAPITALS, CURRENCIES, SYMBOLS, AUTHORS, CONTINENTS, RECORDS)
