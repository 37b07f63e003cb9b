"""Which functions can be called, and how arguments reach them."""

import types

import pytest

from algorithm_base import Outputs, OutputStream, Peers, inputs, method, source, sources
from algorithm_base.errors import OrderError
from algorithm_base.parameters import Door
from algorithm_base.registry import method_anywhere, method_named, method_of, methods_in


def module_with(**contents):
    module = types.ModuleType("somewhere")
    vars(module).update(contents)
    return module


def test_a_marked_function_stays_a_plain_function():
    @method
    def twice(number):
        return 2 * number

    assert twice(4) == 8


def test_a_method_can_have_another_name():
    @method(name="other-name")
    def f():
        return 1

    assert methods_in(module_with(f=f)).keys() == {"other-name"}


def test_only_marked_functions_of_the_module_can_be_called():
    @method
    def open_to_all():
        return 1

    def private():
        return 2

    module = module_with(open_to_all=open_to_all, private=private, OrderError=OrderError, number=4)
    assert method_named("open_to_all", module).function is open_to_all
    for name in ("private", "OrderError", "__name__", "number"):
        with pytest.raises(OrderError, match=f"no method '{name}' in somewhere; it has: open_to_all"):
            method_named(name, module)


def test_two_methods_of_one_name_in_a_module_are_refused():
    def make():
        @method
        def same():
            return 1

        return same

    with pytest.raises(OrderError, match="two functions in somewhere are called 'same'"):
        methods_in(module_with(first=make(), second=make()))


def test_what_the_node_fills_in_is_known_by_default_or_annotation():
    @method
    def everything(x, peers: Peers, out: OutputStream, a=source(), b=source("b"), c=sources(), d=inputs("d"), y=1):
        return x, y

    assert method_of(everything).wishes.keys() == {"peers", "out", "a", "b", "c", "d"}


def test_annotations_may_be_texts():
    def f(peers: "Peers", out: "algorithm_base.OutputStream", other: "MyPeersList"):  # noqa: F821
        return peers, out, other

    assert method_of(method(f)).wishes == {"peers": Door.PEERS, "out": Door.OUTPUT}


@pytest.mark.parametrize(
    ("args", "kwargs", "message"),
    [
        ([], {}, "missing a required argument: 'x'"),
        ([1, 2, 3], {}, "too many positional arguments"),
        ([1], {"z": 1}, "unexpected keyword argument 'z'"),
        ([1], {"x": 1}, "multiple values for argument 'x'"),
        ([1], {"data": 5}, "'data' is filled in by the node and cannot be sent"),
    ],
)
def test_arguments_that_do_not_fit_are_refused_with_the_methods_name(args, kwargs, message):
    @method
    def sums(x, data=source(), y=2):
        return x, y, data

    with pytest.raises(OrderError, match=f"sums: .*{message}"):
        method_of(sums).check(args, kwargs)


def test_positional_arguments_skip_what_the_node_fills_in():
    @method
    def sums(peers: Peers, x, y=2, data=source(), *rest, z, **more):
        return peers, x, y, data, rest, z, more

    bound = method_of(sums)
    assert bound.call({"peers": "P", "data": "D"}, [1], {"z": 3, "w": 4}) == ("P", 1, 2, "D", (), 3, {"w": 4})
    assert bound.call({"peers": "P", "data": "D"}, [1, 5, 6], {"z": 3}) == ("P", 1, 5, "D", (6,), 3, {})


def test_a_name_is_found_anywhere_only_if_it_is_the_only_one():
    @method
    def a_name_that_is_unique_in_this_process():
        return 1

    assert method_anywhere("a_name_that_is_unique_in_this_process").function is a_name_that_is_unique_in_this_process
    with pytest.raises(OrderError, match="no imported methods are called 'nowhere'"):
        method_anywhere("nowhere")


def test_a_name_that_could_be_a_path_is_no_name_for_an_output():
    with pytest.raises(Exception, match="cannot be the name of an output"):
        Outputs(1, **{"../x": 2})
