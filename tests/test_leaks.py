"""What is protected is found in every set and left out of it, however it is written; what merely looks alike is not."""

import json
import shutil
from pathlib import Path
from random import Random

import pytest
import test_train
from test_train import write

from index.text import fold
from train import data as sets
from train import leaks
from train.protected import RUN, Guard, Passage, guard, normalised

data = test_train.data  # the miniature of all training files, made anew for this module
GOLD_QUESTION = "赣南脐橙今年一共卖到了多少个国家去？"
EVIDENCE = "据海关统计，赣南脐橙今年出口到二十七个国家。"
CONTEXT = "青云谱机场始建于一九三四年，由南昌市民捐资建成，一九九九年停止民航业务，此后改作试飞之用，跑道长两千八百米。"
SEED = "全县上下一心，把老旧纺织厂改造成了带剧场和书店的文化公园，周末游客络绎不绝，摊主们忙得不亦乐乎。"
PHRASE = "坚持以习近平新时代中国特色社会主义思想为指导，全面贯彻党的十九大和十九届二中、三中、四中、五中全会精神，"


@pytest.fixture
def folders(data, tmp_path):
    """A copy of the miniature data with a benchmark, a gold and a seed folder of our own."""
    copy, gold, seeds = tmp_path / "data", tmp_path / "gold", tmp_path / "seeds"
    shutil.copytree(data, copy)
    write(copy / "bench" / "x.jsonl.zst", [json.dumps({"question": "青云谱机场的跑道一共有多长多宽？", "context": CONTEXT}, ensure_ascii=False)])
    gold.mkdir()
    rows = [{"id": "g1", "question": GOLD_QUESTION, "evidence": EVIDENCE}, {"id": "g2", "question": "他是哪国人？", "evidence": "徐海波"}]
    (gold / "g.jsonl").write_text("\n\n".join(json.dumps(row, ensure_ascii=False) for row in rows), "utf-8")
    seeds.mkdir()
    (seeds / "a.txt").write_text(f"---\ntitle: 试\n---\n<p>{SEED}</p>\n{PHRASE}我们办了一件小事。", "utf-8")
    return copy, gold, seeds


def plant(folder: Path, kind: str, name: str, rows: list[str]) -> None:
    path = next((folder / kind).glob(f"{name}.*"))
    write(path, [*sets.lines(path), *rows])


def article(text: str) -> str:
    return "2022-01-01 一则消息\t" + "本报讯，昨日天气晴好，城里举办了长跑比赛，男女老少都来参加。" + text + "比赛在下午结束，获奖者领取了奖牌和纪念品，随后大家合影留念。"


def example(question: str, context: str) -> str:
    return json.dumps({"title": "", "context": context, "question": question, "answers": [context[:3]], "answer_start": 0, "answerable": True})


def pair(query: str, positive: str) -> str:
    return json.dumps({"query": query, "positive": positive})


PLANTED = [
    ("text", sets.TEXTS[0], article(EVIDENCE), "text", "g.jsonl g1"),
    ("text", sets.TEXTS[1], article(CONTEXT[5:40]), "text", "x.jsonl.zst"),
    ("text", sets.TEXTS[2], article("全縣上下一心　把老舊紡織廠改造成了帶劇場和書店的文化公園，週末遊客ＡＢＣ"), "text", "a.txt"),  # folded it is the same
    ("text", sets.TEXTS[3], "2022-01-01 " + GOLD_QUESTION + "\t" + article(""), "question", ""),
    ("pairs", sets.PAIRS[0], pair("一件旧事", article(SEED)), "text", "a.txt"),
    ("pairs", sets.PAIRS[2], pair("长跑怎么练", "青雲譜機場的跑道，一共有多長多寬"), "question", ""),
    ("train", sets.READING[0], example(" 赣南脐橙今年，一共卖到了多少个国家去", "昨日天气晴好。"), "question", ""),
    ("train", sets.READING[-1], example("哪里？", "昨日天气晴好。" + EVIDENCE), "text", "g.jsonl g1"),
]


@pytest.mark.parametrize(("kind", "name", "row", "what", "source"), PLANTED)
def test_a_planted_leak_is_found_and_left_out(folders, capsys, kind, name, row, what, source):
    plant(folders[0], kind, name, [row])
    found = leaks.find_leaks(*folders, raw=True)
    assert [(leak.where, leak.kind, leak.source) for leak in found] == [(name, what, source)]
    assert leaks.find_leaks(*folders) == []
    assert f"left out of {name} because the gold, a seed document or a benchmark holds them: 1 of 161" in capsys.readouterr().out
    kept = {"text": sets.articles, "pairs": sets.pairs}[kind](folders[0], name, *folders[1:]) if kind != "train" else sets.reading(*folders)
    assert len(kept) == (160 if kind != "train" else 160 * len(sets.READING))


