import pytest

from qa.names import numbered, places


def test_places_are_listed_ones_whole_and_folded():
    assert places("请问湖州市和台灣的区别") == {"湖州", "台湾"} and places("印度尼西亚的首都") == {"印度尼西亚"}
    assert places("长白山的日照与来宾") == frozenset() == places("")
    assert places("医保定点医院和复合肥料，其中山东省有大连锁店") == {"山东"} and places("保定和合肥") == {"保定", "合肥"}


@pytest.mark.parametrize(("text", "found"), [
    ("二期工程", {"2期"}), ("首批50家", {"1批", "50"}), ("第四十条", {"40条"}), ("第一百零二条", {"102条"}), ("十二期", {"12期"}), ("第40条", {"40条"}), ("2021年上半年", {"上半年"}),
    ("二季度3.5％", {"2季度", "3.5"}), ("前三季度", {"3季度"}), ("多少家", set()),
])
def test_numbers_and_ordinals(text, found):
    assert numbered(text) == found
