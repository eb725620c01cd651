"""What makes two tasks the same."""

from __future__ import annotations

import copy
import dataclasses
import gc
import weakref
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

import numpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from task_manager._run.keys import TaskDict, key_of, key_of_unhashable, mapping_of


@dataclass
class Point:
    """Unhashable, as it has an __eq__ and may change."""

    x: int
    y: int


class BrokenEquality:
    __hash__ = object.__hash__

    def __eq__(self, other: object) -> bool:
        raise RuntimeError("no equality")


class Colliding(BrokenEquality):
    """Breaks every dict in which it meets another one."""

    def __hash__(self) -> int:
        return 1


class Particular:
    """Breaks only on meeting another one."""

    def __hash__(self) -> int:
        return 1

    def __eq__(self, other: object) -> bool:
        if other is not self:
            raise RuntimeError("no equality")
        return True


class BrokenHash:
    def __hash__(self) -> int:
        raise RuntimeError("no hash")


class BrokenAttributes:
    __hash__ = None  # type: ignore[assignment]

    def __getattr__(self, name: str) -> Any:
        raise RuntimeError("no attributes")


class UnclearEquality:
    """As an array: comparing it gives what is neither true nor false."""

    __hash__ = object.__hash__

    def __eq__(self, other: object) -> Any:
        return numpy.array([True, False])


class Unhashable:
    __hash__ = None  # type: ignore[assignment]

    def __init__(self) -> None:
        self.refuses = lambda: "to be pickled"


def endless() -> list[Any]:
    inside: list[Any] = []
    inside.append(inside)
    return inside


INCOMPARABLE = [
    BrokenEquality,
    Colliding,
    Particular,
    BrokenHash,
    BrokenAttributes,
    UnclearEquality,
    Unhashable,
    endless,
    lambda: [BrokenHash()],
    lambda: {"a": endless()},
]

scalars = (
    st.none() | st.booleans() | st.integers(-1, 2) | st.sampled_from([0.0, 1.0, "", "a", "b", b"a"])
)
contents = st.recursive(
    scalars,
    lambda inside: (
        st.lists(inside, max_size=3)
        | st.lists(inside, max_size=2).map(tuple)
        | st.dictionaries(scalars, inside, max_size=3)
        | st.sets(scalars, max_size=3)
    ),
    max_leaves=6,
)


def reordered(value: Any) -> Any:
    """An equal copy, its dicts and sets built the other way round."""
    match value:
        case list() | tuple():
            return type(value)(map(reordered, value))
        case dict():
            return {k: reordered(v) for k, v in reversed(value.items())}
        case set():
            return {*reversed(list(value))}
    return copy.deepcopy(value)


# ------------------------------------------------------------------ keys


@settings(deadline=None, max_examples=500)
@given(contents, contents)
def test_keys_are_equal_if_and_only_if_the_tasks_are(one: Any, other: Any) -> None:
    """Two tasks are the same if and only if they are equal, however they are nested."""
    assert (one == other) == (key_of(other) in {key_of(one): None})


@settings(deadline=None)
@given(contents)
def test_an_equal_copy_has_the_same_key(task: Any) -> None:
    """A copy is the same task, in whatever order its dicts and sets were filled."""
    assert key_of(task) in {key_of(reordered(task)): None}


@pytest.mark.parametrize("task", [7, "text", b"", None, (1, "a"), frozenset([1]), 2.5, object()])
def test_a_hashable_task_is_its_own_key(task: Any) -> None:
    """Two hashable tasks are the same as they are in a dict."""
    assert key_of(task) is task


