"""The tasks that read existing files: a .tflite, or bundles. tasks.py has the others."""

from invoke.context import Context
from invoke.tasks import task

from litekiln.commands.runner import COMMON, run_command
from litekiln.engines.names import AUTO


@task(
    help={
        "file": "the .tflite file",
        "out": "where to write the picture (default: the file's name with .svg, in the current folder)",
        "dot": "also write the graph as Graphviz's text, beside the picture",
        **{name: COMMON[name] for name in ("engine", "json", "debug")},
    }
)
def graph(
    _: Context, file: str, out: str = "", dot: bool = False, engine: str = AUTO, json: bool = False, debug: bool = False
) -> None:
    """Draw a .tflite file's graph as SVG: operators, shapes, types, quantisation."""
    from litekiln.commands.graph import GraphRequest, draw_graph

    request = GraphRequest(file=file, out=out, dot=dot, engine=engine)
    run_command(draw_graph, request, as_json=json, debug=debug)


@task(
    iterable=["file"],
    help={
        "file": "the .tflite file; can be given more than once",
        "labels": "its class names: a .pbtxt, or a .txt with one name a line (default: in the file, or labelmap.txt beside it)",
        "fix": "repair what needs no source, write the result to this file, and prove that detections stay the same",
        "mean": "with --fix: the network takes (pixel - mean) / std; one number, or three as RED,GREEN,BLUE",
        "std": "see --mean",
        "pictures": "with --fix: also prove it on the pictures of this folder",
        "sarif": "write the findings to this file as SARIF 2.1.0, for code scanning",
        **{name: COMMON[name] for name in ("engine", "json", "debug")},
    },
)
def lint(
    _: Context,
    file: list[str],
    labels: str = "",
    fix: str = "",
    mean: str = "",
    std: str = "",
    pictures: str = "",
    sarif: str = "",
    engine: str = AUTO,
    json: bool = False,
    debug: bool = False,
) -> None:
    """Say what is wrong with .tflite files made elsewhere. Exit code 0: nothing, 1: findings, 2: unreadable."""
    from litekiln.commands.lint import LintRequest
    from litekiln.commands.lint import lint as lint_files

    request = LintRequest(files=file, labels=labels, sarif=sarif, fix=fix, pixels=(mean, std), pictures=pictures, engine=engine)
    run_command(lint_files, request, as_json=json, debug=debug)


@task(
    iterable=["device"],
    help={
        "model": "a folder below out/",
        "variant": "one of its bundles (default: all)",
        "device": "also show what `bench --json` measured on a device: its file, or a folder of them; can be given more than once",
        "open": "open the page in the browser (on a terminal only)",
        **{name: COMMON[name] for name in ("json", "debug")},
    },
)
def report(
    _: Context,
    model: str,
    device: list[str],
    variant: str = "",
    open: bool = False,  # noqa: A002 - the flag's name
    json: bool = False,
    debug: bool = False,
) -> None:
    """Show how good a model's bundles are: a table, and out/<model>/report.html."""
    from litekiln.commands.report import ReportRequest, show_report

    request = ReportRequest(model=model, variant=variant, devices=device, open_page=open and not json)
    run_command(show_report, request, as_json=json, debug=debug)


@task(
    positional=["a", "b"],
    help={
        "a": "a bundle's folder, its report.json, or model/variant below out/",
        "b": "the other one",
        "out": "also write a page with both side by side: FILE.html",
        **{name: COMMON[name] for name in ("json", "debug")},
    },
)
def compare(_: Context, a: str, b: str, out: str = "", json: bool = False, debug: bool = False) -> None:
    """Show two builds side by side, and what differs."""
    from litekiln.commands.compare import CompareRequest, compare_builds

    request = CompareRequest(a=a, b=b, out=out)
    run_command(compare_builds, request, as_json=json, debug=debug)
