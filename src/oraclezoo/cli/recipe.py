"""``oraclezoo recipe``: list and show recipes and suites."""

from __future__ import annotations

from collections.abc import Sequence

import click

from oraclezoo.cli._shared.app import (
    App,
    complete_recipes,
    emit_json,
    json_option,
    next_step,
    pass_app,
    print_table,
)
from oraclezoo.cli._shared.examples import example
from oraclezoo.cli._shared.options import assignments, overrides


@click.group("recipe")
def command() -> None:
    """List and show recipes, the complete training configurations."""


@command.command("list", epilog=example("oraclezoo recipe list --json"))
@json_option
def list_recipes(as_json: bool) -> None:
    """List the bundled recipes and suites."""
    from oraclezoo import recipe
    from oraclezoo.recipe import suite

    recipes = {name: recipe.Recipe.load(name).summary for name in recipe.shipped()}
    suites = [suite.Suite.load(name) for name in suite.shipped()]
    if as_json:
        rows = [{"name": s.name, "summary": s.summary, "recipes": list(s.recipes)} for s in suites]
        listed = [{"name": name, "summary": summary} for name, summary in recipes.items()]
        emit_json("oraclezoo/recipes/1", {"recipes": listed, "suites": rows})
        return
    print_table(("recipe", "summary"), list(recipes.items()))
    click.echo()
    lines = [(s.name, _listed(s.recipes), s.summary) for s in suites]
    print_table(("suite", "recipes", "summary"), lines)
    next_step("recipe", "show", "default")


def _listed(names: Sequence[str]) -> str:
    """Join names; shorten a long list to the first two and the count."""
    return ", ".join(names) if len(names) <= 3 else f"{', '.join(names[:2])}, ... ({len(names)})"


@command.command("show", epilog=example("oraclezoo recipe show default -s budget.epochs=20"))
@click.argument("recipe", shell_complete=complete_recipes)
@assignments
@json_option
@pass_app
def show(app: App, recipe: str, assigned: tuple[str, ...], as_json: bool) -> None:
    """Show RECIPE with all defaults filled in, and its hash.

    RECIPE is a name, a .toml file, or SUITE/NAME.
    """
    from oraclezoo.recipe.resolve import resolve
    from oraclezoo.recipe.suite import load_recipe

    resolved = resolve(load_recipe(recipe, overrides(assigned)), app.registry)
    if as_json:
        emit_json("oraclezoo/recipe/1", {"hash": resolved.hash, "recipe": resolved.to_dict()})
        return
    click.echo(f"# sha256 {resolved.hash}\n{resolved.to_toml()}", nl=False)
    next_step("train", recipe, *(word for pair in assigned for word in ("-s", pair)))