@pytest.mark.parametrize(
    ("content", "lookalike"),
    [([1, 2], ("list", 1, 2)), ({1}, ("set", frozenset([1]))), (bytearray(b"a"), ("bytearray", b"a"))],
)
def test_content_is_no_tuple(content: Any, lookalike: tuple[Any, ...]) -> None:
    """The key of an unhashable task is no task, whatever it is made of."""
    assert lookalike not in {key_of(content): None}
    assert key_of(content) not in {lookalike: None}


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (numpy.arange(6), numpy.arange(6), True),
        (numpy.arange(6), numpy.arange(7), False),
        (numpy.arange(6), numpy.arange(1, 7), False),
        (numpy.arange(6), numpy.arange(6).reshape(2, 3), False),
        (numpy.arange(6, dtype="i4"), numpy.arange(6, dtype="i8"), False),
        (numpy.zeros(2, "i4"), numpy.zeros(2, "f4"), False),
        (numpy.arange(6)[::2], numpy.array([0, 2, 4]), True),
        (numpy.arange(6).reshape(2, 3).T, numpy.array([[0, 3], [1, 4], [2, 5]]), True),
        (numpy.zeros(2, "M8[s]"), numpy.zeros(2, "M8[D]"), False),
        (numpy.array([1, "a"], object), numpy.array([1, "a"], object), True),
        (numpy.array([1, "a"], object), numpy.array([1, "b"], object), False),
        ({"a": numpy.arange(3)}, {"a": numpy.arange(3)}, True),
        ({"a": numpy.arange(3)}, {"a": numpy.arange(4)}, False),
        (numpy.arange(3), [0, 1, 2], False),
    ],
)
def test_arrays_are_known_by_their_content(one: Any, other: Any, same: bool) -> None:
    """Arrays are the same if type, shape and elements are, wherever they lie in memory."""
    assert same == (key_of(one) == key_of(other))


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (bytearray(b"ab"), bytearray(b"ab"), True),
        (bytearray(b"ab"), bytearray(b"ac"), False),
        (Point(1, 2), Point(1, 2), True),
        (Point(1, 2), Point(2, 1), False),
        ([Point(1, 2)], [Point(1, 2)], True),
        (OrderedDict(a=1, b=2), OrderedDict(a=1, b=2), True),
        (OrderedDict(a=1, b=2), OrderedDict(b=2, a=1), False),
        (("a", [1]), ("a", [1]), True),
        (("a", [1]), ["a", [1]], False),
    ],
)
def test_other_unhashable_tasks_are_known_by_their_content(one: Any, other: Any, same: bool) -> None:
    """An object of a type of its own is the same as another that pickles to the same bytes."""
    assert same == (key_of(one) == key_of(other))


@pytest.mark.parametrize("make", INCOMPARABLE)
def test_what_cannot_be_compared_is_the_same_as_itself_alone(make: Any) -> None:
    """F15: a task that is broken, or refuses to be looked at, has a key all the same."""
    one, other = make(), make()
    keys = {key_of_unhashable(one): "one", key_of_unhashable(other): "other"}

    assert ["one", "other"] == [keys[key_of_unhashable(task)] for task in (one, other)]


@pytest.mark.parametrize("make", [make for make in INCOMPARABLE if make is not Particular])
def test_any_object_at_all_has_a_key(make: Any) -> None:
    """F15: key_of raises for no object, and does not mistake one for another."""
    one, other = make(), make()
    keys = {key_of(one): "one", key_of(other): "other"}

    assert ["one", "other"] == [keys[key_of(task)] for task in (one, other)]


def test_keys_by_identity_are_equal_for_one_object_alone() -> None:
    """Also where two of them meet by chance, and unlike anything else."""
    one, other = BrokenHash(), BrokenHash()

    assert key_of(one) == key_of(one)
    assert key_of(one) != key_of(other)
    assert key_of(one) != id(one)


class Interrupted:
    """Ctrl-C comes while it is looked at."""

    def __hash__(self) -> int:
        raise KeyboardInterrupt


class InterruptedContent:
    __hash__ = None  # type: ignore[assignment]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, InterruptedContent)

    def __reduce__(self) -> Any:
        raise KeyboardInterrupt


@pytest.mark.parametrize(
    "look",
    [
        lambda: key_of(Interrupted()),
        lambda: key_of_unhashable(InterruptedContent()),
        lambda: mapping_of([Interrupted()], [1]),
        lambda: TaskDict([(Interrupted(), 1)]),
        lambda: TaskDict([])[Interrupted()],
    ],
)
def test_an_interrupt_is_no_broken_task(look: Any) -> None:
    """A Ctrl-C while tasks are looked at is raised."""
    with pytest.raises(KeyboardInterrupt):
        look()


def test_a_key_by_identity_keeps_its_task_alive() -> None:
    """Otherwise another object could come to lie in its place, and be taken for it."""
    task = BrokenHash()
    alive = weakref.ref(task)
    keys = {key_of(task)}
    del task
    gc.collect()
    held = alive() is not None
    keys.clear()
    gc.collect()

    assert (True, None) == (held, alive())


# ------------------------------------------------------------------ mappings


def test_hashable_tasks_are_offered_in_a_dict() -> None:
    """get_result_dict() is a plain dict if all tasks are hashable, and a later value wins."""
    results = mapping_of([1, (2, 3), 1], ["a", "b", "c"])

    assert dict is type(results)
    assert {1: "c", (2, 3): "b"} == results


@settings(deadline=None)
@given(st.lists(st.tuples(contents, st.integers())))
def test_a_mapping_finds_what_is_equal(pairs: list[tuple[Any, int]]) -> None:
    """Looked up by an equal copy, each task gives the value of the last pair that it is equal to."""
    results = mapping_of([task for task, _ in pairs], [value for _, value in pairs])
    last = [next(value for task, value in reversed(pairs) if task == wanted) for wanted, _ in pairs]

    assert last == [results[reordered(task)] for task, _ in pairs]
    assert all(task in results for task, _ in pairs)


