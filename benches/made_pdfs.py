"""How much of a known text survives its way through a PDF: ours beside pdftotext, pdfium and pdfminer.

Sets the Russian and the Turkmen text of the demo's articles with LibreOffice and with LaTeX (one and two columns,
justified and hyphenated, running heads, footnotes, subset fonts of several kinds), extracts it with each tool, and
prints for each the share of characters that are right in reading order (1 - Levenshtein distance / longer length,
white space folded) and the pages per second.

    apt-get install libreoffice-writer-nogui hyphen-ru texlive-xetex texlive-lang-cyrillic texlive-lang-other \\
        cm-super fonts-dejavu poppler-utils
    pip install pypdfium2==5.15.2 pdfminer.six==20260107 rapidfuzz==3.14.6
    cargo build --release && python3 benches/made_pdfs.py [FOLDER TO KEEP THE PDFS IN]

The reference has neither running heads nor footnotes. Their text is known, so it is taken out of what each tool gives
before it is compared (and counted, for footnotes are text too); for the other tools, line ends after a hyphen are
joined as well, which ours does by itself. So the figures compare the reading of pages, not the cleaning of books.
"""

import json, os, pathlib, re, subprocess, sys, tempfile, time
from xml.sax.saxutils import escape

ROOT = pathlib.Path(__file__).resolve().parent.parent
KOPRI = os.environ.get("KOPRI", str(ROOT / "target/release/kopri"))
HEADS = {"R": "Сборник статей для проверки", "T": "Barlag üçin makalalar ýygyndysy"}
EVERY = 9  # a footnote at each so many paragraphs


def articles(language):
    """Headings and paragraphs of all articles: [(is heading, text)]."""
    blocks = []
    for path in sorted((ROOT / "corpora/demo/articles").glob("*.txt")):
        text = path.read_text(encoding="utf-8")
        head, _, body = text.partition("\n\n")
        title = re.search(r"^title_%s: (.*)$" % {"R": "ru", "T": "tm"}[language], head, re.M)
        if title is None:
            continue
        blocks.append((True, title[1].strip()))
        paragraph = []
        for line in body.splitlines() + ["¶"]:
            found = re.match(r"(#*)([RT]): (.*)", line)
            if line.strip() == "¶" or (found and found[1]):
                if paragraph:
                    blocks.append((False, " ".join(paragraph)))
                    paragraph = []
            if found and found[2] == language:
                if found[1]:
                    blocks.append((True, found[3].strip()))
                else:
                    paragraph.append(found[3].strip())
    return blocks


def numbered(language):
    """Headings and paragraphs, every ninth paragraph with a footnote that names another article."""
    blocks = articles(language)
    titles = [text for is_heading, text in blocks if is_heading]
    words = {"R": "Об этом говорится и в статье «{}».", "T": "Bu barada «{}» diýen makalada hem aýdylýar."}[language]
    paragraphs, notes = 0, 0
    for is_heading, text in blocks:
        paragraphs += not is_heading
        note = None
        if not is_heading and paragraphs % EVERY == 0:
            notes += 1
            note = words.format(titles[-notes])
        yield is_heading, text, note


