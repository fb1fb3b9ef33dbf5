"""据典 (Judian): questions on a folder of Chinese documents, answered with quotes.

>>> from qa import Assistant
>>> answer = Assistant.open("seeds").ask("南昌综保区2021年进出口总额是多少？")
"""

from qa.assistant import Assistant, QuestionError
from qa.retriever import EVERYWHERE, Scope, ScopeError
from qa.types import Answer, Citation

__all__ = ["EVERYWHERE", "Answer", "Assistant", "Citation", "QuestionError", "Scope", "ScopeError"]
