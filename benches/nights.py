#!/usr/bin/env python3
"""What a night costs that brings one sentence in a hundred, against mining all anew.

    python benches/nights.py SOURCE.txt TARGET.txt [--articles 400] [--sentences 60] [--index auto] [--dim 2048] [--kopri PATH]

Makes a site of articles in both languages, whose sentences are the first half of one line and the second half of another
(the same lines on both sides), and runs the nightly job on it: all articles, then one in a hundred more and one changed. Then a copy of the workspace forgets its neighbours and pairs and finds them again. Tells the seconds of
the stages that mine, and whether the pairs are the same.
"""

import argparse, contextlib, pathlib, random, shutil, sqlite3, subprocess, sys, tempfile

PIPELINE = """version = 1
name = "nights"
source = "ru"
target = "tk"
workspace = "w"
[[serve]]
host = "house.test"
folder = "site"
[[site]]
name = "house"
hosts = ["house.test"]
seeds = ["http://house.test/ru/", "http://house.test/tm/"]
articles = ["/{{lang}}/post/{{id}}/*"]
[site.extract]
title = ["h1"]
body = ["article"]
[crawl]
delay = "0s"
revisit = "0s"
revisit-lists = "0s"
max-alike = 1000000
requests-per-host = 1000000
requests = 1000000
bytes-per-host = "100GB"
bytes = "100GB"
[segment]
boilerplate-pages = 0
[embed.lexical]
dim = {dim}
[neighbours]
index = "{index}"
"""
STAGES = ["neighbours", "mine"]


def halves(line):
    words = line.split()
    return " ".join(words[: len(words) // 2]), " ".join(words[len(words) // 2 :])


def write(folder, language, number, texts):
    page = folder / "site" / language / "post" / str(number) / "article.html"
    page.parent.mkdir(parents=True, exist_ok=True)
    body = "".join(f"<p>{text}</p>" for text in texts)
    page.write_text(f'<!doctype html><html lang="{language}"><head><meta charset="utf-8"></head><body><h1>{texts[0]}</h1><article>{body}</article></body></html>')


def group(folder, numbers, lines, sentences, changed=None):
    """Articles of both languages; on the target side, their sentences are dealt out among all of them, so that mining,
    not alignment, is what finds them."""
    made = [[], []]
    for number in numbers:
        choose = random.Random(number)
        for place in range(sentences):
            first, second = choose.randrange(len(lines)), choose.randrange(len(lines))
            if number == changed and place == 0:
                first, second = second, first
            for side in [0, 1]:
                made[side].append(f"{halves(lines[first][side])[0]} {number} {halves(lines[second][side])[1]}")
    random.Random(numbers[0]).shuffle(made[1])
    for side, language in enumerate(["ru", "tm"]):
        for place, number in enumerate(numbers):
            write(folder, language, number, made[side][place * sentences : (place + 1) * sentences])


def lists(folder, articles):
    for language in ["ru", "tm"]:
        links = "".join(f'<li><a href="/{language}/post/{number}/article">{number}</a></li>' for number in range(articles))
        (folder / "site" / language / "index.html").write_text(f"<html><body><ul>{links}</ul></body></html>")


def run(options, folder):
    process = subprocess.run([options.kopri, "run", str(folder / "nights.toml"), "--quiet"], capture_output=True, text=True)
    if process.returncode:
        sys.exit(process.stdout + process.stderr)
    return seconds(folder / "w" / "kopri.db")


def select(path, sql):
    with contextlib.closing(sqlite3.connect(path)) as database:
        return database.execute(sql).fetchall()


def seconds(path):
    return dict(select(path, "SELECT stage, value FROM figure WHERE name = 'seconds' AND run = (SELECT MAX(run) FROM figure)"))


def pairs(path):
    return set(select(path, "SELECT text_pair.source_text, text_pair.target_text FROM text_pair JOIN occurrence ON occurrence.pair = text_pair.id WHERE origin = 'mined'"))


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("source")
    arguments.add_argument("target")
    arguments.add_argument("--articles", type=int, default=400)
    arguments.add_argument("--sentences", type=int, default=60)
    arguments.add_argument("--index", default="auto")
    arguments.add_argument("--dim", type=int, default=2048)
    arguments.add_argument("--kopri", default=str(pathlib.Path(__file__).resolve().parent.parent / "target/release/kopri"))
    options = arguments.parse_args()
    lines = list(zip(*(open(path, encoding="utf-8").read().splitlines() for path in [options.source, options.target])))
    more = max(1, options.articles // 100)
    options.articles = options.articles // more * more
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        (folder / "nights.toml").write_text(PIPELINE.format(index=options.index, dim=options.dim).replace("{{", "{").replace("}}", "}"))
        groups = [range(start, start + more) for start in range(0, options.articles + more, more)]
        for numbers in groups[:-1]:
            group(folder, numbers, lines, options.sentences)
        lists(folder, options.articles)
        first = run(options, folder)
        group(folder, groups[-1], lines, options.sentences)
        group(folder, groups[0], lines, options.sentences, changed=0)
        lists(folder, options.articles + more)
        second = run(options, folder)
        grown = pairs(folder / "w" / "kopri.db")
        database = sqlite3.connect(folder / "w" / "kopri.db")
        database.executescript("DELETE FROM neighbours; DELETE FROM unit WHERE stage IN ('neighbours', 'mine');")
        database.close()
        shutil.rmtree(folder / "w" / "graphs", ignore_errors=True)
        fresh_seconds = run(options, folder)
        fresh = pairs(folder / "w" / "kopri.db")
        texts = select(folder / "w" / "kopri.db", "SELECT COUNT(*) FROM neighbours")[0][0]
    print(f"{texts} texts of both languages, {more} of {options.articles + more} articles new")
    for stages in [[stage] for stage in STAGES] + [STAGES]:
        of = lambda found: sum(found.get(stage, 0.0) for stage in stages)
        print(f"{' + '.join(stages):18} first {of(first):8.2f} s   next night {of(second):8.2f} s   all anew {of(fresh_seconds):8.2f} s   {100 * of(second) / max(1e-9, of(fresh_seconds)):.1f} %")
    print(f"pairs: {len(fresh)}, of them found by the next night too {len(grown & fresh)} ({100 * len(grown & fresh) / max(1, len(fresh)):.3f} %), beyond them {len(grown - fresh)}")


main()
