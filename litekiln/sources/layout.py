"""The layout of a fetched or copied source, the same for every archive, so that later steps find everything."""

import shutil
from pathlib import Path

CHECKPOINT = "ckpt-0"  # the checkpoint's name here, whatever it was before


READY = "tflite_graph.pb"  # TF1's exporter writes it; some archives have it


SOURCE = "source"  # the name of a source of one file or folder here


def lay_out(config: Path, prefix: Path, out: Path) -> None:
    """Copy a source to where later steps expect it: pipeline.config, checkpoint/ckpt-0, ready/ (with TF1's graph, if any)."""
    target = out / "checkpoint"
    target.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(config, out / "pipeline.config")
    if (config.parent / READY).is_file():
        (out / "ready").mkdir(exist_ok=True)
        shutil.copyfile(config.parent / READY, out / "ready" / READY)
    for path in sorted(prefix.parent.iterdir()):
        if path.name.startswith((f"{prefix.name}.index", f"{prefix.name}.data-")):
            shutil.copyfile(path, target / (CHECKPOINT + path.name[len(prefix.name) :]))
    (target / "checkpoint").write_text(f'model_checkpoint_path: "{CHECKPOINT}"\n', encoding="utf-8")


VERSION = 2  # of this layout; part of the keys of the steps that write it
