"""The direction of imports: app → qa → index; eval and train → qa, index; nothing imports app, eval or train."""

import ast
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ALLOWED = {"index": {"index"}, "qa": {"qa", "index"}, "eval": {"eval", "qa", "index"}, "train": {"train", "qa", "index"}, "app": {"qa", "index"}}
OURS = {*ALLOWED}


def imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
            assert "eval" not in found, f"{path}: `import eval` hides the builtin"
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: write imports in full"
            found.add(node.module or "")
    return found


def modules() -> dict[str, Path]:
    rows = {"app": ROOT / "app.py"} if (ROOT / "app.py").exists() else {}
    for package in ("index", "qa", "eval", "train"):
        for path in (ROOT / package).glob("*.py"):
            rows[f"{package}.{path.stem}"] = path
    return rows


def test_imports_go_one_way():
    wrong = []
    for name, path in modules().items():
        mine = name.split(".")[0]
        for target in imports(path):
            theirs = target.split(".")[0]
            if theirs in OURS and theirs not in ALLOWED[mine]:
                wrong.append(f"{name} imports {target}")
    assert not wrong


def test_no_cycles():
    graph = {name: {t for t in imports(path) if t in modules() and t != name} for name, path in modules().items()}
    done: set[str] = set()

    def visit(name: str, above: tuple[str, ...]) -> None:
        assert name not in above, f"cycle: {' → '.join((*above, name))}"
        if name not in done:
            for target in graph[name]:
                visit(target, (*above, name))
            done.add(name)

    for name in graph:
        visit(name, ())


def test_app_knows_no_machinery():
    if (ROOT / "app.py").exists():
        assert not {t.split(".")[0] for t in imports(ROOT / "app.py")} & {"faiss", "torch", "transformers", "bm25s", "sentence_transformers"}


def test_nothing_unpickles():
    for name, path in modules().items():
        source = path.read_text("utf-8")
        assert "import pickle" not in source and "allow_pickle=True" not in source, name
        assert "torch.load(" not in source or "weights_only=True" in source, name