def test_unhashable_tasks_are_looked_up_by_content_and_yielded_as_given() -> None:
    """results[{"a": 1}] finds its result, and iteration gives the very objects that were tasks."""
    tasks: list[Any] = [{"a": 1}, [2, 3], numpy.arange(3), "hashable", (4, 5)]
    results = mapping_of(tasks, range(5))

    assert TaskDict is type(results)
    assert 5 == len(results)
    assert [id(task) for task in tasks] == [id(task) for task in results]
    assert [0, 1, 2, 3, 4] == list(results.values())
    assert (0, 1, 2, 3, 4) == tuple(
        results[task] for task in [{"a": 1}, [2, 3], numpy.arange(3), "hashable", (4, 5)]
    )


@pytest.mark.parametrize("absent", [{"a": 2}, [], "b", ("dict", 1), BrokenHash(), None])
def test_what_was_no_task_is_not_there(absent: Any) -> None:
    """An absent task is a KeyError, no member, and has the default of get."""
    results = TaskDict([({"a": 1}, "result")])
    with pytest.raises(KeyError) as caught:
        results[absent]

    assert (absent,) == caught.value.args
    assert absent not in results
    assert "default" == results.get(absent, "default")


@pytest.mark.parametrize("make", INCOMPARABLE)
def test_what_cannot_be_compared_is_found_by_itself(make: Any) -> None:
    """F15: the result of a broken task is found by the very object, and by no other."""
    tasks = [make(), make(), make()]
    results = TaskDict(zip(tasks, range(3), strict=True))

    assert [0, 1, 2] == [results[task] for task in tasks]
    assert make() not in results


@pytest.mark.parametrize(
    ("other", "equal"),
    [
        (TaskDict([([1], "a"), (2, "b")]), True),
        (TaskDict([(2, "b"), ([1], "a")]), True),
        (TaskDict([([1], "a")]), False),
        (TaskDict([([1], "a"), (3, "b")]), False),
        (TaskDict([([1], "a"), (2, "c")]), False),
        ({2: "b", 1: "a"}, False),
        ([([1], "a"), (2, "b")], False),
        (None, False),
    ],
)
def test_mappings_are_compared_as_dicts_are(other: Any, equal: bool) -> None:
    """Equal to any mapping of the same tasks to equal values, in whatever order."""
    results = TaskDict([([1], "a"), (2, "b")])

    assert equal == (results == other)
    assert equal == (other == results)


def test_a_mapping_equals_a_dict_with_the_same_content() -> None:
    """Also the plain dict that holds the same hashable tasks."""
    assert {1: "a"} == TaskDict([(1, "a")])
    assert {1: "b"} != TaskDict([(1, "a")])


def test_a_mapping_is_no_key() -> None:
    """It is unhashable, as a dict is."""
    with pytest.raises(TypeError, match="unhashable"):
        hash(TaskDict([]))


def test_a_mapping_shows_its_tasks() -> None:
    """Its repr is that of a dict, under its own name."""
    assert "TaskDict({[1]: 'a', 2: 'b'})" == repr(TaskDict([([1], "a"), (2, "b")]))
    assert "TaskDict({})" == repr(TaskDict([]))


@dataclasses.dataclass
class Point:
    x: Any
    y: Any = None
    seen: int = dataclasses.field(default=0, compare=False)


class WithUnit(numpy.ndarray):  # type: ignore[type-arg]
    """Numbers with a unit, as some libraries have them."""

    unit = ""


def with_unit(numbers: list[int], unit: str) -> WithUnit:
    made = numpy.array(numbers).view(WithUnit)
    made.unit = unit
    return made


def test_dataclasses_are_the_same_by_their_fields() -> None:
    """As their equality says: whatever objects they share, and without what is not compared."""
    a, b = [1], [1]

    assert key_of(Point(a, a)) == key_of(Point(a, b)) == key_of(Point(b, [1], seen=3))
    assert key_of(Point(a)) != key_of(Point([2]))


def test_arrays_of_different_kinds_differ() -> None:
    """A unit, or the names of the fields, tell two of the same bytes apart."""
    left = numpy.zeros(2, dtype=[("a", "i4"), ("b", "i4")])
    right = numpy.zeros(2, dtype=[("c", "i4"), ("d", "i4")])

    assert key_of(with_unit([1, 2], "m")) != key_of(with_unit([1, 2], "km"))
    assert key_of(left) != key_of(right)
    assert key_of(left) == key_of(left.copy())
