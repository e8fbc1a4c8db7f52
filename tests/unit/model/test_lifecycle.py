from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from datacat.model.lifecycle import FINAL, RUNNING, TRANSITIONS, Status, Trigger, next_status


def test_every_status_has_an_answer_to_every_trigger():
    assert set(TRANSITIONS) == set(Status)
    assert all(set(row) == set(Trigger) for row in TRANSITIONS.values())


@given(st.lists(st.sampled_from(Trigger)))
def test_a_final_status_is_left_by_a_correction_alone_and_for_a_crash(triggers):
    status = Status.ACTIVE
    for trigger in triggers:
        before, status = status, next_status(status, trigger)
        if before in FINAL and status is not before:
            assert (before, trigger, status) == (Status.ENDED, Trigger.CORRECTION, Status.CRASHED)


def test_a_crash_is_never_left():
    assert {next_status(Status.CRASHED, trigger) for trigger in Trigger} == {Status.CRASHED}


def test_a_lost_session_that_speaks_is_active_again():
    assert next_status(Status.LOST, Trigger.CONTACT) is Status.ACTIVE


def test_contact_does_not_wake_a_hung_program():
    assert next_status(Status.HUNG, Trigger.CONTACT) is Status.HUNG


def test_running_and_final_do_not_overlap():
    assert not RUNNING & FINAL


PAGE = Path(__file__).parents[3] / "docs/reference/status.md"


def page() -> str:
    """The table as a picture, and as it stands."""
    arrows: dict[tuple[Status, Status], list[str]] = {}
    for status, row in TRANSITIONS.items():
        for trigger, following in row.items():
            if following is not status:
                arrows.setdefault((status, following), []).append(trigger.value)
    lines = [
        "# Status",
        "",
        "A session's status follows from its records alone, by the table in `model/lifecycle.py`; this page is written",
        "from it: `python -m tests.unit.model.test_lifecycle`. What is not drawn changes nothing.",
        "",
        "<!-- generated: status-picture -->",
        "```mermaid",
        "stateDiagram-v2",
        "    [*] --> active",
        *(f"    {a} --> {b}: {', '.join(words)}" for (a, b), words in arrows.items()),
        "```",
        "<!-- /generated -->",
        "",
        "| status | " + " | ".join(trigger.value for trigger in Trigger) + " |",
        "| --- |" + " --- |" * len(Trigger),
        *(
            f"| {a} | " + " | ".join(row[trigger].value for trigger in Trigger) + " |"
            for a, row in TRANSITIONS.items()
        ),
        "",
    ]
    return "\n".join(lines)


def test_the_page_is_what_the_table_says():
    assert PAGE.read_text(encoding="utf-8") == page(), (
        "write it anew: python -m tests.unit.model.test_lifecycle"
    )


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
