"""Reads a page archive with warcio, which shares no code with the writer, and checks what the archive promises.

    PYTHONPATH=.pytools python3 tests/external/warc_with_warcio.py WORKSPACE/pages

Every record must be a gzip member of its own that ends where its length says, with the digests of its bytes; record ids
are unique; what a record refers to is there. Prints the number of records of each type. Exits with 1 and a list of what
is wrong; an archive without a single response is wrong as well. `make test-warc` runs it on the demo (warcio 1.8.1).
"""

import base64
import contextlib
import hashlib
import io
import sys
import zlib
from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from urllib.parse import urlsplit

from warcio.archiveiterator import ArchiveIterator
from warcio.exceptions import ArchiveLoadFailed

PROFILES = {
    "http://netpreserve.org/warc/1.1/revisit/identical-payload-digest",
    "http://netpreserve.org/warc/1.1/revisit/server-not-modified",
}
MEDIA_TYPES = {
    "warcinfo": "application/warc-fields",
    "request": "application/http;msgtype=request",
    "response": "application/http;msgtype=response",
    "revisit": "application/http;msgtype=response",
    # What a feed says of a page: of whatever type it is.
    "resource": None,
}


@dataclass
class Record:
    """What the checks across records need to know of one."""

    place: str
    kind: str
    id: str
    url: str | None
    date: datetime | None
    concurrent_to: str | None
    refers_to: str | None
    refers_to_url: str | None
    refers_to_date: str | None
    payload: str | None


def instant(text):
    """A WARC-Date: UTC, to the second or finer. Fractions beyond microseconds, which the store has not, are dropped."""
    if text is None or not text.endswith("Z"):
        return None
    whole, _, fraction = text[:-1].partition(".")
    try:
        return datetime.fromisoformat(whole + "." + (fraction + "000000")[:6])
    except ValueError:
        return None


def sha1(data):
    return "sha1:" + base64.b32encode(hashlib.sha1(data).digest()).decode("ascii")


def is_id(text):
    return text is not None and text.startswith("<urn:uuid:") and text.endswith(">") and len(text) == 47


def check_block(kind, headers, http, block, wrong):
    """Digests over the bytes as they were read, and the HTTP message inside."""
    block_digest, payload_digest = headers.get_header("WARC-Block-Digest"), headers.get_header("WARC-Payload-Digest")
    if block_digest is None:
        wrong("has no block digest")
    elif block_digest != sha1(block):
        wrong(f"block digest {block_digest}, its bytes have {sha1(block)}")
    if len(block) != int(headers.get_header("Content-Length") or -1):
        wrong(f"has {len(block)} bytes, its Content-Length is {headers.get_header('Content-Length')}")
    if kind == "resource" and payload_digest not in (None, block_digest):
        wrong(f"payload digest {payload_digest}, its block is its payload and has {block_digest}")
    if kind in ("warcinfo", "resource"):
        return
    head, gap, body = block.partition(b"\r\n\r\n")
    if not gap:
        wrong("the HTTP head does not end")
    if http is None or not http.statusline:
        wrong("warcio finds no HTTP head")
    # A revisit's payload is that of the record it refers to.
    if kind == "response" and payload_digest != sha1(body):
        wrong(f"payload digest {payload_digest}, its body has {sha1(body)}")
    if kind == "response" and (length := http and http.get_header("content-length")) != str(len(body)):
        wrong(f"a body of {len(body)} bytes, archived with content-length {length}")
    if kind == "response" and http and (http.get_header("content-encoding") or http.get_header("transfer-encoding")):
        wrong("says that its body is coded, which is stored decoded")
    if kind == "request" and body:
        wrong("a GET request with a body")
    if kind == "request" and not head.startswith(b"GET /"):
        wrong(f"begins with {head[:20]!r}")
    if kind == "request" and http and any(http.get_header(name) for name in ("authorization", "cookie", "x-api-key")):
        wrong("holds a secret")


def check_record(record, place, complain):
    """Checks one record by its head; its summary and body, or None for a type that kopri never writes."""
    headers, kind = record.rec_headers, record.rec_type

    def wrong(what):
        complain(f"{place} ({kind}): {what}")

    header = headers.get_header
    if kind not in MEDIA_TYPES:
        wrong("a type of record that the archive should not have")
        return None
    if headers.protocol != "WARC/1.1":
        wrong(f"version {headers.protocol}")
    names = Counter(name.lower() for name, _ in headers.headers)
    for name, count in names.items():
        if count > 1 and name != "warc-concurrent-to":
            wrong(f"{name} is given {count} times")
    content_type = header("Content-Type")
    if not content_type or content_type != (MEDIA_TYPES[kind] or content_type):
        wrong(f"Content-Type {content_type}")
    if not is_id(header("WARC-Record-ID")):
        wrong(f"WARC-Record-ID {header('WARC-Record-ID')}")
    date = instant(header("WARC-Date"))
    if date is None:
        wrong(f"WARC-Date {header('WARC-Date')}")
    url = header("WARC-Target-URI")
    if kind == "warcinfo":
        if url is not None:
            wrong("has a WARC-Target-URI")
    elif url is None or urlsplit(url).scheme not in ("http", "https") or not urlsplit(url).hostname:
        wrong(f"WARC-Target-URI {url}")
    if kind == "revisit" and header("WARC-Profile") not in PROFILES:
        wrong(f"WARC-Profile {header('WARC-Profile')}")

    # Digests are checked while the record is read, so it is read to its end. What comes is the body alone: warcio has
    # taken the HTTP head off.
    body = record.raw_stream.read()
    if record.digest_checker.passed is False:
        for problem in record.digest_checker.problems:
            wrong(f"warcio: {problem}")
    elif record.digest_checker.passed is None and kind != "revisit":
        wrong("warcio had no digest to check")
    summary = Record(
        place=place,
        kind=kind,
        id=header("WARC-Record-ID"),
        url=url,
        date=date,
        concurrent_to=header("WARC-Concurrent-To"),
        refers_to=header("WARC-Refers-To"),
        refers_to_url=header("WARC-Refers-To-Target-URI"),
        refers_to_date=header("WARC-Refers-To-Date"),
        payload=header("WARC-Payload-Digest"),
    )
    return summary, body


