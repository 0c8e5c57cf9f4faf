from typing import ClassVar, Literal
from uuid import UUID

import pytest
from pydantic import AwareDatetime, BaseModel, Field

from common.events import Event
from launcher.contracts import event_contract, stale
from launcher.paths import ROOT
from launcher.samples import Sampler, UnsampledError


class Command(BaseModel):
    command_id: UUID
    miner_id: UUID


class Ordered(Event):
    type: ClassVar[str] = "hosting.command.ordered.v1"
    aggregate: ClassVar[str] = "site_id"

    site_id: UUID
    action: Literal["sleep", "wake"]
    commands: list[Command] = Field(max_length=1000)
    share: float = Field(gt=0, lt=1)
    plan_id: UUID | None
    deadline_at: AwareDatetime
    credentials: dict[str, str]


def test_a_golden_sample_is_valid_full_and_always_the_same() -> None:
    contract = event_contract(Ordered)
    assert contract == event_contract(Ordered)
    assert (contract["topic"], contract["key"]) == ("hosting.command.v1", "site_id")
    sample = contract["sample"]
    assert Ordered.model_validate(sample).action == "sleep"
    assert sample["plan_id"] is not None
    assert 0 < sample["share"] < 1
    [command] = sample["commands"]
    assert command["command_id"] != command["miner_id"]


def test_what_has_no_sample_asks_for_an_example() -> None:
    with pytest.raises(UnsampledError):
        Sampler({}).sample({"type": "unheard-of"})
    assert Sampler({}).sample({"type": "unheard-of", "examples": [7]}) == 7


def test_a_file_of_something_that_is_gone_is_stale() -> None:
    missing = ROOT / "contracts" / "events" / "never.was.there.v1.json"
    assert missing in stale({missing: "{}"})
    present = {path: path.read_text() for path in (ROOT / "contracts").glob("*/*.json")}
    assert stale(present) == []