def writer(language, columns, folder, name):
    """By LibreOffice, from one flat OpenDocument file."""
    code, country = {"R": ("ru", "RU"), "T": ("tk", "TM")}[language]
    body, count = [], 0
    for is_heading, text, note in numbered(language):
        count += note is not None
        mark = "" if note is None else (
            f'<text:note text:note-class="footnote"><text:note-citation>{count}</text:note-citation><text:note-body>'
            f'<text:p text:style-name="Footnote">{escape(note)}</text:p></text:note-body></text:note>'
        )
        body.append(f'<text:p text:style-name="{"H" if is_heading else "P"}">{escape(text)}{mark}</text:p>')
    section = "\n".join(body)
    if columns > 1:
        section = f'<text:section text:style-name="S" text:name="a">{section}</text:section>'
    xml = f'''<?xml version="1.0" encoding="UTF-8"?>
<office:document xmlns:office="urn:oasis:names:tc:opendocument:xmlns:office:1.0" office:version="1.3"
 office:mimetype="application/vnd.oasis.opendocument.text" xmlns:style="urn:oasis:names:tc:opendocument:xmlns:style:1.0"
 xmlns:text="urn:oasis:names:tc:opendocument:xmlns:text:1.0" xmlns:fo="urn:oasis:names:tc:opendocument:xmlns:xsl-fo-compatible:1.0"
 xmlns:svg="urn:oasis:names:tc:opendocument:xmlns:svg-compatible:1.0">
<office:font-face-decls><style:font-face style:name="F" svg:font-family="'DejaVu Serif'"/></office:font-face-decls>
<office:styles><style:default-style style:family="paragraph"><style:text-properties style:font-name="F" fo:font-size="10pt"
 fo:language="{code}" fo:country="{country}" fo:hyphenate="true" fo:hyphenation-remain-char-count="2" fo:hyphenation-push-char-count="2"/></style:default-style>
<style:style style:name="Footnote" style:family="paragraph"><style:text-properties fo:font-size="8pt"/></style:style></office:styles>
<office:automatic-styles>
<style:style style:name="P" style:family="paragraph"><style:paragraph-properties fo:text-align="justify" fo:text-indent="0.6cm"/></style:style>
<style:style style:name="H" style:family="paragraph"><style:paragraph-properties fo:margin-top="0.4cm" fo:margin-bottom="0.2cm" fo:keep-with-next="always"/>
<style:text-properties fo:font-size="13pt" fo:font-weight="bold" fo:hyphenate="false"/></style:style>
<style:style style:name="C" style:family="paragraph"><style:paragraph-properties fo:text-align="center"/></style:style>
<style:style style:name="S" style:family="section"><style:section-properties><style:columns fo:column-count="{columns}" fo:column-gap="0.8cm"/></style:section-properties></style:style>
<style:page-layout style:name="L"><style:page-layout-properties fo:page-width="17cm" fo:page-height="24cm" fo:margin="1.8cm"/>
<style:header-style><style:header-footer-properties fo:min-height="0.8cm" fo:margin-bottom="0.3cm"/></style:header-style>
<style:footer-style><style:header-footer-properties fo:min-height="0.8cm" fo:margin-top="0.3cm"/></style:footer-style></style:page-layout>
</office:automatic-styles>
<office:master-styles><style:master-page style:name="Standard" style:page-layout-name="L">
<style:header><text:p text:style-name="C">{HEADS[language]}</text:p></style:header>
<style:footer><text:p text:style-name="C"><text:page-number/></text:p></style:footer></style:master-page></office:master-styles>
<office:body><office:text>{section}</office:text></office:body></office:document>'''
    source = folder / f"{name}.fodt"
    source.write_text(xml, encoding="utf-8")
    run("soffice", f"-env:UserInstallation=file://{folder}/profile", "--headless", "--convert-to", "pdf", "--outdir", str(folder), str(source))


def latex(language, columns, folder, name, engine):
    """By xelatex (OpenType fonts as CID fonts) or pdflatex (8-bit Type 1 fonts, several a page)."""
    special = str.maketrans({c: "\\" + c for c in "&%$#_{}"} | {"~": r"\textasciitilde{}", "^": r"\^{}", "\\": r"\textbackslash{}"})
    lines = []
    for is_heading, text, note in numbered(language):
        text = text.translate(special)
        mark = "" if note is None else r"\footnote{%s}" % note.translate(special)
        lines.append(r"\section*{%s}" % text if is_heading else text + mark)
    babel = {"R": "russian", "T": "english"}[language]  # TeX has no Turkmen patterns here; wrong hyphens test as well
    fonts = {
        "xelatex": r"\usepackage{fontspec}\setmainfont{DejaVu Serif}",
        "pdflatex": r"\usepackage[%s]{fontenc}\usepackage[utf8]{inputenc}\usepackage{textcomp}" % {"R": "T2A", "T": "T1"}[language],
    }[engine]
    body = "\n\n".join(lines).replace("°", r"\textdegree{}")
    if engine == "pdflatex":
        dash = "---" if language == "T" else "\\cyrdash{}"
        body = body.replace("—", dash).replace("–", "--").replace("№", r"\textnumero{}").replace("…", r"\dots{}")
    tex = r"""\documentclass[10pt,a5paper,%s]{article}
%s
\usepackage[%s]{babel}
\usepackage[margin=16mm]{geometry}
\usepackage{fancyhdr}\pagestyle{fancy}\fancyhf{}\fancyhead[C]{%s}\fancyfoot[C]{\thepage}
\sloppy\emergencystretch=3em
\begin{document}
%s
\end{document}
""" % ("twocolumn" if columns > 1 else "onecolumn", fonts, babel, HEADS[language], body)
    (folder / f"{name}.tex").write_text(tex, encoding="utf-8")
    run(engine, "-interaction=nonstopmode", f"-output-directory={folder}", str(folder / f"{name}.tex"), check=False)
    log = (folder / f"{name}.log").read_text(encoding="utf-8", errors="replace")
    lost = re.findall(r"Missing character.*|! .*", log)
    if lost or not (folder / f"{name}.pdf").exists():
        sys.exit(f"{engine} could not set {name}: {lost[:3]}")


def run(*command, check=True):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if check and done.returncode:
        sys.exit(f"{command[0]}: {done.stdout.decode(errors='replace')[-500:]}")
    return done.stdout