def check_references(records, complain):
    """Checks what records say of one another, over all files: a page may have been archived in an earlier one."""
    by_id = {}
    for record in records:
        if record.id in by_id:
            complain(f"{record.place} ({record.kind}): the id {record.id} is that of {by_id[record.id].place} too")
        by_id.setdefault(record.id, record)
    responses = {(record.url, record.date): record for record in records if record.kind == "response"}
    asked = set()
    for record in records:
        def wrong(what, record=record):
            complain(f"{record.place} ({record.kind}): {what}")

        if record.kind == "request":
            answer = by_id.get(record.concurrent_to)
            if answer is None or answer.kind not in ("response", "revisit"):
                wrong(f"WARC-Concurrent-To {record.concurrent_to} is no answer of this archive")
            elif (answer.url, answer.date) != (record.url, record.date):
                wrong(f"asks for {record.url}, its answer at {answer.place} is of {answer.url} or of another moment")
            else:
                asked.add(answer.id)
        elif record.kind == "revisit":
            check_revisit(record, by_id, responses, wrong)
    for record in records:
        if record.kind in ("response", "revisit") and record.id not in asked:
            complain(f"{record.place} ({record.kind}): no request leads to it")


def check_revisit(record, by_id, responses, wrong):
    """A revisit names what it repeats by id, or by URL and date; whatever it names must lie earlier in the archive."""
    originals = []
    if record.refers_to is not None:
        originals.append((record.refers_to, by_id.get(record.refers_to)))
    if record.refers_to_url is not None or record.refers_to_date is not None:
        date = instant(record.refers_to_date)
        originals.append((
            f"{record.refers_to_url} at {record.refers_to_date}",
            responses.get((record.refers_to_url, date)),
        ))
    for name, original in originals:
        if original is None or original.kind != "response":
            wrong(f"refers to {name}, which is no response of this archive")
        elif record.date and original.date and original.date >= record.date:
            wrong(f"refers to {name}, which is not earlier")
        elif record.payload is not None and record.payload != original.payload:
            wrong(f"payload digest {record.payload}, {name} has {original.payload}")


def member_blocks(data):
    """The block of each gzip member, by zlib alone: bytes as they lie in the file."""
    while data:
        unpacker = zlib.decompressobj(wbits=31)
        record = unpacker.decompress(data) + unpacker.flush()
        if not unpacker.eof:
            raise ValueError("the last gzip member breaks off")
        _, gap, rest = record.partition(b"\r\n\r\n")
        if not gap or not rest.endswith(b"\r\n\r\n"):
            raise ValueError("a gzip member does not end as a record does")
        yield rest[:-4]
        data = unpacker.unused_data


def read_file(path, complain):
    """All records of a file, each checked on its own."""
    data = path.read_bytes()
    records = []
    try:
        blocks = list(member_blocks(data))
    except (ValueError, zlib.error) as error:
        complain(f"{path.name}: {error}")
        return records

    warnings = io.StringIO()
    with contextlib.redirect_stderr(warnings):
        iterator = ArchiveIterator(io.BytesIO(data), check_digests=True)
        try:
            for number, record in enumerate(iterator):
                place = f"{path.name}, record {number + 1}"
                if number >= len(blocks):
                    complain(f"{place}: not in a gzip member of its own")
                    break
                if number == 0 and record.rec_type != "warcinfo":
                    complain(f"{place}: the file does not begin with warcinfo")
                checked = check_record(record, place, complain)
                if checked is None:
                    continue
                summary, body = checked
                if not blocks[number].endswith(body):
                    complain(f"{place}: warcio reads another body than the member holds")
                check_block(
                    summary.kind,
                    record.rec_headers,
                    record.http_headers,
                    blocks[number],
                    lambda what, place=place, kind=summary.kind: complain(f"{place} ({kind}): {what}"),
                )
                records.append(summary)
        except ArchiveLoadFailed as error:
            complain(f"{path.name}: warcio gives up: {' '.join(str(error).split())}")
    if iterator.err_count or warnings.getvalue():
        complain(f"{path.name}: warcio warns: {' '.join(warnings.getvalue().split())}")
    if len(records) != len(blocks):
        complain(f"{path.name}: {len(blocks)} gzip members, {len(records)} sound records")
    return records


def main(arguments):
    if len(arguments) != 1:
        print(__doc__, file=sys.stderr)
        return 2
    folder = Path(arguments[0])
    problems, records = [], []
    files = sorted(folder.glob("**/*.warc.gz"))
    for path in files:
        records += read_file(path, problems.append)
    check_references(records, problems.append)
    counts = Counter(record.kind for record in records)
    if not counts["response"]:
        problems.append(f"{folder}: no response in {len(files)} files")
    print(f"{folder}: {len(files)} files, " + ", ".join(f"{counts[kind]} {kind}" for kind in MEDIA_TYPES))
    for problem in problems:
        print(f"wrong: {problem}", file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
