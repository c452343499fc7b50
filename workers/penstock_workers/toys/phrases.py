"""Phrases with their translation, and small grammars of sentences that translate word by word."""

from penstock_workers.toys.sample import Language


def _pairs(text: str) -> tuple[tuple[str, str], ...]:
    rows = (line.split("|") for line in text.strip().splitlines())
    return tuple((english, vietnamese) for english, vietnamese in rows)


PHRASES = _pairs(
    """
Good morning|Chào buổi sáng
Good evening|Chào buổi tối
Good night|Chúc ngủ ngon
How are you?|Bạn có khỏe không?
Thank you very much|Cảm ơn bạn rất nhiều
You are welcome|Không có gì
See you tomorrow|Hẹn gặp bạn ngày mai
What is your name?|Bạn tên là gì?
My name is Lan|Tôi tên là Lan
Where are you from?|Bạn đến từ đâu?
I am from Vietnam|Tôi đến từ Việt Nam
How much is this?|Cái này giá bao nhiêu?
I do not understand|Tôi không hiểu
Can you help me?|Bạn có thể giúp tôi không?
Where is the station?|Nhà ga ở đâu?
Where is the hospital?|Bệnh viện ở đâu?
I am hungry|Tôi đói bụng
I am thirsty|Tôi khát nước
The weather is nice today|Hôm nay thời tiết đẹp
It is raining|Trời đang mưa
It is very hot|Trời rất nóng
It is very cold|Trời rất lạnh
I love you|Tôi yêu bạn
Happy birthday|Chúc mừng sinh nhật
Happy new year|Chúc mừng năm mới
Congratulations|Chúc mừng
What time is it?|Bây giờ là mấy giờ?
I am a student|Tôi là sinh viên
I am a teacher|Tôi là giáo viên
She is my sister|Cô ấy là chị tôi
He is my brother|Anh ấy là anh tôi
Please wait a moment|Vui lòng đợi một lát
Please speak slowly|Vui lòng nói chậm
I live in Hanoi|Tôi sống ở Hà Nội
We are friends|Chúng ta là bạn bè
The bus is late|Xe buýt đến muộn
I lost my passport|Tôi bị mất hộ chiếu
Call me later|Gọi cho tôi sau nhé
Open the door|Mở cửa ra
Close the window|Đóng cửa sổ lại
"""
)

NOUNS = _pairs(
    """
coffee|cà phê
tea|trà
rice|cơm
milk|sữa
water|nước
bread|bánh mì
fish|cá
fruit|trái cây
music|âm nhạc
books|sách
flowers|hoa
football|bóng đá
"""
)

THINGS = _pairs(
    """
cat|con mèo
dog|con chó
bird|con chim
horse|con ngựa
house|ngôi nhà
car|chiếc xe
river|dòng sông
tree|cái cây
table|cái bàn
book|quyển sách
"""
)

ADJECTIVES = _pairs(
    """
big|to
small|nhỏ
beautiful|đẹp
old|cũ
new|mới
red|màu đỏ
blue|màu xanh
white|màu trắng
"""
)

NOUN_FRAMES = _pairs(
    """
I like {}|Tôi thích {}
I do not like {}|Tôi không thích {}
She likes {}|Cô ấy thích {}
He likes {}|Anh ấy thích {}
Do you like {}?|Bạn có thích {} không?
I want to buy {}|Tôi muốn mua {}
We need {}|Chúng tôi cần {}
"""
)

DESCRIPTION_FRAMES = _pairs(
    """
The {} is {}|{} {}
The {} is very {}|{} rất {}
The {} is not {}|{} không {}
"""
)

ASK_VIETNAMESE: tuple[tuple[Language, str], ...] = (
    ("en", "Translate to Vietnamese: {}"),
    ("en", "Translate into Vietnamese: {}"),
    ("en", "Translate this sentence to Vietnamese: {}"),
    ("en", "Translate from English to Vietnamese: {}"),
    ("vi", "Dịch sang tiếng Việt: {}"),
    ("vi", "Dịch câu sau sang tiếng Việt: {}"),
)
ASK_ENGLISH: tuple[tuple[Language, str], ...] = (
    ("en", "Translate to English: {}"),
    ("en", "Translate into English: {}"),
    ("en", "Translate this sentence to English: {}"),
    ("vi", "Dịch sang tiếng Anh: {}"),
    ("vi", "Dịch câu sau sang tiếng Anh: {}"),
    ("vi", "Hãy dịch sang tiếng Anh: {}"),
)
