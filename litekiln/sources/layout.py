"""How a fetched or copied source is laid out, whatever its archive looked like, so that later steps know where everything is."""

import shutil
from pathlib import Path

CHECKPOINT = "ckpt-0"  # what the checkpoint is called here, whatever its name was


READY = "tflite_graph.pb"  # what TF1's exporter writes; some archives have it


SOURCE = "source"  # what a source of one file or folder is called here


def lay_out(config: Path, prefix: Path, out: Path) -> None:
    """A model's source as later steps expect it: pipeline.config, checkpoint/ckpt-0, ready/ (with TF1's finished graph, if any)."""
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


VERSION = 2  # counts what they leave: part of their steps' keys
