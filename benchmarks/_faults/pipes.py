"""Section 2: named pipes, shapes without end and slow servers."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from _faults.judge import handled, refused, survived
from _faults.lab import Lab
from _faults.process import Ran, Setting
from _faults.records import Attempt, Case
from _faults.saves import api
from _faults.site import install


@contextmanager
def feed(pipe: Path, content: bytes) -> Iterator[None]:
    """Write to a named pipe once somebody reads it."""

    def write() -> None:
        with contextlib.suppress(OSError), pipe.open("wb") as file:
            file.write(content)

    thread = threading.Thread(target=write, daemon=True)
    thread.start()
    yield
    with contextlib.suppress(OSError):  # nobody read: release the thread
        os.close(os.open(pipe, os.O_RDONLY | os.O_NONBLOCK))
    thread.join(5)


def pipes_in_folders(lab: Lab) -> Iterator[Attempt]:
    """Folders of images with a named pipe among them, and a pipe named on the command line."""
    with lab.folder() as folder:
        pictures = folder / "pictures"
        shutil.copytree(lab.pictures, pictures)
        os.mkfifo(pictures / "9.png")
        setting = Setting(folder, timeout_s=45)
        ran = lab.zoo.run(setting, "predict", "--model", lab.model, pictures, "--json")

        def missing() -> str:
            read = ran.out.count('"probabilit')
            return "" if read >= 4 else f"{read} of 4 images were read"

        if ran.status == 0:
            yield lab.say(survived("predict FOLDER", ran, missing))
        else:
            yield lab.say(refused("predict FOLDER", ran, "9.png", lost=missing))
        ran = lab.zoo.run(setting, "drift", lab.run, pictures, "--data-dir", lab.data)
        yield lab.say(handled("drift FOLDER", ran))
        scans = folder / "scans"
        for name in ("a", "b"):
            shutil.copytree(lab.pictures, scans / name)
        os.mkfifo(scans / "a" / "9.png")
        place = lab.out("data convert", folder / "converted")
        ran = lab.zoo.run(setting, "data", "convert", scans, *place, "--size", "16")
        yield lab.say(handled("data convert FOLDER", ran))
        content = (lab.pictures / "0.png").read_bytes()
        with feed(pictures / "9.png", content):
            ran = lab.zoo.run(setting, "predict", "--model", lab.model, pictures / "9.png")
        yield lab.say(survived("predict PIPE", ran))


def pipes_as_files(lab: Lab) -> Iterator[Attempt]:
    """A named pipe in place of each file of a model, a run, results and data."""
    data: tuple[str | Path, ...] = ("--data-dir", lab.data)
    replaced: list[tuple[Path, str, Callable[[Path], tuple[str | Path, ...]]]] = [
        (lab.plain_model, "model.safetensors", lambda f: ("probe:", "predict", f, lab.images)),
        (lab.plain_model, "model.json", lambda f: ("probe:", "predict", f, lab.images)),
        (lab.model, "model.onnx", lambda f: ("predict", "--model", f, lab.pictures)),
        (lab.model, "model.json", lambda f: ("receipt", f)),
        (lab.run, "run.json", lambda f: ("evaluate", f, *data)),
        (lab.run, "recipe.toml", lambda f: ("evaluate", f, *data)),
        (lab.run, "last.safetensors", lambda f: ("evaluate", f, *data)),
        (lab.run, "metrics.jsonl", lambda f: ("plot", f, *data)),
        (
            lab.data,
            "t10k-images-idx3-ubyte",
            lambda f: ("data", "audit", "idx", "--data-dir", f, "--out", "audit"),
        ),
    ]
    with lab.folder() as folder:
        setting, started = Setting(folder, timeout_s=60), []
        for number, (source, name, command) in enumerate(replaced):
            copy = folder / str(number) / source.name
            shutil.copytree(source, copy)
            (copy / name).unlink()
            os.mkfifo(copy / name)
            words = command(copy)
            started.append((f"a pipe as {name}, {words[0]}", lab.zoo.start(setting, *words)))
        for what, process in started:  # all at once, since each may wait for its time limit
            yield lab.say(refused(what, api(process.wait())))
    with lab.folder() as folder:
        for path in sorted(lab.published.glob("glyphs-3k-tiny*")):
            shutil.copy(path, folder)
        os.mkfifo(folder / "pipe.json")
        setting = Setting(folder, timeout_s=60)
        commands = (("leaderboard", folder), ("submit", "--check", folder))
        waiting = [lab.zoo.start(setting, *words) for words in commands]
        for words, process in zip(commands, waiting, strict=True):
            yield lab.say(handled(f"a pipe beside results, {words[0]}", process.wait()))


def nested_use(depth: int) -> str:
    """Return an SVG file whose ``use`` elements stand for 2^depth shapes."""
    head = '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink">'
    defs = ['<path id="p0" d="M0 0L1 1"/>']
    for level in range(1, depth + 1):
        use = f'<use xlink:href="#p{level - 1}"/>'
        defs.append(f'<g id="p{level}">{use}{use}</g>')
    return f'{head}<defs>{"".join(defs)}</defs><use xlink:href="#p{depth}"/></svg>'


def glyphs(lab: Lab, folder: Path, svg: str, timeout_s: float = 60) -> Ran:
    """Generate images of two classes, one drawn as an SVG file."""
    (folder / "form.svg").write_text(svg, encoding="utf-8")
    (folder / "classes.toml").write_text(
        '[[class]]\nname = "a"\n[[class.form]]\nstrokes = ["line 0 0 1 1"]\n'
        '[[class]]\nname = "b"\n[[class.form]]\nsvg = "form.svg"\n'
    )
    return draw(lab, folder, timeout_s)


def draw(lab: Lab, folder: Path, timeout_s: float = 60) -> Ran:
    """Generate images of the classes in ``classes.toml``."""
    few = ("--train", "10", "--validation", "1", "--test", "1")
    place = lab.out("data glyphs", folder / "out")
    words = ("data", "glyphs", *place, "--classes", folder / "classes.toml", *few)
    return lab.zoo.run(Setting(folder, timeout_s=timeout_s), *words)


def svg_use(lab: Lab) -> Iterator[Attempt]:
    """SVG files with nested and with recursive ``use``."""
    loop = (
        '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink">'
        '<g id="a"><path d="M0 0L1 1"/><use xlink:href="#a"/></g></svg>'
    )
    for name, svg in (("2^24 shapes", nested_use(24)), ("a use of itself", loop)):
        with lab.folder() as folder:
            yield lab.say(refused(name, glyphs(lab, folder, svg), "form.svg|class"))
    with lab.folder() as folder:
        yield lab.say(survived("8 shapes", glyphs(lab, folder, nested_use(3))))


@contextmanager
def slow_server(head: bytes, tail: bytes, pause_s: float = 1.0) -> Iterator[str]:
    """Serve ``head`` at once and then ``tail`` a byte at a time; yields the URL."""
    listener = socket.create_server(("127.0.0.1", 0))
    over = threading.Event()

    def answer(connection: socket.socket) -> None:
        with contextlib.suppress(OSError), connection:
            connection.recv(65536)
            connection.sendall(head)
            for position in range(len(tail)):
                if over.wait(pause_s):
                    return
                connection.sendall(tail[position : position + 1])

    def listen() -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listener.accept()
                threading.Thread(target=answer, args=(connection,), daemon=True).start()

    threading.Thread(target=listen, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        over.set()
        listener.close()


def byte_a_second(lab: Lab) -> Iterator[Attempt]:
    """A server that sends its header or its body a byte a second, to each kind of download."""
    header = b"HTTP/1.1 200 OK\r\nContent-Length: 600\r\n\r\n"
    variants = {"body": (header, b"x" * 600), "header": (b"HTTP/1.1 200 OK\r\nX-Pad: ", b"y" * 600)}
    with lab.folder() as folder, contextlib.ExitStack() as servers:
        started = []
        for what, (head, tail) in variants.items():
            url = servers.enter_context(slow_server(head, tail))
            specs = (
                "from oraclezoo.hookspecs import hookimpl\n"
                "from oraclezoo.specs import fetched_model\n\n\n"
                "@hookimpl\ndef oraclezoo_models():\n"
                f"    return [fetched_model('slow', url='{url}/slow.tar', sha256='{'0' * 64}', "
                "size_bytes=600, summary='A model')]\n"
            )
            site = install(folder / what, specs=specs)
            cache = {"XDG_CACHE_HOME": str(folder / f"cache-{what}")}
            setting = Setting(folder, paths=(site,), env=cache, timeout_s=200)
            commands: tuple[tuple[str | Path, ...], ...] = (
                ("data", "fetch", "--url", url, "--only-3k"),
                ("models", "fetch", "slow"),
            )
            for words in commands:
                name = f"{' '.join(map(str, words[:2]))}, slow {what}"
                started.append((name, lab.zoo.start(setting, *words)))
        for name, process in started:  # all at once, since each takes minutes
            yield lab.say(refused(name, process.wait(), "slow|time|download"))


CASES = (
    Case("hang-pipe-in-folder", "Named pipes in folders (`predict`, `drift`)", pipes_in_folders),
    Case("hang-pipe-as-file", "A pipe as `model.safetensors`, or as another file", pipes_as_files),
    Case("hang-svg-use", "SVG with nested `use`", svg_use),
    Case("hang-slow-server", "A server that sends a byte a second", byte_a_second),
)
