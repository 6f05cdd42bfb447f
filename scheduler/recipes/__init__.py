"""Schedules that papers and released models trained with, by name: one JSON file each, with its source."""

from scheduler.recipes.gallery import RECIPES, Boundary, Recipe, Source, Stated, UnknownRecipeError, recipe
from scheduler.recipes.parameters import Parameter

__all__ = ["RECIPES", "Boundary", "Parameter", "Recipe", "Source", "Stated", "UnknownRecipeError", "recipe"]
