"""What a script may say on stderr."""

from __future__ import annotations

import re
from collections.abc import Sequence

from .plan import SIGNALS, Scenario

# What a run says of itself at its end: that tasks failed, and what a Ctrl-C has left.
NOTICES = re.compile(r"^.+: (\d+ of \d+ tasks? failed, .+|stopped by Ctrl-C: .+)\n", re.MULTILINE)
# What CPython says of the locks of a queue that is not inherited, where their owner was killed.
LEAKED = re.compile(
    r"^.+resource_tracker: There appear to be \d+ leaked semaphore.+\n.+warnings.warn.+\n",
    re.MULTILINE,
)
BAD = ("Exception ignored", "resource_tracker", "leaked", "never retrieved", "was destroyed")


def unexpected(text: str, scenario: Scenario, fatal: bool, sent: Sequence[str]) -> str:
    """What nobody has allowed for. fatal: A signal may have ended the script. sent: The signals."""
    text = NOTICES.sub("", text)
    if fatal and scenario.killed_with_locks:
        text = LEAKED.sub("", text)
    return "" if not text or _is_allowed(text, scenario, fatal, sent) else text


def _is_allowed(text: str, scenario: Scenario, fatal: bool, sent: Sequence[str]) -> bool:
    """The traceback of a script that does not catch what is raised."""
    if any(sign in text for sign in BAD):
        return False
    last = text.rstrip().rpartition("\n")[2]
    ends = {"int": "KeyboardInterrupt", "alarm": "TimeLimit"}
    whats = [trouble.what for troubles in scenario.starts for trouble in troubles]
    born = "spawn_main" in text or "_serve_one" in text
    if fatal and born and last == "EOFError: Ran out of input":
        return True  # a process that was being started when the script was killed
    if fatal and sent:
        return any(ends.get(what, "\n") in last for what in whats)
    # asyncio itself reports what comes out of a task that it cancels, as a handler has raised something.
    if "unhandled exception during asyncio.run() shutdown" in text and "HookBroke" in last:
        return any(stage.complains for stage in scenario.stages) and bool(set(whats) & set(SIGNALS))
    # It reports what a handler raises in one of its own callbacks, too.
    return "alarm" in whats and "TimeLimit" in last and "Exception in callback" in text