def test_what_looks_alike_stays(folders):
    plant(folders[0], "text", sets.TEXTS[0], [article(PHRASE), article(EVIDENCE[:-6] + "三十个国家。"), article(CONTEXT[:25])])
    plant(folders[0], "train", sets.READING[0], [example("他是哪国人？", "徐海波说，昨日天气晴好。")])
    assert leaks.find_leaks(*folders, raw=True) == []
    assert len(sets.articles(folders[0], sets.TEXTS[0], *folders[1:])) == 163 and len(sets.reading(*folders)) == 160 * len(sets.READING) + 1


def test_a_reader_without_the_filter_is_caught(folders, monkeypatch, capsys):
    plant(folders[0], "text", sets.TEXTS[1], [article(EVIDENCE)])
    monkeypatch.setattr(sets, "articles", lambda data, name, gold, seeds: sets.raw_articles(data, name))
    assert [leak.where for leak in leaks.find_leaks(*folders)] == [sets.TEXTS[1]]
    options = ["--data", str(folders[0]), "--gold", str(folders[1]), "--seeds", str(folders[2])]
    assert leaks.main(options) == 1
    assert f"leak: {sets.TEXTS[1]} holds the text '据海关统计赣南脐橙今年出口到二十七个国家' of g.jsonl g1" in capsys.readouterr().out
    monkeypatch.setattr(leaks, "find_leaks", lambda data, found=leaks.find_leaks: found(*folders))
    with pytest.raises(ValueError, match="1 leaks into the training, first in crud_rag_docs"):
        leaks.refuse_leaks(folders[0])


def test_a_training_refuses_leaks(folders, monkeypatch):
    from train import answerer, embedder

    def leaky(data):
        raise ValueError(f"leak in {data}")

    for script in (answerer, embedder):
        monkeypatch.setattr(script, "refuse_leaks", leaky)
        monkeypatch.setattr("sys.argv", ["train", "--data", str(folders[0])])
        with pytest.raises(ValueError, match="leak in"):
            script.main()


def test_the_table_of_clean_data(folders, capsys):
    assert leaks.main(["--data", str(folders[0]), "--gold", str(folders[1]), "--seeds", str(folders[2])]) == 0
    counts = {name: numbers for name, *numbers in (line.split() for line in capsys.readouterr().out.splitlines())}
    assert all(counts[name] == ["0", "0"] for name in (*sets.TEXTS, *sets.PAIRS, *sets.READING))


def test_without_data_the_committed_files_are_checked(tmp_path, capsys):
    assert leaks.main([]) == 0
    assert leaks.main(["--data", str(tmp_path / "none")]) == 2
    said = capsys.readouterr().err
    assert "only the committed files were checked" in said and "--data" in said and said.count(". ") == 1
    assert leaks.main(["--gold", str(tmp_path)]) == 2
    assert "holds no gold: --gold must name" in capsys.readouterr().err
    (tmp_path / "g.jsonl").write_text('{"id": "g"}\n', "utf-8")
    assert leaks.main(["--gold", str(tmp_path)]) == 2
    assert "g.jsonl:1 is no gold item" in capsys.readouterr().err


def test_nothing_committed_holds_gold(tmp_path):
    assert leaks.committed_leaks() == []
    question = next(q for q in sorted(guard(None).questions) if len(q) > 14)
    (tmp_path / "index").mkdir()
    (tmp_path / "index" / "synonyms.txt").write_text(f"# 词\n{question[:6]} {question[6:]}？ = 别的\n", "utf-8")
    assert [(leak.where, leak.kind, leak.shared) for leak in leaks.committed_leaks(tmp_path)] == [("index/synonyms.txt", "question", question)]


def test_every_run_of_thirty_is_found_and_none_of_twenty_nine():
    rng = Random(0)
    passage = normalised("".join(chr(rng.randrange(0x4E00, 0x9000)) for _ in range(100)))
    watch = Guard([], [Passage("p", passage, RUN)])
    for size, number in ((30, 71), (29, 0)):
        texts = [f"前{passage[at : at + size]}后" for at in range(101 - size)]
        assert len(watch.copies(texts)) == number
    found = watch.copies(["无关", "甲" + passage[3:20] + "，乙" + passage[40:80], passage[:15]])
    assert set(found) == {1} and found[1].run == passage[40:80] and found[1].source == "p"


def test_the_quick_way_agrees_with_the_obvious_one():
    rng = Random(1)
    letters = "甲乙"  # so that long runs come about by chance, also over the borders of texts
    wholes = ["".join(rng.choices(letters, k=15)) for _ in range(60)]
    texts = ["，".join("".join(rng.choices(letters, k=rng.randint(0, 9))) for _ in range(rng.randint(0, 9))) for _ in range(3000)]
    expected = {number for number, text in enumerate(texts) if any(whole in text.replace("，", "") for whole in wholes)}
    assert 20 < len(expected) < 2900
    assert set(Guard([], [Passage("p", whole, 15) for whole in wholes]).copies(texts)) == expected


def test_normalised_folds_and_drops_marks():
    assert normalised("綜保區，Ａ-1 ½．\n《甲》𠀀") == "综保区a1½甲𠀀"
    text = "".join(map(chr, range(0x20, 0x3000)))
    assert normalised(text) == "".join(c for c in fold(text) if c.isalnum())