def by_kopri(path):
    document = json.loads(subprocess.run([KOPRI, "extract", "--json", str(path)], stdout=subprocess.PIPE, check=True).stdout)
    return "\n".join(block["text"] for block in document["blocks"])


def by_pdftotext(path):
    return subprocess.run(["pdftotext", str(path), "-"], stdout=subprocess.PIPE, check=True).stdout.decode()


def by_pdfium(path):
    import pypdfium2

    return "\n".join(page.get_textpage().get_text_range() for page in pypdfium2.PdfDocument(str(path)))


def by_pdfminer(path):
    import pdfminer.high_level

    return pdfminer.high_level.extract_text(str(path))


TOOLS = {"kopri": by_kopri, "pdftotext": by_pdftotext, "pdfium": by_pdfium, "pdfminer": by_pdfminer}


def cleaned(text, language, tool, notes):
    """Without running heads, page numbers and footnotes; answers also how many of the footnotes were there."""
    text = text.replace("\r\n", "\n").replace("\ufffe", "-\n").replace("\x02", "-\n").replace("\u00ad", "")
    if tool != "kopri":
        text = re.sub(r"(\w)[-\u2010]\n+(?=\w)", r"\1", text)
        # A page number stands alone on its line.
        text = "\n".join(line for line in text.split("\n") if not re.fullmatch(r"\s*\d{1,3}\s*\f?", line))
    folded = " ".join(text.split()).replace(HEADS[language], "")
    found = 0
    for number, note in enumerate(notes, 1):
        for spelling in (f"{number} {note}", f"{number}{note}", note):
            if spelling in folded:
                folded = folded.replace(spelling, "", 1)
                found += 1
                break
    return " ".join(folded.split()), found


def main():
    from rapidfuzz.distance import Levenshtein

    keep = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else None
    folder = keep or pathlib.Path(tempfile.mkdtemp())
    folder.mkdir(parents=True, exist_ok=True)
    cases = []
    for language, word in (("R", "ru"), ("T", "tk")):
        for columns in (1, 2):
            for engine in ("writer", "xelatex", "pdflatex"):
                name = f"{engine}-{columns}-{word}"
                if not (folder / f"{name}.pdf").exists():
                    if engine == "writer":
                        writer(language, columns, folder, name)
                    else:
                        latex(language, columns, folder, name, engine)
                cases.append((name, language))
    import pypdfium2

    print(f"{'right in reading order':<22}{'pages':>6}" + "".join(f"{tool:>18}" for tool in TOOLS))
    pages_in_all, sums = 0, dict.fromkeys(TOOLS, 0.0)
    for name, language in cases:
        path = folder / f"{name}.pdf"
        pages = len(pypdfium2.PdfDocument(str(path)))
        pages_in_all += pages
        blocks = list(numbered(language))
        reference = " ".join(" ".join(text for _, text, _ in blocks).split())
        notes = [note for _, _, note in blocks if note]
        row = f"{name:<22}{pages:>6}"
        for tool, extract in TOOLS.items():
            text = extract(path)
            text, found = cleaned(text, language, tool, notes)
            right = Levenshtein.normalized_similarity(reference, text)
            sums[tool] += right
            row += f"{right:>11.4f} {found:>2}/{len(notes):<3}"
        print(row, flush=True)
    print(f"{'mean':<22}{pages_in_all:>6}" + "".join(f"{sums[tool] / len(cases):>11.4f}       " for tool in TOOLS))
    paths = [folder / f"{name}.pdf" for name, _ in cases]
    seconds = {tool: min(timed(tool, paths) for _ in range(3)) for tool in TOOLS}
    print(f"{'pages/s, one core':<28}" + "".join(f"{pages_in_all / seconds[tool]:>11.0f}       " for tool in TOOLS))
    began = min(start() for _ in range(3))
    print(f"{'  without the start':<28}{pages_in_all / (seconds['kopri'] - 2 * began):>11.0f}")
    print(f"n/m: footnotes found of those set. kopri is one command for all files; it and its reader process take {began:.2f} s")
    print("each to start. pdftotext is started for each file; the two others are libraries. Best of three.")


def start():
    """Seconds that our program takes to start and to end."""
    began = time.perf_counter()
    subprocess.run([KOPRI, "--version"], stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - began


def timed(tool, paths):
    """Seconds that a tool takes for all files on one core."""
    if tool == "kopri":
        began = time.perf_counter()
        command = ["taskset", "-c", "0", KOPRI, "extract", "--json", *map(str, paths)]
        subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
        return time.perf_counter() - began
    began = time.perf_counter()
    for path in paths:
        TOOLS[tool](path)
    return time.perf_counter() - began


main()
