"""The old name of `_signals`."""

from ._signals import HeldSignals as CtrlC
from ._signals import ignore_ctrl_c, let_through

__all__ = ["CtrlC", "ignore_ctrl_c", "let_through"]
