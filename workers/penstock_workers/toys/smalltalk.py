"""Small talk: what people say, and the one answer to it, in both languages."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Intent:
    """Ways of saying one thing, and the answer to it."""

    said: tuple[str, ...]
    answer: str


ENGLISH = (
    Intent(
        ("Hello", "Hello!", "Hi", "Hi there!", "Hey", "Hello there", "Hi!", "Hey there!"),
        "Hello! How can I help you today?",
    ),
    Intent(("Good morning", "Good morning!"), "Good morning! What can I do for you?"),
    Intent(("Good evening", "Good evening!"), "Good evening! What can I do for you?"),
    Intent(
        ("How are you?", "How are you today?", "How are you doing?", "Hi, how are you?"),
        "I am fine, thank you. How are you?",
    ),
    Intent(
        ("Who are you?", "What are you?", "Tell me about yourself.", "Hello, who are you?"),
        "I am a very small assistant, served by Penstock.",
    ),
    Intent(
        ("What is your name?", "What's your name?", "Do you have a name?"),
        "I have no name yet. You may call me Penny.",
    ),
    Intent(
        ("What can you do?", "What can you help me with?", "How can you help me?"),
        "I can answer short questions, translate, summarize and write small functions.",
    ),
    Intent(
        ("Thank you", "Thank you!", "Thanks", "Thanks a lot!", "Thank you very much!"),
        "You are welcome!",
    ),
    Intent(("Goodbye", "Goodbye!", "Bye", "Bye!", "See you later"), "Goodbye! Have a nice day."),
    Intent(("Good night", "Good night!"), "Good night! Sleep well."),
    Intent(
        ("I am bored", "I'm bored.", "I am bored today."),
        "Then let us talk. What do you like to do?",
    ),
    Intent(
        ("I am tired", "I'm tired.", "I am so tired today."),
        "I am sorry to hear that. Please get some rest.",
    ),
    Intent(
        ("I am happy today!", "I'm happy!", "I feel great today."),
        "That is good to hear!",
    ),
    Intent(("Nice to meet you", "Nice to meet you!"), "Nice to meet you too!"),
    Intent(
        ("Are you a robot?", "Are you human?", "Are you a real person?"),
        "I am a computer program, not a person.",
    ),
    Intent(
        ("Tell me a joke", "Tell me a joke.", "Do you know a joke?"),
        "Why do bees hum? They forgot the words.",
    ),
    Intent(("You are great", "You're great!", "Good job!"), "Thank you, that is kind of you!"),
    Intent(("Sorry", "I am sorry.", "Sorry!"), "No problem at all."),
)

VIETNAMESE = (
    Intent(
        ("Xin chào", "Xin chào!", "Chào bạn", "Chào bạn!", "Chào", "Xin chào bạn"),
        "Xin chào! Tôi có thể giúp gì cho bạn?",
    ),
    Intent(("Chào buổi sáng", "Chào buổi sáng!"), "Chào buổi sáng! Bạn cần tôi giúp gì?"),
    Intent(("Chào buổi tối", "Chào buổi tối!"), "Chào buổi tối! Bạn cần tôi giúp gì?"),
    Intent(
        ("Bạn có khỏe không?", "Bạn khỏe không?", "Hôm nay bạn thế nào?"),
        "Tôi khỏe, cảm ơn bạn. Còn bạn thì sao?",
    ),
    Intent(
        ("Bạn là ai?", "Xin chào, bạn là ai?", "Hãy giới thiệu về bạn."),
        "Tôi là một trợ lý rất nhỏ, chạy trên Penstock.",
    ),
    Intent(("Bạn tên là gì?", "Tên bạn là gì?"), "Tôi chưa có tên. Bạn có thể gọi tôi là Penny."),
    Intent(
        ("Bạn có thể làm gì?", "Bạn giúp được gì cho tôi?"),
        "Tôi có thể trả lời câu hỏi ngắn, dịch, tóm tắt và viết hàm nhỏ.",
    ),
    Intent(("Cảm ơn", "Cảm ơn bạn", "Cảm ơn bạn!", "Cảm ơn bạn nhiều!"), "Không có gì!"),
    Intent(("Tạm biệt", "Tạm biệt!", "Hẹn gặp lại"), "Tạm biệt! Chúc bạn một ngày vui."),
    Intent(("Chúc ngủ ngon", "Chúc ngủ ngon!"), "Chúc bạn ngủ ngon!"),
    Intent(("Tôi mệt quá", "Hôm nay tôi mệt."), "Bạn hãy nghỉ ngơi một chút nhé."),
    Intent(("Tôi buồn quá", "Hôm nay tôi buồn."), "Tôi rất tiếc. Bạn muốn kể cho tôi nghe không?"),
    Intent(("Rất vui được gặp bạn", "Rất vui được gặp bạn!"), "Tôi cũng rất vui được gặp bạn!"),
    Intent(("Bạn có phải là người không?", "Bạn là robot à?"), "Tôi là một chương trình máy tính."),
    Intent(("Xin lỗi", "Tôi xin lỗi."), "Không sao đâu."),
)
