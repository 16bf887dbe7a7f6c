"""Known pairs hidden among sentences without a translation, as in BUCC's shared task: what `kopri mine` finds.

    python benches/mining.py KOPRI DATA [--model lexical] [--ratios 20,100]      # the binary; the folder of the data sets

Pairs are Russian-Turkmen lines of FLORES-200 dev, the others Russian sentences of Tatoeba and Turkmen ones of
UD_Turkmen-TUD and Tatoeba: 20 or 100 of them to a pair. The threshold is chosen on odd source lines and judged on even
ones. Margins beside the plain cosine; pairs and order are drawn with a fixed seed.
"""

import argparse
import pathlib
import random
import re
import subprocess
import tempfile


def sentences(path, column=None):
    lines = path.read_text(encoding="utf-8").splitlines()
    return [line.split("\t")[column] if column is not None else line for line in lines if line.strip()]


def unique(lines, known):
    kept = []
    for line in (line.strip("\u2063 ").strip() for line in lines):
        if line and line not in known:
            known.add(line)
            kept.append(line)
    return kept


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("kopri")
    arguments.add_argument("data", type=pathlib.Path)
    arguments.add_argument("--model", default="lexical")
    arguments.add_argument("--ratios", default="20,100")
    options = arguments.parse_args()
    data = options.data
    flores = [sentences(data / "flores200-dev" / f"{language}.dev") for language in ("rus", "tuk")]
    pairs = [tuple(line.strip("\u2063 ") for line in pair) for pair in zip(*flores)]
    known = {line for pair in pairs for line in pair}
    russian = unique(sum((sentences(path) for path in sorted((data / "tatoeba").glob("rus-*/*.rus"))), []), known)
    turkmen = []
    for path in sorted((data / "ud-turkmen").glob("*.conllu")):
        turkmen += re.findall(r"^# text = (.*)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    turkmen += sum((sentences(path) for path in sorted((data / "tatoeba").glob("*tuk*/*.tuk"))), [])
    turkmen = unique(turkmen, known)
    print(f"{len(pairs)} pairs, {len(russian)} Russian and {len(turkmen)} Turkmen sentences to hide them among")
    for ratio in map(int, options.ratios.split(",")):
        chance = random.Random(ratio)
        count = min(len(pairs), min(len(russian), len(turkmen)) // ratio)
        hidden = chance.sample(pairs, count)
        source = [pair[0] for pair in hidden] + chance.sample(russian, count * ratio)
        target = [pair[1] for pair in hidden] + chance.sample(turkmen, count * ratio)
        places = [list(range(len(source))), list(range(len(target)))]
        [chance.shuffle(order) for order in places]
        gold = [(places[0].index(n) + 1, places[1].index(n) + 1) for n in range(count)]
        with tempfile.TemporaryDirectory() as folder:
            folder = pathlib.Path(folder)
            for name, lines, order in [("source", source, places[0]), ("target", target, places[1])]:
                (folder / name).write_text("\n".join(lines[n] for n in order) + "\n", encoding="utf-8")
            (folder / "gold").write_text("".join(f"{a}\t{b}\n" for a, b in gold))
            for margin, retrieval in [("absolute", "max"), ("ratio", "max"), ("ratio", "intersect"), ("distance", "intersect")]:
                done = subprocess.run(
                    [options.kopri, "mine", "--source", folder / "source", "--target", folder / "target", "--model", options.model,
                     "--gold", folder / "gold", "--margin", margin, "--retrieval", retrieval, "--quiet"],
                    check=True, capture_output=True, text=True,
                )
                best = [line for line in done.stdout.splitlines() if line.startswith("even")]
                print(f"1:{ratio}, {count} pairs, {margin} {retrieval}: {' '.join(best[0].split()[4:]) if best else done.stdout.strip()}", flush=True)


main()
