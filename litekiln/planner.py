"""From a recipe to a plan."""

from litekiln.errors import UsageError
from litekiln.paths import Project
from litekiln.plan import Plan, PlanBuilder
from litekiln.recipes import Recipe
from litekiln.toolchains import Toolchain, load_toolchain


def plan_build(project: Project, recipe: Recipe, variants: list[str]) -> Plan:
    """The steps that make the named variants of a model, or all that its recipe lists."""
    spec = recipe.spec
    unknown = sorted(set(variants) - set(spec.convert.variants))
    if unknown:
        msg = f"models/{recipe.name}/model.toml has no variant {unknown[0]!r}"
        raise UsageError(msg, remedy=f"choose among: {', '.join(spec.convert.variants)}; or add it to convert.variants")
    builder = PlanBuilder(project, recipe.name)
    file, _, name = spec.source.function.partition(":")
    builder.add(
        "export",
        "export_function.py",
        load_toolchain(project, spec.export.toolchain),
        args={"name": name},
        inputs={"source": builder.file(recipe.folder / file)},
    )
    converter = load_toolchain(project, spec.convert.toolchains[0])
    for variant in spec.convert.variants:
        if variant in variants or not variants:
            builder.add(
                f"convert {variant}",
                "convert.py",
                converter,
                args={"variant": variant},
                inputs={"exported": builder.output("export")},
            )
            builder.variant(variant, f"convert {variant}")
    return builder.plan()


def plan_smoke(project: Project, toolchain: Toolchain) -> Plan:
    """One step: the toolchain's smoke program."""
    builder = PlanBuilder(project, "smoke")
    spec = toolchain.spec
    args = {"python": spec.python, "tensorflow": spec.tensorflow, "imports": spec.imports}
    builder.add("smoke", "smoke.py", toolchain, args=args, inputs={}, timeout=900)
    return builder.plan()
