from launcher import suite
from launcher.members import members, part
from launcher.paths import ROOT


def test_closing_lines_add_up() -> None:
    lines = [
        "===== 10 passed, 1 skipped in 61.50s (0:01:01) =====",
        "= 1 failed, 4 passed in 2.25s =",
    ]
    assert suite.total(lines).strip("= ") == "14 passed, 1 skipped, 1 failed in 63.75s"


def test_a_run_without_a_closing_line_is_not_hidden() -> None:
    assert "1 run without a result" in suite.total(["no closing line"])


def test_parts_are_members_and_folders_of_tests() -> None:
    assert part("hosting") == ROOT / "services" / "hosting"
    assert part("launcher") == ROOT / "deploy" / "local"
    assert part("rules") == ROOT / "tests" / "rules"
    assert {member.module for member in members()} >= {"common", "simulation", "gateway"}
