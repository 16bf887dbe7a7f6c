"""Questions to a real Label Studio and people's answers back: `kopri labelstudio` from end to end.

    .pytools/label-studio/bin/python tests/external/annotate_with_label_studio.py target/release/kopri
        [--record tests/golden/label-studio] [--screenshots FOLDER --chromium /usr/bin/chromium]

Starts Label Studio on loopback with SQLite in a temporary folder, makes an owner, three annotators and tokens that live
as long as the test, and lets kopri push and pull through a proxy that loses replies, answers 502 and lets the server
restart in between. What is on the server is counted by asking it directly, what is in the workspace by reading its
database. Prints what it measured; exits with 1 and says what is wrong at the first promise that is not kept.

`--record` writes the exchanges of a small scenario for `tests/it/labelstudio.rs`; `--screenshots` takes pictures of the
labelling interfaces. `make test-labelstudio` installs what is needed and runs it (label-studio 1.23.2).
"""

import argparse
import json
import os
import random
import re
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from label_studio import Fault, LabelStudio, Person, Proxy, log_in, sign_up  # noqa: E402

PEOPLE = ["ayna@example.org", "batyr@example.org", "maya@example.org"]
TASKS = 1000
MORE_TASKS = 3000

PIPELINE = """
version = 1
name = "{name}"
source = "ru"
target = "tk"
workspace = "workspace"
[annotate]
interface = "{interface}"
budget = {budget}
annotators = 3
[annotate.label-studio]
url = "{url}"
"""

THINGS = [("книгу", "kitap"), ("газету", "gazet"), ("письмо", "hat"), ("журнал", "žurnal"), ("рассказ", "hekaýa")]
PLACES = [("в школе", "mekdepde"), ("дома", "öýde"), ("в библиотеке", "kitaphanada"), ("в Мары", "Maryda")]
TIMES = [("утром", "irden"), ("вечером", "agşam"), ("вчера", "düýn"), ("сегодня", "şu gün")]


def check(truth, said):
    if not truth:
        raise AssertionError(said)


def pairs(count):
    """Pairs that differ in their numbers, so that none is a duplicate; every seventh is wrong."""
    draw = random.Random(7)
    for index in range(count):
        (thing, kitap), (place, yerde), (time_ru, wagt) = draw.choice(THINGS), draw.choice(PLACES), draw.choice(TIMES)
        pages = 10 + index
        target = f"Mugallym {wagt} {yerde} {pages} sahypalyk {kitap} okady."
        if index % 7 == 3:
            target = f"Açyk howada {pages} adam ýygnandy we aýdym aýdyldy."
        source = f"Учитель {time_ru} {place} прочитал {thing} из {pages} страниц."
        yield {"source": source, "target": target}


class Kopri:
    """A pipeline in a folder, and the program that works on it."""

    def __init__(self, program, folder, url, token, name="bridge", interface="translation", budget=TASKS):
        self.program, self.folder, self.token = program, Path(folder), token
        self.folder.mkdir(parents=True)
        text = PIPELINE.format(url=url, name=name, interface=interface, budget=budget)
        (self.folder / "pipeline.toml").write_text(text)

    def command(self, *arguments):
        return [str(self.program), *arguments[:2], "pipeline.toml", *arguments[2:]] if arguments[0] in (
            "labelstudio",
        ) else [str(self.program), arguments[0], "pipeline.toml", *arguments[1:]]

    def environment(self, token=None):
        return {**os.environ, "LABEL_STUDIO_TOKEN": token or self.token, "NO_COLOR": "1"}

    def run(self, *arguments, expect=0, token=None):
        done = subprocess.run(
            self.command(*arguments),
            cwd=self.folder,
            env=self.environment(token),
            capture_output=True,
            text=True,
            timeout=1800,
        )
        said = done.stdout + done.stderr
        check((token or self.token) not in said, f"{arguments} shows the token")
        check(done.returncode == expect, f"{arguments} ended with {done.returncode}, expected {expect}:\n{said}")
        self.said = done.stderr
        return json.loads(done.stdout) if "--json" in arguments else said

    def start(self, *arguments):
        return subprocess.Popen(
            self.command(*arguments), cwd=self.folder, env=self.environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )

    def rows(self, sql, *values):
        database = sqlite3.connect(f"file:{self.folder}/workspace/kopri.db?mode=ro", uri=True)
        try:
            return database.execute(sql, values).fetchall()
        finally:
            database.close()

    def fill(self, count):
        with open(self.folder / "pairs.tsv", "w") as out:
            out.write("source\ttarget\n")
            for pair in pairs(count):
                out.write("{source}\t{target}\n".format(**pair))
        self.run("import", "tsv", "pairs.tsv")
        self.run("run")
