"""Section 2, third part: models, cards and files of a stranger; pipes, loops and slow servers."""

from __future__ import annotations

import shutil
import tarfile
from collections.abc import Iterator

from _faults import graphs
from _faults.judge import checked, handled, refused, survived
from _faults.lab import Lab, edit
from _faults.process import Setting
from _faults.records import Attempt, Case
from _faults.saves import SAMPLES, api

LIES = {
    "6 rows for 3 images": graphs.twice,
    "NaN": graphs.scaled(float("nan")),
    "infinity": graphs.scaled(float("inf")),
    "negative values": graphs.shifted(-1.0),
    "rows that sum to 2": graphs.scaled(2.0),
}


def onnx_lies(lab: Lab) -> Iterator[Attempt]:
    """ONNX files whose output is no probability distribution, in each way to predict."""
    for what, change in LIES.items():
        with lab.folder() as folder:
            model = graphs.forged(lab.model, folder / "model", change)
            for probe in ("predict", "predictor"):
                ran = api(lab.zoo.probe(Setting(folder), probe, model, lab.images))
                name = "oz.load(...)" if probe == "predict" else "oz.predictor(...)"
                yield lab.say(refused(f"{what}, {name}.predict", ran, "probabilit|output|rows"))
            ran = lab.zoo.run(Setting(folder), "predict", "--model", model, lab.pictures)
            yield lab.say(refused(f"{what}, predict", ran, "probabilit|output|rows"))


def onnx_runtime_failure(lab: Lab) -> Iterator[Attempt]:
    """An ONNX file that loads and fails when it runs."""
    with lab.folder() as folder:
        model = graphs.forged(lab.model, folder / "model", graphs.out_of_range)
        for probe in ("predict", "predictor"):
            ran = api(lab.zoo.probe(Setting(folder), probe, model, lab.images))
            yield lab.say(refused(f"{probe} of the API", ran, "model"))
        ran = lab.zoo.run(Setting(folder), "predict", "--model", model, lab.pictures)
        yield lab.say(refused("predict", ran, "model"))
        out = lab.out("quantize", folder / "int8")
        ran = lab.zoo.run(Setting(folder), "quantize", model, *out, *lab.measuring())
        yield lab.say(refused("quantize", ran, "model"))


def onnx_external(lab: Lab) -> Iterator[Attempt]:
    """An ONNX file whose weights are in another file, in the folder and outside of it."""
    for location in ("weights.bin", "../outside.bin"):
        with lab.folder() as folder:
            model = graphs.external(lab.model, folder / "model", location)
            for probe in ("predict", "predictor"):
                ran = api(lab.zoo.probe(Setting(folder), probe, model, lab.images))
                yield lab.say(refused(f"{location}, {probe} of the API", ran, "external"))
            ran = lab.zoo.run(Setting(model), "predict", "--model", model, lab.pictures)
            yield lab.say(refused(f"{location}, predict in the folder", ran, "external"))


def onnx_loop(lab: Lab) -> Iterator[Attempt]:
    """An ONNX file with a loop of 2^63 - 1 rounds."""
    with lab.folder() as folder:
        model = graphs.forged(lab.model, folder / "model", graphs.endless)
        setting = Setting(folder, timeout_s=60)
        ran = lab.zoo.run(setting, "predict", "--model", model, lab.pictures)
        yield lab.say(refused("predict", ran, "loop|operator"))
        ran = api(lab.zoo.probe(setting, "predict", model, lab.images))
        yield lab.say(refused("oz.load(...).predict", ran, "loop|operator"))


def card_pretrained(lab: Lab) -> Iterator[Attempt]:
    """Cards that ask for pretrained weights must not make the program use the network."""
    for name in ("timm/lcnet_050", "oraclezoo:timm/resnet10t", "lcnet_050"):
        with lab.folder() as folder:
            model = folder / "model"
            shutil.copytree(lab.plain_model, model)

            def ask(card: dict[str, object], name: str = name) -> None:
                card["backbone"] = {"name": name, "options": {"pretrained": True}}

            edit(model / "model.json", ask)
            out = lab.out("export", folder / "out")
            for words in (
                ("probe:", "predict", model, lab.images),
                ("export", model, *out, *lab.measuring()),
            ):
                ran = api(lab.zoo.start(Setting(folder, network=False), *words).wait())
                what = f"{name}, {'oz.load' if words[0] == 'probe:' else words[0]}"
                if ran.connections:
                    yield lab.say(checked(what, f"it used the network: {ran.connections}", ran))
                else:
                    yield lab.say(refused(what, ran, "pretrained"))


def card_size(lab: Lab) -> Iterator[Attempt]:
    """Cards with large images: memory of loading stays small."""
    limit = 2 << 30
    run = lab.train(lab.work / "timm-run", lab.data, backbone="mobilenetv3_small_100", epochs=1)
    timm = lab.work / "timm-model"
    lab.need(lab.zoo.probe(Setting(lab.work), "run_model", run, timm))
    for source in (timm, SAMPLES / "pruned-oraclenet", SAMPLES / "exported"):
        for size in (512, 2500):
            with lab.folder() as folder:
                model = folder / "model"
                shutil.copytree(source, model)

                def enlarge(card: dict[str, dict[str, object]], size: int = size) -> None:
                    card["input"]["image_size"] = size
                    card.pop("onnx", None)

                edit(model / "model.json", enlarge)
                (model / "model.onnx").unlink(missing_ok=True)
                ran = api(lab.zoo.probe(Setting(folder), "load_warnings", model))
                gigabytes = ran.peak_bytes / (1 << 30)
                lost = f"loading takes {gigabytes:.1f} GB" if ran.peak_bytes > limit else ""
                what = f"{source.name} with image_size {size}"
                if ran.status == 0:
                    yield lab.say(survived(what, ran, lambda w=lost: w))
                else:
                    yield lab.say(refused(what, ran, lost=lambda w=lost: w))


def archive_with_links(lab: Lab) -> Iterator[Attempt]:
    """A model's archive with a link out of its folder is refused."""
    with lab.folder() as folder:
        archive = folder / "scans.tar"
        with tarfile.open(archive, "w") as tar:
            for name in ("a", "b"):
                tar.add(lab.pictures, name)
            link = tarfile.TarInfo("a/link.png")
            link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
            tar.addfile(link)
        place = lab.out("data convert", folder / "out")
        words = ("data", "convert", archive, *place, "--size", "16")
        ran = lab.zoo.run(Setting(folder, timeout_s=60), *words)
        yield lab.say(handled("data convert of an archive with a link", ran))
        written = list((folder / "out").glob("*-ubyte*")) if (folder / "out").exists() else []
        yield lab.say(checked("its output", "" if ran.status or written else "no file", ran))


CASES = (
    Case(
        "onnx-lies",
        "`oz.load(...).predict` believes an ONNX file that gives 6 rows for 3 images, NaN or "
        "negative probabilities: one predictor for both",
        onnx_lies,
    ),
    Case("onnx-external", "ONNX external data is refused", onnx_external),
    Case(
        "card-pretrained", "A card with `pretrained = true` contacts a model hub", card_pretrained
    ),
    Case(
        "card-size",
        "A small card with `image_size` 2500 takes 5.8 GB: sizes are capped, no forward pass on "
        "load",
        card_size,
    ),
    Case("hang-onnx-loop", "An ONNX loop without end", onnx_loop),
    Case(
        "onnx-runtime-failure", "ONNX that fails at run time is “unexpected”", onnx_runtime_failure
    ),
    Case("archive-link", "An archive with a link out of its folder", archive_with_links),
)
