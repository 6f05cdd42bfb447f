"""Formulas of recipes: the numbers of a spec, computed from the recipe's parameters in decimals of 40 digits.

A formula is a sum, difference, product or quotient of parameters and numbers, and `sqrt(...)`. The result is rounded
once, to the nearest float, so that it is the same on every machine, and a tenth of 0.0003 is 0.00003.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping
from decimal import Context, Decimal
from types import MappingProxyType

_CONTEXT = Context(prec=40)
_OPERATORS: Mapping[type[ast.operator], Callable[[Decimal, Decimal], Decimal]] = MappingProxyType(
    {ast.Add: _CONTEXT.add, ast.Sub: _CONTEXT.subtract, ast.Mult: _CONTEXT.multiply, ast.Div: _CONTEXT.divide}
)


def evaluate(formula: str, values: Mapping[str, float]) -> Decimal:
    """The value of a formula. Raises `ValueError` for what is no formula, naming the part that is none.

    Args:
        formula: such as `total_steps - warmup_steps`, or `base_lr * sqrt(warmup_steps)`.
        values: parameter to its value, taken as the decimal number that Python writes for it.
    """
    return _value(ast.parse(formula, mode="eval").body, values)


def decimal(value: float) -> Decimal:
    """A number as the decimal that Python writes for it: 0.1 is a tenth."""
    return Decimal(repr(value))


def scaled(value: float, factor: Decimal) -> float:
    """A rate times a factor, rounded once."""
    return float(_CONTEXT.multiply(decimal(value), factor))


def ratio(value: float, by: float) -> Decimal:
    """One number divided by another; 1 where both are 0."""
    return Decimal(1) if value == by else _CONTEXT.divide(decimal(value), decimal(by))


def _value(node: ast.expr, values: Mapping[str, float]) -> Decimal:
    match node:
        case ast.Name(id=name) if name in values:
            return decimal(values[name])
        case ast.Constant(value=int() | float() as number):
            return decimal(number)
        case ast.BinOp(left=left, op=operator, right=right) if type(operator) in _OPERATORS:
            return _OPERATORS[type(operator)](_value(left, values), _value(right, values))
        case ast.Call(func=ast.Name(id="sqrt"), args=[inner], keywords=[]):
            return _CONTEXT.sqrt(_value(inner, values))
    raise ValueError(f"no formula of {', '.join(values)}: {ast.unparse(node)}")
