"""The manager or the chain of a scenario, as it is made for one start after the other."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from task_manager import Journal, TaskChain

from .managers import manager_of
from .plan import Scenario

JOURNAL = "journal.db"


class Owner:
    """What the script of a user would have made. made: How many there were before."""

    def __init__(self, scenario: Scenario, folder: Path, made: int) -> None:
        self._scenario = scenario
        self._calls = [folder / f"calls{place + 1}-{made}" for place in range(len(scenario.stages))]
        stages = scenario.stages
        if scenario.journal and made >= len(scenario.starts) - 1:  # nothing keeps it from its end
            stages = tuple(replace(stage, max_failures=None, deadline=None) for stage in stages)
        journal = self._journal(folder)
        managers = [
            manager_of(
                stage,
                place,
                folder,
                frontier=scenario.feed == "frontier",
                calls=calls if scenario.journal else None,
                journal=journal if scenario.chain is None else None,
                made=made,
            )
            for place, (stage, calls) in enumerate(zip(stages, self._calls, strict=True))
        ]
        self.first: Any = managers[0]
        self.whole: Any = managers[0]
        if scenario.chain is None:
            manager = managers[0]
            self.start, self.start_async = manager.start, manager.start_async
            self.results, self.errors = manager.get_result_dict, manager.get_error_dict
        else:
            self.whole = chain = TaskChain(managers, scenario.chain, journal=journal)
            self.start, self.start_async = chain.start_chain, chain.start_chain_async
            self.results, self.errors = chain.get_final_result_dict, chain.get_final_error_dict

    def _journal(self, folder: Path) -> Journal | None:
        match self._scenario.journal:
            case "":
                return None
            case "outcomes":
                return Journal(folder / JOURNAL)
            case "started":
                return Journal(folder / JOURNAL, started=True)
        return Journal(folder / JOURNAL, started=True, in_doubt="error")

    def called(self) -> frozenset[int]:
        """The numbers of the tasks that its functions were called for, where that is noted."""
        files = [file for file in self._calls if file.exists()]
        return frozenset(int(line) for file in files for line in file.read_text().splitlines())

    def let_go(self) -> None:
        match self._scenario.ending:
            case "with" if self._scenario.chain is None:
                with self.whole:
                    pass
            case "shutdown" if self._scenario.chain is None:
                self.whole.shutdown_pools()
