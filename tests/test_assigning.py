"""Which attributes a function sets on its first parameter, as its code says it, of whichever Python."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from flask_rampart.assigning import assigned

NAMES = {"get"}


class Setting:
    get: Any
    __dict__: dict[str, Any]

    def itself(self) -> None:
        self.get = 1

    def by_another_name(me) -> None:  # noqa: N805
        me.get = 1

    def of_several(self) -> None:
        self.other, self.get = 1, 2

    def added_to(self) -> None:
        self.get += 1

    def within(self) -> Any:
        def inner() -> None:
            self.get = 1

        return inner

    def beside_a_function_within(self) -> Any:
        self.get = 1
        return lambda: self

    def by_alias(self) -> None:
        me = self
        me.get = 1

    def by_alias_of_several(self) -> None:
        _, me = 1, self
        me.get = 1

    def by_expression(self) -> None:
        (me := self).get = 1
        me.other = 1

    def by_choice(self, other: Any) -> None:
        (self if other else other).get = 1

    def by_a_function_within(self) -> None:
        def patch(_: Any, it: Any) -> None:
            it.get = 1

        patch(1, self)

    def by_a_call(self) -> None:
        type(self).get = 1

    def by_class(self) -> None:
        self.__class__.get = 1

    def by_alias_of_class(self) -> None:
        kind = self.__class__
        kind.get = 1

    def by_item(*given: Any) -> None:  # type: ignore[misc]
        given[0].get = 1

    def by_item_named(*given: Any) -> None:  # type: ignore[misc]
        (me,) = given
        me.get = 1

    def by_loop(self) -> None:
        for me in (self,):
            me.get = 1

    def by_with(self, other: Any) -> None:
        with other as self.get:
            pass


class Leaving:
    other: Any

    def another(self, other: Any) -> None:
        other.get = 1

    def another_of_itself(self, other: Any) -> None:
        other.get = self.other

    def made(self) -> str:
        made = Leaving()
        made.get = self.other  # type: ignore[attr-defined]
        return str(made)

    def made_beside_super(self) -> None:
        super().__init__()
        made = Leaving()
        made.get = 1  # type: ignore[attr-defined]

    def attribute(self) -> None:
        self.other.get = 1

    def of_a_module(self) -> None:
        pytest.get = 1  # type: ignore[attr-defined]

    def beside_a_function_within(self, other: Any) -> Any:
        other.get = 1
        return lambda: self.other

    def nothing(self) -> Any:
        self.other = 1
        return self.get  # type: ignore[attr-defined]


def functions(cls: type) -> list[Any]:
    return [pytest.param(each, id=name) for name, each in vars(cls).items() if hasattr(each, "__code__")]


@pytest.mark.parametrize("function", functions(Setting))
def test_what_a_function_sets_or_may_set_on_its_first_parameter_is_found(function: Callable[..., Any]) -> None:
    assert assigned(function.__code__, NAMES) == "get"


@pytest.mark.parametrize("function", functions(Leaving))
def test_what_it_sets_on_something_else_is_not(function: Callable[..., Any]) -> None:
    assert assigned(function.__code__, NAMES) is None


def test_a_function_with_more_names_than_one_instruction_can_tell_is_read() -> None:
    space: dict[str, Any] = {}
    exec("def f(self):\n" + "".join(f" self.a{n}\n" for n in range(300)) + " self.get = 1", space)
    assert assigned(space["f"].__code__, NAMES) == "get"
