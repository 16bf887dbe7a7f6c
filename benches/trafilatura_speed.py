"""trafilatura on the pages of its own evaluation set: pages a second on one core, then on all, and its score.

    python -m venv VENV && VENV/bin/pip install trafilatura==2.2.0 lxml_html_clean
    VENV/bin/python benches/trafilatura_speed.py html_trafilatura_eval

One line of JSON for each of the two runs. The settings are those of its own evaluation: the standard mode with
fall-backs, tables, no comments. The pages are in memory before the clock starts.
"""

import json
import multiprocessing
import os
import sys
import time
from pathlib import Path

import trafilatura

VERSION = "2.2.0"


def text_of(page: bytes) -> str:
    """The text of a page, "" where trafilatura finds none or fails."""
    try:
        text = trafilatura.extract(page, include_comments=False, include_tables=True, include_formatting=False)
    except Exception:  # its own evaluation counts a crash as a page without text
        text = None
    return " ".join((text or "").split())


def main() -> None:
    if trafilatura.__version__ != VERSION:
        sys.exit(f"trafilatura {VERSION} is wanted, {trafilatura.__version__} is installed")
    folder = Path(sys.argv[1])
    items, pages = [], []
    for item in json.loads((folder / "evaldata.json").read_text(encoding="utf-8")).values():
        paths = [folder / place / item["file"] for place in ("cache", "eval")]
        for path in [path for path in paths if path.is_file()][:1]:
            items.append(item)
            pages.append(path.read_bytes())
    text_of(b"<html><body><p>text</p></body></html>")  # what is loaded at first use

    for processes in (1, os.cpu_count() or 1):
        if processes == 1:
            start = time.perf_counter()
            texts = [text_of(page) for page in pages]
            elapsed = time.perf_counter() - start
        else:
            with multiprocessing.Pool(processes) as pool:
                pool.map(text_of, pages[:processes])
                start = time.perf_counter()
                texts = pool.map(text_of, pages, chunksize=8)
                elapsed = time.perf_counter() - start
        found = missed = unwanted = 0
        for item, text in zip(items, texts):
            hits = sum(" ".join(segment.split()) in text for segment in item["with"])
            found += hits
            missed += len(item["with"]) - hits
            unwanted += sum(" ".join(segment.split()) in text for segment in item["without"])
        counts = {"found": found, "missed": missed, "unwanted": unwanted, "pages": len(pages)}
        print(json.dumps({"version": VERSION, "processes": processes, "pages_per_second": len(pages) / elapsed, **counts}))


if __name__ == "__main__":
    main()
