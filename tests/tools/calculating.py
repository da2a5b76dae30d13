"""The tool under test, loaded by its path."""

import importlib.util
import math
from pathlib import Path
from types import ModuleType


def load(name: str) -> ModuleType:
    """Return the module tools/<name>.py, run afresh."""
    spec = importlib.util.spec_from_file_location(f"tools_{name}", Path(__file__).parents[2] / "tools" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


MODULE = load("calculate")


calculate = MODULE.calculate


VALUES: dict[str, int | float | bool] = {
    # numbers
    "0": 0,
    "42": 42,
    "3.5": 3.5,
    ".5": 0.5,
    "5.": 5.0,
    "1e3": 1000.0,
    "1.5E-3": 0.0015,
    "-7": -7,
    "+7": 7,
    "--7": 7,
    "pi": math.pi,
    "π": math.pi,
    "e": math.e,
    # operators, as tightly as Python binds them
    "1 + 2 * 3": 7,
    "(1 + 2) * 3": 9,
    "10 - 4 - 3": 3,
    "7 / 2": 3.5,
    "6 / 2": 3.0,
    "7 // 2": 3,
    "-7 // 2": -4,
    "7 % 3": 1,
    "7%3": 1,
    "-7 % 3": 2,
    "7 % (-3)": -2,
    "7.5 % 2": 1.5,
    "2 ** 10": 1024,
    "2 ^ 10": 1024,
    "2 ** 3 ** 2": 512,
    "-2 ** 2": -4,
    "2 ** -1": 0.5,
    "4 ** 0.5": 2.0,
    "0.1 + 0.2": 0.1 + 0.2,
    "2 +\n\t 3": 5,
    "  8  ": 8,
    # signs that people and models write
    "6 × 7": 42,
    "6 · 7": 42,
    "84 ÷ 2": 42.0,
    "50 − 8": 42,
    "50 – 8": 42,
    "−8 × −2": 16,
    # money and thousands
    "1,000,000": 1_000_000,
    "1,250.75 + 1": 1251.75,
    "12,345 - 345": 12_000,
    "(1,000 + 2) * 3": 3006,
    "$5 + $3": 8,
    "$1,000 - $5": 995,
    "-$5": -5,
    "$ 20 * 2": 40,
    # per cent
    "20%": 0.2,
    "1,250 * 20%": 250.0,
    "100 + 10%": 100.1,
    "20% - 5": 0.2 - 5,
    "100*20%-5": 15.0,
    "(10 + 10)%": 0.2,
    "20 % * 5": 1.0,
    "2 ^ 50%": math.sqrt(2),
    "10 / 20%": 50.0,
    "max(5%, 7%)": 0.07,
    "5 % 3 * 2": 4,
    # functions
    "max(8848.86, 8611) - 8611": 8848.86 - 8611,
    "max(100,200)": 200,
    "min(3, 1, 2)": 1,
    "min([3, 1, 2])": 1,
    "sum([100,200,300])": 600,
    "sum([100, 200, 300])": 600,
    "sum((1, 2))": 3,
    "sum(0.1, 0.2, 0.3)": 0.6,
    "mean(1, 2, 3, 4)": 2.5,
    "mean([2, 4])": 3.0,
    "abs(-5)": 5,
    "ABS(-5)": 5,
    "round(2.5)": 2,
    "round(1234.567, 2)": 1234.57,
    "round(1234, -2)": 1200,
    "round((8848 - 8611) / 8611 * 100%, 4)": 0.0275,
    "sqrt(16)": 4.0,
    "floor(-0.5)": -1,
    "ceil(2.1)": 3,
    "log(e)": 1.0,
    "log(1000, 10)": 3.0,
    "log(8, 2)": 3.0,
    "log(81, 3)": math.log(81, 3),
    "log10(1000)": 3.0,
    "exp(0)": 1.0,
    "max(min(1, 2), abs(-3))": 3,
    # comparisons
    "1 < 2": True,
    "2 <= 1": False,
    "2 ≤ 2": True,
    "3 > 2 > 1": True,
    "3 > 2 > 2": False,
    "3 ≥ 4": False,
    "1 == 1.0": True,
    "1 ≠ 1": False,
    "1 != 2": True,
    "(3130 * 2) > 3790": True,
    "8848.86 * 90% > 5895 * 110%": True,
    # at the caps
    "9" * 1000: int("9" * 1000),
    "+".join(["1"] * 100): 100,
    "(" * 99 + "1" + ")" * 99: 1,
    "sum(" + ", ".join(["1"] * 300) + ")": 300,
    "10 ** 999": 10**999,
    "0.5 ** 10000": 0.0,
}

NAMES = {
    'largest("K2", 8611, "Denali", 6190)': "K2",
    'smallest("K2", 8611 * 90%, "Denali", 6190 * 120%)': "Denali",
    "smallest('K2', 8611, 'Denali', 6190)": "Denali",
    'Largest("Thomson\'s gazelle", 80, \'"so called"\', 1)': "Thomson's gazelle",
    'largest("Peru–Chile − (Trench), 100% $5 ^ max", 2, "π", 1)': "Peru–Chile − (Trench), 100% $5 ^ max",
    'largest( "a" , max(1, 2) , "b" , sum([1, 5]) , "c" , -9 )': "b",
    'smallest("5", 2, "6", 1)': "6",
    'largest("Brasília", 1)': "Brasília",
    'largest("a", 10**900, "b", 1.5)': "a",
}
