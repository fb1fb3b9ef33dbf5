"""How a question and a passage become the copy model's input. Training and serving both use this, and only this."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from index.text import fold
from index.thesaurus import Thesaurus

PAD, UNK, CLS, SEP = 0, 1, 2, 3
# token_type_ids: which part a token is of, and how long a run of the other side it stands in (of the question for the passage and the title,
# of passage and title for the question): none, one character, two, three or more. The turn before a follow-up has marks of its own, so has
# what of the passage stands in that turn alone: else the old question's words would lead back to its answer.
PLAIN, CHARACTER, BIGRAM, TRIGRAM, QUESTION, TITLE = range(6)
QUESTION_TYPES, TITLE_TYPES = np.array([QUESTION, 6, 7, 8]), np.array([TITLE, 9, 10, 11])
TURN_MATCHES, TURN_TYPES = np.array([PLAIN, 12, 13, 14]), np.array([15, 16, 17, 18])
# What stands in the passage or the title for another word of the question (index.thesaurus), and such a word in the question.
OTHER, OTHER_TITLE, OTHER_QUESTION = 19, 20, 21
TYPES = 22
TURN = "\x1e"  # ends the turn before; no token of its own
QUESTION_LIMIT, TITLE_LIMIT = 72, 24
ANSWER_LIMIT = 16  # longer answers do not go with the next question
PAIRS = "pairs.txt"
_WEAK = np.array([PLAIN, CHARACTER, *TURN_MATCHES[1:], *QUESTION_TYPES[:2], *TITLE_TYPES[:2]])  # marks that say less than another word does
_COMMON = set("的是了在和有为?,。、“”:;()！!什么多少哪几谁个 “”《》")


def match_types(question: str, passage: str) -> list[int]:
    """For each passage character, the longest run of the question it stands in: none, one, two, three or more. Either may be the question.

    Both texts folded; single common characters do not count.
    """
    ones = set(question) - _COMMON
    twos = {question[i:i + 2] for i in range(len(question) - 1)}
    threes = {question[i:i + 3] for i in range(len(question) - 2)}
    types = [CHARACTER if c in ones else PLAIN for c in passage]
    for i in range(len(passage) - 1):
        if passage[i:i + 2] in twos:
            types[i], types[i + 1] = max(types[i], BIGRAM), max(types[i + 1], BIGRAM)
    for i in range(len(passage) - 2):
        if passage[i:i + 3] in threes:
            types[i] = types[i + 1] = types[i + 2] = TRIGRAM
    return types


def with_turn(question: str, before: str, answer: str = "") -> str:
    """``question`` as the model reads it after the turn ``before`` with its ``answer``: what was asked, what was answered, what is asked now.

    Held to ``QUESTION_LIMIT`` characters at the cost of the turn before (conversational reading as in CoQA, Reddy et al. 2019).
    """
    fits = 0 < len(answer) <= min(ANSWER_LIMIT, QUESTION_LIMIT - len(question) - 2)
    answer = answer + "。" if fits else ""
    room = QUESTION_LIMIT - len(question) - len(answer) - 1
    return f"{before[:room]}{answer}{TURN}{question}" if room > 0 else question


def fitted(question: str) -> str:
    """What the model reads of ``question``: all of it, or of a long one the end, where people ask, from a sentence's start where there is one."""
    if len(question) <= QUESTION_LIMIT:
        return question
    end = question[-QUESTION_LIMIT:]
    starts = [m.end() for m in re.finditer("[。！？!?；;\n]", end[:-8])]
    return end[starts[0] :] if starts else end


