"""Synthetic message texts in the languages of the vendors' customers, and their SMS segment count."""

# ruff: noqa: RUF001 - the Cyrillic letters are intentional

from __future__ import annotations

import msgspec

NAMES = (
    "Анна", "Дмитрий", "Ольга", "Сергей", "Giulia", "Niccolò", "Chloé", "Marco",
    "Zoë", "O'Brien", "Łukasz", "José",
)  # fmt: skip

CAMPAIGNS = (
    "{name}, только до воскресенья скидка 30 % на всё! Промокод ЛЕТО30",
    "Здравствуйте, {name}! Ваша карта «Любимый клиент» ждёт вас в магазине на Тверской 🎁",
    "Ciao {name}, è arrivata la nuova collezione: scoprila con il -20% fino a domenica!",
    "{name}, perché aspettare? I saldi sono già iniziati 🛍️\nInfo: https://example.com/saldi",
    'Dear {name}, our "Black Week" starts at 10:00. Don\'t miss it!',
    "{name} — 2 tickets for the price of 1 🎭\r\nReply STOP to opt out",
    "Gentile {name}, la Sua visita di controllo è prevista per giovedì.\n\nA presto!",
    "👋 {name}! 你好, olá, שלום",
)

SERVICE = (
    "Ваш код подтверждения: {code}. Никому его не сообщайте.",
    "Il tuo codice di verifica è {code}. Scade tra 5 minuti.",
    "Your verification code is {code}",
    "Заказ №{code} передан в доставку 🚚",
    "L'ordine {code} è stato spedito. Traccialo qui: https://example.com/t/{code}",
    'Payment of €{code} to "Pizza & Co." was declined \\ try again',
    "Напоминаем: запись к врачу завтра в 9:30, кабинет {code}",
)

CHAT = (
    "Добрый день! Чем можем помочь?",
    "Buongiorno, un operatore Le risponderà entro pochi minuti.",
    "Thank you, your request {code} has been passed on 🙏",
)

REPLIES = (
    "Да", "Нет, спасибо", "STOP", "Sì, grazie!", "Quando apre il negozio?", "👍", "❤️❤️❤️", "ok",
    "Здравствуйте!\nГде мой заказ?", "Non ho ricevuto niente...", 'He said "call me back"', "?",
)  # fmt: skip

LAST_LATIN_1 = "\xff"


def flow_content() -> str:
    """Return edna's `content` of an outgoing WhatsApp Flow (a JSON text)."""
    flow = {"flowId": "7302211", "header": "Запись на приём", "cta": "Записаться", "mode": "PUBLISHED"}
    return msgspec.json.encode({"type": "FLOW", "flow": flow}).decode()


def flow_response_content(name: str) -> str:
    """Return edna's `content` of a recipient's response to a WhatsApp Flow (a JSON text)."""
    answers = {"name": name, "date": "2024-07-30", "comment": 'dopo le "18:00"\ngrazie', "agree": True}
    return msgspec.json.encode({"type": "FLOW_RESPONSE", "answers": answers}).decode()


def segment_count(text: str) -> int:
    """Count the SMS segments of a text.

    A single segment holds 160 characters, or 70 if the text is not Latin-1; joined segments hold fewer.
    """
    single, joined = (160, 153) if max(text, default="") <= LAST_LATIN_1 else (70, 67)
    return 1 if len(text) <= single else -(-len(text) // joined)