class Formatter:
    """Turns ``(question, title, passage)`` into fixed-size arrays with a tokenizer's character ids.

    ``pairs`` are the two-character words that the model knows vectors of, in the order of their rows from 1; ``thesaurus`` tells what
    else may stand for the question's words (by default the shipped one).
    """

    def __init__(self, vocabulary: dict[str, int], pairs: Sequence[str] = (), thesaurus: Thesaurus | None = None):
        self.vocabulary = vocabulary
        self.pairs = {pair: row for row, pair in enumerate(pairs, 1)}
        self.thesaurus = Thesaurus.load() if thesaurus is None else thesaurus

    @classmethod
    def load(cls, folder: Path, vocabulary: dict[str, int]) -> Formatter:
        """With the pairs that lie beside a model's weights, if any."""
        path = folder / PAIRS
        return cls(vocabulary, path.read_text("utf-8").split() if path.is_file() else ())

    def room(self, question: str, title: str, size: int) -> int:
        """How many passage characters fit beside ``question`` and ``title`` in ``size`` tokens."""
        return size - 4 - min(len(question), QUESTION_LIMIT) - min(len(title), TITLE_LIMIT)

    def length(self, question: str, title: str, passage: str) -> int:
        """How many tokens the three take together, uncut but for the question's and the title's limits."""
        return 4 + min(len(question), QUESTION_LIMIT) + min(len(title), TITLE_LIMIT) + len(passage)

    def encode(self, question: str, title: str, passage: str, size: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, int]:
        """``(ids, types, words, offset)``: passage character ``i`` stands at token ``offset + i``. What does not fit is cut."""
        before, _, asked = fold(fitted(question)).rpartition(TURN)
        question, title = before + asked, fold(title)[:TITLE_LIMIT]
        passage = fold(passage)[: self.room(question, title, size)]
        ids = np.zeros(size, np.int64)
        types = np.zeros(size, np.int64)
        look = self.vocabulary.get
        head = [CLS, *(look(c, UNK) for c in question), SEP, *(look(c, UNK) for c in title), SEP]
        offset = len(head)
        row = [*head, *(look(c, UNK) for c in passage), SEP]
        ids[: len(row)] = row
        types[: len(question) + 2] = QUESTION
        met = match_types(f"{title}\n{passage}", question)
        types[1 : len(question) + 1] = [*TURN_TYPES[met[: len(before)]], *QUESTION_TYPES[met[len(before) :]]]
        types[len(question) + 2 : offset] = TITLE
        types[len(question) + 2 : offset - 1] = TITLE_TYPES[match_types(question, title)]
        types[offset : offset + len(passage)] = self._told(asked, before, passage)
        self._mark_others(types, 1 + len(before), len(question) + 2, offset, asked, title, passage)
        words = np.zeros(size, np.int64)
        if self.pairs:
            pairs = self.pairs.get
            for at, text in ((1, question), (len(question) + 2, title), (offset, passage)):
                words[at : at + len(text) - 1] = [pairs(text[i : i + 2], 0) for i in range(len(text) - 1)]
        return ids, types, words, offset

    @staticmethod
    def _told(asked: str, before: str, passage: str) -> np.ndarray:
        """The marks of the passage's characters: of what is asked now; where that says no more than a character, of what stands in the turn before."""
        now = np.array(match_types(asked, passage), np.int64)
        if not before:
            return now
        then = np.array(match_types(before, passage), np.int64)
        return np.where((now < BIGRAM) & (then > now), TURN_MATCHES[then], now)

    def _mark_others(self, types: np.ndarray, at: int, heading: int, told: int, asked: str, title: str, passage: str) -> None:
        """Mark other words for those of ``asked`` that do not stand in the passage themselves; the three texts begin at ``at``, ``heading`` and ``told``."""
        for start, end, others in self.thesaurus.phrases(asked):
            if asked[start:end] in passage:
                continue
            found = [(at + start, at + end, OTHER_QUESTION)]
            for other in (o.word for o in others if o.sure):
                for text, offset, mark in ((title, heading, OTHER_TITLE), (passage, told, OTHER)):
                    if other in text:
                        found += [(offset + m.start(), offset + m.end(), mark) for m in re.finditer(re.escape(other), text)]
            for first, last, mark in found if len(found) > 1 else ():
                part = types[first:last]
                part[np.isin(part, _WEAK)] = mark

    def batch(self, rows: Sequence[tuple[str, str, str]], size: int | None = None) -> tuple[dict[str, Any], list[int]]:
        """The model's input tensors for ``(question, title, passage)`` rows, and each row's passage offset.

        Without ``size``, the longest row decides (rounded up to 32, at most 512).
        """
        if size is None:
            longest = max(self.length(*row) for row in rows)
            size = min(512, -(-longest // 32) * 32)
        encoded = [self.encode(*row, size) for row in rows]
        ids = torch.from_numpy(np.stack([e[0] for e in encoded]))
        types = torch.from_numpy(np.stack([e[1] for e in encoded]))
        place = torch.arange(size)[None]
        offsets = torch.tensor([e[3] for e in encoded])[:, None]
        copyable = (place >= offsets) & (ids != PAD)
        copyable &= place < (ids != PAD).sum(1, keepdim=True) - 1  # the closing [SEP] is no passage
        found = {"input_ids": ids, "attention_mask": (ids != PAD).long(), "token_type_ids": types, "copyable": copyable}
        if self.pairs:
            found["words"] = torch.from_numpy(np.stack([e[2] for e in encoded]))
        return found, offsets[:, 0].tolist()
