#!/usr/bin/env python3
"""Makes the demo corpus (sites/, textbooks/, gold*.tsv, document_gold*.tsv) from articles/ and books/.

    python3.11 -m venv venv && venv/bin/pip install fpdf2==2.8.9 pyphen==0.18.1 fonttools==4.68.0 pillow==13.0.0
    venv/bin/python make_demo.py            # writes
    venv/bin/python make_demo.py --check    # writes nothing; exit 1 and names when the files on disk differ

Deterministic: the same sources, the packages pinned above and the same fonts (Debian fonts-dejavu-core 2.37) give
the same bytes.  The notation of the sources is in README.md.
"""
import argparse, csv, hashlib, html, io, json, re, sys, unicodedata  # noqa: E401
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime
from html.entities import codepoint2name
from pathlib import Path

LANGS = ("ru", "tm", "en")                            # as the sites write them; "tm" is the language tk
BOTH = ("ru", "tm")                                   # the languages of every book, and of yelken
SIDE = {"R": "ru", "T": "tm", "E": "en"}
PARAGRAPH = {"": (), "¶": LANGS, "¶r": ("ru",), "¶t": ("tm",), "¶e": ("en",)}
GOLD = {"": BOTH, "_en": ("en", "tm")}                # suffix of the gold files -> source and target language
KIND = {"": "sentence", "##": "chapter", "#": "heading", "-": "item", "x": "exercise"}
TZ = timezone(timedelta(hours=5))
PER_PAGE = 12                                         # items on a listing page
FEED_SIZE = 15                                        # items in an RSS feed
UNTRANSLATED = "41"                                   # this article is "translated" by its own Russian text
CP1251_RANK = 4                                       # which bilingual yelken article (by id) is in windows-1251
FORBIDDEN_TEXT = "Маяк 7319 «бирюзовая скумбрия»: эту страницу робот не должен был открывать."
ARTICLE_KEYS = {"site", "id", "date", "category", "image", *(f"{k}_{lang}" for k in ("title", "slug") for lang in LANGS)}
BOOK_KEYS = {"book", "subject", "grade", "title_ru", "title_tm", "part"}

# ---------------------------------------------------------------- the sources

class SourceError(Exception):
    pass

def need(condition, where, message):
    if not condition:
        raise SourceError(f"{where}: {message}")

@dataclass
class Bead:
    line: int
    kind: str = ""
    free: bool = False
    sides: dict = field(default_factory=lambda: {lang: [] for lang in LANGS})

    def has(self, *langs):
        return all(self.sides[lang] for lang in langs)

@dataclass
class Doc:
    name: str
    head: dict
    beads: list
    blocks: dict                                      # language -> [(kind, [sentence, ...]), ...]
    untranslated: bool = False

    def has(self, lang):
        return f"title_{lang}" in self.head

    def title(self, lang):
        return self.head[f"title_{lang}"]

    @property
    def twins(self):
        return self.pairs(*BOTH)

    def pairs(self, source, target):
        """Whether one of its texts translates the other."""
        return self.has(source) and self.has(target) and not self.untranslated

    def time(self, lang):
        """Publication time; the translations follow the Russian text after some minutes."""
        late = 0 if lang == "ru" or not self.has("ru") else 3 + pick(f"late{self.name}", 9)
        return datetime.strptime(self.head["date"], "%Y-%m-%d %H:%M").replace(tzinfo=TZ) + timedelta(minutes=late)

    def url(self, lang):
        number, slug = int(self.head["id"]), self.head[f"slug_{lang}"]
        if self.head["site"] == "bossan":
            return f"/{lang}/news/{number + {'ru': 0, 'tm': 7000, 'en': 3000}[lang]}-{slug}"
        return f"/{lang}/post/{number}/{slug}"

    def teaser(self, lang):
        return next((s for kind, texts in self.blocks[lang] if kind == "sentence" for s in texts), "")

def pick(key, n):
    """A number below n that depends on the key only."""
    return int.from_bytes(hashlib.sha256(key.encode()).digest()[:6], "big") % n

def clean(text, where):
    text = re.sub(r"[ \u00a0]+", " ", text).strip()
    need(text, where, "empty text")
    for ch in text:
        need(unicodedata.category(ch) not in ("Cc", "Cf", "Co", "Cn", "Zl", "Zp"), where,
             f"character U+{ord(ch):04X} is not allowed")
    need(text == unicodedata.normalize("NFC", text), where, "text is not NFC")
    return text

def check_script(text, lang, where):
    letters = [unicodedata.name(c, "").split(" ")[0] for c in text if c.isalpha()]
    wrong = letters.count("LATIN" if lang == "ru" else "CYRILLIC")
    need(len(letters) < 12 or wrong * 2 <= len(letters), where, f"the {lang} side is in the other script")

def parse(path, keys, required):
    """Reads one source file; raises SourceError naming file and line."""
    at = f"{path.parent.name}/{path.name}:{{}}".format
    try:
        lines = path.read_text(encoding="utf-8").removeprefix("\ufeff").splitlines()
    except UnicodeDecodeError as error:
        raise SourceError(f"{at(1)}: not UTF-8 ({error})") from None
    head, n = {}, 0
    while n < len(lines) and lines[n].strip():
        key, colon, value = (part.strip() for part in lines[n].partition(":"))
        need(colon and key in keys, at(n + 1), f"not a header line: {lines[n]!r}")
        need(key not in head, at(n + 1), f"header key {key} given twice")
        if value:
            head[key] = clean(value, at(n + 1))
        n += 1
    for key in required:
        need(key in head, at(1), f"header key {key} is missing")
    present = [lang for lang in LANGS if f"title_{lang}" in head]
    need({*present} & {*BOTH}, at(1), "neither title_ru nor title_tm")
    for lang in present:
        check_script(head[f"title_{lang}"], lang, at(1))

    beads, bead = [], None
    blocks, is_open = {lang: [] for lang in LANGS}, dict.fromkeys(LANGS, False)
    for n, line in [*enumerate(map(str.strip, lines[n:]), n + 1), (len(lines), "")]:
        if line in PARAGRAPH:                         # the end of a bead, perhaps of paragraphs
            is_open.update(dict.fromkeys(PARAGRAPH[line], False))
            if bead:
                need(any(bead.sides.values()), at(bead.line), "a bead without text")
                need(not bead.free or bead.has(*BOTH), at(bead.line), "`~` in a bead with one side only")
                beads.append(bead)
            bead = None
            continue
        bead = bead or Bead(n)
        if line == "~":
            bead.free = True
            continue
        match = re.fullmatch(r"(##|#|-|x|)([RTE]):(.*)", line)
        need(match, at(n), f"not in the notation: {line!r}")
        kind, lang, text = KIND[match[1]], SIDE[match[2]], clean(match[3], at(n))
        check_script(text, lang, at(n))
        need(lang in present, at(n), "a line of a side without title")
        need(kind != "chapter" or "book" in head, at(n), "a chapter in an article")
        # One kind a bead, but plain or unnumbered lines may go on with an exercise or an item.
        later = bool(bead.sides[lang])
        goes_on = later and bead.kind in ("exercise", "item") and kind == "sentence"
        need(kind == bead.kind or not bead.kind or goes_on, at(n), f"{kind} in a bead of {bead.kind}")
        if kind == "exercise" and not re.match(r"\d+[.)] ", text):
            need(later, at(n), "an exercise without a number")
            goes_on = True
        bead.kind = bead.kind or kind
        bead.sides[lang].append(text)
        if not goes_on and not (kind == "sentence" and is_open[lang]):
            blocks[lang].append((kind, []))
        blocks[lang][-1][1].append(text)
        is_open[lang] = kind == "sentence" and not goes_on
    for lang in present:
        need(blocks[lang], at(1), f"no text for title_{lang}")
    return Doc(path.stem, head, beads, blocks)

def read_sources(source):
    articles, books, seen = [], [], {}
    for path in sorted((source / "articles").glob("*.txt")):
        doc = parse(path, ARTICLE_KEYS, ("site", "id", "date", "category", "image"))
        where, head = f"articles/{path.name}:1", doc.head
        need(head["site"] in SITES, where, f"unknown site {head['site']!r}")
        need(re.fullmatch(r"[1-9]\d{0,5}", head["id"]), where, "id is not a number")
        need(re.fullmatch(r"[\w-]+\.jpe?g", head["image"], re.ASCII), where, "image is not the name of a .jpg")
        need(re.fullmatch(r"[a-z0-9-]+", head["category"]), where, "category is not a slug")
        try:
            doc.time("ru")
        except ValueError:
            raise SourceError(f"{where}: date is not YYYY-MM-DD HH:MM: {head['date']!r}") from None
        if re.match(rf"0*{UNTRANSLATED}(?!\d)", doc.name) and not doc.has("tm"):
            doc.untranslated = True
            head["title_tm"], head["slug_tm"] = head["title_ru"], head.get("slug_ru", "")
            doc.blocks["tm"] = doc.blocks["ru"]
        for lang in filter(doc.has, LANGS):
            need(lang in SITES[head["site"]]["langs"], where, f"{head['site']} has no edition in {lang}")
            need(re.fullmatch(r"[a-z0-9-]+", head.get(f"slug_{lang}", "")), where, f"slug_{lang} is no Latin slug")
            key = head["site"], re.match(r"/\w+/\w+/\d+", doc.url(lang))[0]
            need(key not in seen, where, f"the id is that of articles/{seen.get(key)}.txt")
            seen[key] = doc.name
        articles.append(doc)
    for path in sorted((source / "books").glob("*.txt")):
        doc = parse(path, BOOK_KEYS, ("book", "subject", "grade", "title_ru", "title_tm"))
        need(re.fullmatch(r"[a-z0-9_-]+", doc.head["book"]), f"books/{path.name}:1", "book is not a slug")
        books.append(doc)
    need(articles or books, source.name, "no articles/*.txt and no books/*.txt")
    return articles, books

# ---------------------------------------------------------------- the sites

SITES = {"bossan": {"base": "http://bossan.test", "langs": LANGS, "ru": "Боссан", "tm": "Bossan", "en": "Bossan"},
         "yelken": {"base": "http://yelken.test", "langs": BOTH, "ru": "Ýelken", "tm": "Ýelken"}}
UI_TABLE = """
home|Главная|Baş sahypa|Home; news|Новости|Habarlar|News; about|О нас|Biz barada|About us
contacts|Контакты|Habarlaşmak|Contacts; ads|Реклама|Mahabat|Advertising; search|Поиск|Gözleg|Search
rubrics|Рубрики|Bölümler|Sections; share|Поделиться|Paýlaşmak|Share; tags|Метки|Bellikler|Tags
front|Свежие новости|Täze habarlar|Latest news; popular|Самое читаемое|Iň köp okalanlar|Most read
related|Читайте также|Şeýle hem okaň|Read also; region|Туркменистан|Türkmenistan|Turkmenistan
of_day|тема дня|günüň mowzugy|topic of the day; views|Просмотров|Okaldy|Views; more|Подробнее|Dolulygyna|Read more
prev|Предыдущая страница|Öňki sahypa|Previous page; next|Следующая страница|Indiki sahypa|Next page
photo|Фото из архива|Surat arhiwden|Archive photo; archive|Архив за прошлый год|Geçen ýylyň arhiwi|Last year's archive
comments|Комментарии|Teswirler|Comments; name|Ваше имя|Adyňyz|Your name
none|Комментариев пока нет. Будьте первым!|Heniz teswir ýok. Ilkinji siz ýazyň!|No comments yet. Be the first!
say|Ваш комментарий|Teswiriňiz|Your comment; send|Отправить|Ugratmak|Send
subscribe|Подпишитесь на нашу рассылку|Habarlarymyza ýazylyň|Subscribe to our newsletter; accept|Понятно|Düşnükli|OK
cookie|Сайт использует файлы cookie. Продолжая читать, вы соглашаетесь с этим.|Saýt cookie faýllaryny ulanýar. \
Okamagy dowam etdirip, siz muňa razylyk berýärsiňiz.|This site uses cookies. By reading on you agree to this.
language|Русский|Türkmençe|English; locale|ru_RU|tk_TM|en_GB
address|744000, г. Ашхабад, ул. Гюль, д. 14. Тел.: (+99312) 00-00-00|744000, Aşgabat ş., Gül köçesi, 14-nji jaý. \
Tel.: (+99312) 00-00-00|14 Gül Street, 744000 Ashgabat. Tel.: (+99312) 00-00-00
rights|Все права защищены. При использовании материалов ссылка на сайт обязательна.|Ähli hukuklar goralan. \
Maglumatlar ulanylanda saýta salgylanmak hökmanydyr.|All rights reserved. Any use of the texts must link to the site."""
UI_ROWS = [row.split("|") for row in re.split(r"; |\n", UI_TABLE.strip())]
UI = {lang: {row[0]: row[i] for row in UI_ROWS} for i, lang in enumerate(LANGS, 1)}
MONTHS = {"ru": "января февраля марта апреля мая июня июля августа сентября октября ноября декабря".split(),
          "en": "January February March April May June July August September October November December".split()}
CATEGORY = {"howa": ("Погода", "Howa", "Weather"), "jemgyyet": ("Общество", "Jemgyýet", "Society"),
            "medeniyet": ("Культура", "Medeniýet", "Culture"), "saglyk": ("Здоровье", "Saglyk", "Health"),
            "sport": ("Спорт", "Sport", "Sport"), "ulag": ("Транспорт", "Ulag", "Transport"),
            "tehnologiya": ("Технологии", "Tehnologiýa", "Technology"),
            "ykdysadyyet": ("Экономика", "Ykdysadyýet", "Economy"), "ylym": ("Наука", "Ylym", "Science")}
CSS = """body{font-family:sans-serif;max-width:72rem;margin:auto} img{width:20rem} footer{clear:both}
.flex,.lang,.menu{display:flex;gap:1rem;list-style:none} .text-3xl{font-size:1.9rem} .font-bold{font-weight:700}
.w-2-3,main{width:66%} .w-1-3{width:33%} aside{float:right;width:30%}"""
FRAME = {"bossan": """<body class="bg-white antialiased">
<header class="border-b"><a class="text-3xl font-bold" href="/{lang}/">{site}</a>
<ul class="flex text-sm">{others}{extra}</ul>
<nav><ul class="flex space-x-4">{menu}</ul></nav>{form}</header>
<div class="breadcrumbs text-xs">{trail}</div>
<div class="flex"><div class="w-2-3">\n{main}\n</div>\n<div class="w-1-3">\n{aside}\n</div></div>
<div class="fixed bottom-0 bg-gray-100" id="cookie-notice">{cookie}</div>
<footer class="bg-gray-800 text-sm"><ul class="flex">{extra}</ul><p>{address}</p><p>{foot}</p></footer>
""", "yelken": """<body>
<header><a class="logo" href="/{lang}/">{site}</a>
<ul class="lang">{others}<li class="active"><span>{own}</span></li></ul>
<nav><ul class="menu">{menu}</ul></nav>{form}</header>
<div class="breadcrumb">{trail}</div>\n<aside>\n{aside}\n</aside>\n<main>\n{main}\n</main>
<footer><ul class="menu">{extra}</ul><address>{address}</address><p class="copyright">{foot}</p></footer>
<div class="cookie">{cookie}</div>
"""}
ARTICLE = {"bossan": """<div class="text-3xl font-bold lg:text-xl sm:leading-7">{title}</div>
<div class="flex text-xs text-gray-500">{time} <span>{views}</span> {category}</div>
{figure}\n<div id="content" class="prose">\n{body}\n</div>\n{tail}""", "yelken": """<h1>{title}</h1>
<div class="info">{time} | {views} | {category}</div>\n{figure}\n<article>\n{body}\n</article>\n{tail}"""}
XML, SITEMAP = '<?xml version="1.0" encoding="UTF-8"?>\n', "http://www.sitemaps.org/schemas/sitemap/0.9"
esc = html.escape                                     # for attributes

def esc_text(text):
    return html.escape(text, quote=False)

def link(url, text, attributes=""):
    return f'<a{attributes} href="{url}">{esc_text(text)}</a>'

def link_list(items):
    return "".join(f"<li>{link(*item)}</li>" for item in items)

def category(site, lang, slug):
    """URL and name of a category."""
    url = f"/{lang}/news/category/{slug}/" if site == "bossan" else f"/{lang}/category/{slug}/"
    return url, CATEGORY.get(slug, (slug.replace("-", " ").capitalize(),) * len(LANGS))[LANGS.index(lang)]

def time_html(when, lang):
    text = f"{when:%d.%m.%Y %H:%M}"
    if lang in MONTHS:
        text = f"{when.day} {MONTHS[lang][when.month - 1]} {when:%Y, %H:%M}"
    return f'<time datetime="{when.isoformat()}">{text}</time>'

def latin1_entities(markup):
    """As CKEditor writes it: the Latin-1 letters and quotes become entities, ň ş ž stay."""
    return "".join(f"&{codepoint2name[ord(c)]};" if 0xA0 <= ord(c) <= 0xFF else c for c in markup)

def sentence_html(text, key, url, nbsp):
    """Escapes a sentence; in some, a few words stand in <strong>, <em> or <a>, short words take a no-break space."""
    words, first, last, choice, out = text.split(" "), -1, -1, pick("tag" + key, 9), ""
    if choice < 3 and len(words) >= 6:
        first = pick("from" + key, len(words) - 4)
        last = first + pick("count" + key, 3)
        tag, attributes = (("strong", ""), ("em", ""), ("a", f' href="{url}"'))[choice]
    for i, word in enumerate(words):
        body, tail = re.fullmatch(r"(.*?)([.,;:!?»”)…]*)", word).groups()
        out += f"<{tag}{attributes}>" if i == first else ""
        out += esc_text(body) + (f"</{tag}>" if i == last else "") + tail      # closing punctuation stays outside
        out += "&nbsp;" if nbsp and len(word) <= 2 and word.isalpha() and i < len(words) - 1 else " "
    return out[:-1]

def body_html(doc, lang, rank):
    """The blocks of an article as markup."""
    site = doc.head["site"]
    bossan = site == "bossan"
    url = category(site, lang, doc.head["category"])[0]
    p = '<p style="text-align: justify">' if bossan else "<p>"
    out, in_list, with_break = [], False, bossan and rank % 3 == 0
    if not bossan:
        out.append("<p><strong>ÝELKEN</strong></p>" if rank % 2 else "<p>ÝELKEN</p>")
    for number, (kind, texts) in enumerate(doc.blocks[lang]):
        parts = [sentence_html(t, f"{doc.name}{lang}{number}.{i}", url, bossan and rank % 3 != 1)
                 for i, t in enumerate(texts)]
        if (kind == "item") != in_list:
            out.append("</ul>" if in_list else "<ul>")
            in_list = not in_list
        if kind == "heading":
            parts = map(esc_text, texts)
        elif kind == "sentence" and with_break and len(parts) > 1:       # one paragraph with a <br>
            parts, with_break = [f"{parts[0]}<br>\n{parts[1]}", *parts[2:]], False
        start, end = {"item": ("<li>", "</li>"), "heading": ("<h2>", "</h2>")}.get(kind, (p, "</p>"))
        out.append(start + " ".join(parts) + end)
    markup = "\n".join(out + ["</ul>"] * in_list)
    return latin1_entities(markup) if bossan and lang == "tm" and rank % 2 == 0 else markup

class Site:
    def __init__(self, name, docs, files):
        self.name, self.files, self.base, self.langs = name, files, SITES[name]["base"], SITES[name]["langs"]
        docs = sorted(docs, key=lambda d: int(d.head["id"]))
        self.rank = {d.name: i for i, d in enumerate(docs)}
        self.cp1251 = [d.name for d in docs if d.twins and name == "yelken"][CP1251_RANK:CP1251_RANK + 1]
        self.newest = {lang: sorted(filter(lambda d: d.has(lang), docs), key=lambda d: d.time(lang), reverse=True)
                       for lang in self.langs}
        self.categories = {lang: sorted({d.head["category"] for d in self.newest[lang]}) for lang in self.langs}

    def put(self, path, text, encoding="utf-8"):
        data = text if isinstance(text, bytes) else text.encode(encoding, "xmlcharrefreplace")
        path = f"{path}index.html" if path[-1:] in "/" else path if "." in path or path[0] == "_" else f"{path}.html"
        self.files[f"sites/{self.name}.test/{path.lstrip('/')}"] = data

    def page(self, lang, title, main, head="", twins=None, charset="utf-8", doc=None, crumbs=()):
        """The frame of all pages: menus, side column, notices, footer."""
        t, site = UI[lang], SITES[self.name][lang]
        home, rubrics = (f"/{lang}/", t["home"]), [category(self.name, lang, c) for c in self.categories[lang]]
        popular = "\n".join(f"<li>{link(d.url(lang), d.title(lang))} {time_html(d.time(lang), lang)}</li>"
                            for d in self.others(doc, lang, 5, "popular"))
        aside = f"""<div class="popular"><h3>{t["popular"]}</h3>\n<ol>\n{popular}\n</ol></div>
<div class="rubrics"><h3>{t["rubrics"]}</h3><ul>{link_list(rubrics)}</ul></div>
<form action="/subscribe" method="post"><label>{t["subscribe"]}</label><input name="mail"><button>{t["send"]}</button></form>"""
        form = f'<form action="/{lang}/search"><input name="q" placeholder="{t["search"]}"></form>'
        meta = '<meta charset="utf-8">' if charset == "utf-8" else (
            f'<meta http-equiv="Content-Type" content="text/html; charset={charset}">')
        frame = FRAME[self.name].format(
            lang=lang, site=site, own=t["language"],
            others=link_list(((twins or {}).get(x, f"/{x}/"), UI[x]["language"]) for x in self.langs if x != lang),
            extra=link_list((f"/{lang}/{key}", t[key]) for key in ("about", "contacts", "ads")), form=form, main=main,
            menu=link_list([home, (f"/{lang}/news/", t["news"]), *rubrics[:6]]), aside=aside, address=t["address"],
            trail=" » ".join(link(*crumb) for crumb in (home, *crumbs)),
            cookie=f'{t["cookie"]} <button type="button">{t["accept"]}</button>',
            foot=f"© 2019–2026 «{site}». {t['rights']}")
        return f"""<!DOCTYPE html>
<html lang="{lang}">\n<head>\n{meta}\n<title>{esc_text(title)} — {site}</title>
<meta name="viewport" content="width=device-width, initial-scale=1">\n{head}<style>\n{CSS}\n</style>\n</head>\n{frame}<script>
var page = {{"lang": "{lang}", "site": "{self.name}"}};
if (page.lang && 1 < 2) {{ document.documentElement.className += ' js'; }}
</script>\n</body>\n</html>\n"""

    def others(self, doc, lang, count, salt):
        """Other articles for side columns; on yelken only new ones, so that old ones hang on the listings alone."""
        pool = [d for d in self.newest[lang][:FEED_SIZE if self.name == "yelken" else None] if d is not doc]
        return sorted(pool, key=lambda d: pick(f"{salt}{doc.name if doc else ''}{d.name}", 10**9))[:count]

    def article(self, doc, lang):
        t, rank, when, title = UI[lang], self.rank[doc.name], doc.time(lang), doc.title(lang)
        url, stamp, bossan = self.base + doc.url(lang), when.isoformat(), self.name == "bossan"
        image = f"/images/{lang + '/' if bossan else ''}{doc.head['image']}"
        meta = [f'<link rel="canonical" href="{url}">']
        for code, name in (("ru", "ru-RU"), ("tm", "tk-TM"), ("en", "en")) if bossan else ():     # no other link there
            if doc.has(code):
                meta.append(f'<link rel="alternate" hreflang="{name}" href="{self.base}{doc.url(code)}">')
        for prop, value in (("og:type", "article"), ("og:title", title), ("og:url", url), ("og:locale", t["locale"]),
                            ("og:image", self.base + image), ("article:published_time", stamp)):
            meta.append(f'<meta property="{prop}" content="{esc(value)}">')
        meta.append(f'<meta name="description" content="{esc(doc.teaser(lang))}">')
        if bossan:
            data = json.dumps({"@type": "NewsArticle", "headline": title, "datePublished": stamp}, ensure_ascii=False)
            meta.append('<script type="application/ld+json">%s</script>' % data.replace("</", "<\\/"))
        rubric = category(self.name, lang, doc.head["category"])
        tags = " ".join(link(rubric[0], f"#{x}", ' class="tag"') for x in (rubric[1].lower(), t["region"], t["of_day"]))
        share = " ".join(link(f"#{n.lower()}", n) for n in ("Telegram", "IMO", "Facebook", "VK"))
        related = link_list((d.url(lang), d.title(lang)) for d in self.others(doc, lang, 3, "related"))
        tail = f"""<div class="tags">{t["tags"]}: {tags}</div>
<div class="share">{t["share"]}: {share}</div>
<div class="related"><h3>{t["related"]}</h3><ul>{related}</ul></div>
<div class="comments"><h3>{t["comments"]}</h3><p>{t["none"]}</p>
<form action="/comment" method="post"><input name="name" placeholder="{t["name"]}">
<textarea name="text" placeholder="{t["say"]}"></textarea><button>{t["send"]}</button></form></div>"""
        main = ARTICLE[self.name].format(
            title=esc_text(title), time=time_html(when, lang), category=link(*rubric), body=body_html(doc, lang, rank),
            figure=f'<figure><img src="{image}" alt="{esc(title)}"><figcaption>{t["photo"]}</figcaption></figure>',
            views=f'{t["views"]}: {120 + pick("views" + doc.name + lang, 4000)}', tail=tail)
        twins = {} if bossan else {x: doc.url(x) for x in self.langs if doc.has(x)}
        charset = "windows-1251" if lang == "ru" and doc.name in self.cp1251 else "utf-8"
        page = self.page(lang, title, main, "\n".join(meta) + "\n", twins, charset, doc,
                         ((f"/{lang}/news/", t["news"]), rubric))
        self.put(doc.url(lang), page, charset)
        self.put(image, jpeg(image))

    def teaser_html(self, doc, lang, url=""):
        url = url or doc.url(lang)
        return (f'<div class="item"><h3>{link(url, doc.title(lang))}</h3>\n{time_html(doc.time(lang), lang)}\n'
                f'<p>{esc_text(doc.teaser(lang))}</p>{link(url, UI[lang]["more"])}</div>')

    def listing(self, lang, base, title, docs, moved=()):
        """A listing, newest first, in pages linked by next and prev; moved: articles linked by their old address."""
        count = max(1, -(-len(docs) // PER_PAGE))
        pages = {n: base if n == 1 else f"{base}page/{n}" for n in range(1, count + 1)}
        for n, url in pages.items():
            items = "\n".join(self.teaser_html(d, lang, dict(moved).get(d.name, ""))
                              for d in docs[(n - 1) * PER_PAGE:n * PER_PAGE])
            near = [(rel, pages[m]) for rel, m in (("prev", n - 1), ("next", n + 1)) if m in pages]
            head = "".join(f'<link rel="{rel}" href="{to}">\n' for rel, to in near)
            pager = " ".join(link(to, UI[lang][rel], f' rel="{rel}"') for rel, to in near)
            main = f'<h1>{esc_text(title)}</h1>\n{items}\n<div class="pager">{pager} <span>{n} / {count}</span></div>'
            self.put(url, self.page(lang, title, main, head))

    def build(self):
        moved, bossan, draft = [], self.name == "bossan", "/ru/preview/990-chernovik"
        if bossan and self.newest["ru"]:              # an address of the old site, still used by a listing
            doc = self.newest["ru"][-1]
            moved = [(doc.name, f"/ru/blog/{doc.head['id']}/{doc.head['slug_ru']}")]
            self.put("_redirects", f"{moved[0][1]} {doc.url('ru')} 301\n")
        for lang in self.langs:
            t, docs = UI[lang], self.newest[lang]
            for doc in docs:
                self.article(doc, lang)
            self.listing(lang, f"/{lang}/news/", t["news"], docs, moved if lang == "ru" else ())
            for slug in self.categories[lang]:
                self.listing(lang, *category(self.name, lang, slug), [d for d in docs if d.head["category"] == slug])
            dead = {"ru": "/ru/news/1-arhiv", "tm": "/tm/news/2-arhiw", "en": "/en/news/3-archive"}[lang]
            notes = [link(dead, t["archive"])]
            notes += [link(draft, "Черновик")] if lang == "ru" else []                # robots.txt forbids it
            main = "\n".join([f'<h1>{t["front"]}</h1>', *(self.teaser_html(d, lang) for d in docs[:6]),
                              f'<p class="notes">{" ".join(notes)}</p>'])
            feed = "" if bossan else f'<link rel="alternate" type="application/rss+xml" href="/{lang}/rss.xml">\n'
            self.put(f"/{lang}/", self.page(lang, t["home"], main, feed))
            for key in ("about", "contacts", "ads"):
                main = f'<h1>{t[key]}</h1>\n<p>{SITES[self.name][lang]}. {t["address"]}</p>'
                self.put(f"/{lang}/{key}", self.page(lang, t[key], main))
            if not bossan:
                self.feed(lang)
        self.put(draft, self.page("ru", "Черновик", f"<h1>Черновик</h1><p>{FORBIDDEN_TEXT}</p>"))
        self.put("/", '<!DOCTYPE html>\n<html lang="ru"><head><meta charset="utf-8"><title>Bossan | Ýelken</title></head>'
                      f'\n<body>{" ".join(link(f"/{x}/", UI[x]["language"]) for x in self.langs)}</body></html>\n')
        robots = "User-agent: *\nDisallow: /admin/\nDisallow: /ru/preview/\n"
        self.put("robots.txt", robots + (f"\nSitemap: {self.base}/sitemap.xml\n" if bossan else "Crawl-delay: 0\n"))
        if bossan:
            urls = "".join(f"<url><loc>{self.base}{d.url(lang)}</loc><lastmod>{d.time(lang).isoformat()}</lastmod></url>\n"
                           for lang in self.langs for d in self.newest[lang])
            self.put("sitemap.xml", f'{XML}<urlset xmlns="{SITEMAP}">\n{urls}</urlset>\n')

    def feed(self, lang):
        items = ""
        for d in self.newest[lang][:FEED_SIZE]:
            url, image = self.base + d.url(lang), f"/images/{d.head['image']}"
            items += f"""<item>\n<title>{esc_text(d.title(lang))}</title>
<link>{url}</link><guid isPermaLink="true">{url}</guid><pubDate>{format_datetime(d.time(lang))}</pubDate>
<category>{category(self.name, lang, d.head["category"])[1]}</category>
<description>{esc_text(d.teaser(lang))}</description>
<enclosure url="{self.base}{image}" length="{len(jpeg(image))}" type="image/jpeg"/>
<content:encoded><![CDATA[{body_html(d, lang, self.rank[d.name])}]]></content:encoded>\n</item>\n"""
        self.put(f"{lang}/rss.xml", f"""{XML}<rss version="2.0" xmlns:content="http://purl.org/rss/1.0/modules/content/">
<channel><title>{SITES[self.name][lang]}</title><link>{self.base}/{lang}/</link>
<description>{UI[lang]["front"]}</description><language>{lang}</language>\n{items}</channel></rss>\n""")

def jpeg(name):
    """A small picture: a gradient whose colours depend on the name."""
    from PIL import Image
    a, b = ([pick(f"{name}{end}{i}", 256) for i in range(3)] for end in "ab")
    image, out = Image.new("RGB", (96, 54)), io.BytesIO()
    image.putdata([tuple(p + (q - p) * (x + y) // 150 for p, q in zip(a, b)) for y in range(54) for x in range(96)])
    image.save(out, "JPEG", quality=80)
    return out.getvalue()

# ---------------------------------------------------------------- the textbooks

BOOK_UI = {"ru": ("Учебник для {}-го класса", "Учебное издание", "Отпечатано для пробного корпуса. Ашхабад, 2025"),
           "tm": ("{} synp üçin okuw kitaby", "Okuw neşiri", "Synag korpusy üçin çap edildi. Aşgabat, 2025")}
def title_page(doc, lang):
    """What a title page says beside the title: edition, class, imprint."""
    class_line, edition, imprint = BOOK_UI[lang]
    grade = doc.head["grade"]
    grade += "" if lang == "ru" else "-njy" if grade in ("6", "9", "10") else "-nji"
    return edition, class_line.format(grade), imprint

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 148, 210, 18, 16, 24, 190      # millimetres

def hyphen_points(word, lang, russian):
    """Where in the token a line may break; nowhere in a token that has a hyphen or digits."""
    match = re.fullmatch(r"([^\w]*)([^\W\d_]{5,})([^\w]*)", word)
    core = match[2] if match else ""
    low, vowels = core.lower(), "aäeioöuüy"
    if lang == "ru":
        points = russian.positions(core)
    else:                                             # before a consonant that a vowel follows, after the first vowel
        points = [i for i in range(2, len(low) - 1)
                  if low[i] not in vowels and low[i + 1] in vowels and set(low[:i]) & set(vowels)]
    return [len(match[1]) + p for p in points if 2 <= p <= len(core) - 2]

class BookPdf:
    def __init__(self, doc, lang, fonts, serif):
        from fpdf import FPDF
        import pyphen
        self.doc, self.lang, self.justified, self.chapter, self.y = doc, lang, serif, "", TOP
        self.russian = pyphen.Pyphen(lang="ru_RU")
        pdf = self.pdf = FPDF(unit="mm", format=(WIDTH, HEIGHT))
        pdf.set_creation_date(datetime(2025, 8, 15, 9, 0, tzinfo=timezone.utc))
        pdf.set_title(doc.title(lang))
        pdf.set_lang({"ru": "ru", "tm": "tk"}[lang])
        pdf.set_auto_page_break(False)
        for style, suffix in (("", ""), ("B", "-Bold")):
            path = fonts / f"DejaVu{'Serif' if serif else 'Sans'}{suffix}.ttf"
            need(path.is_file(), path, "font is missing (Debian package fonts-dejavu-core, or --fonts)")
            pdf.add_font("body", style, str(path))

    def lines(self, text, width, indent, hyphenate):
        """Greedy line breaking: a list of lines, each a list of tokens."""
        wide = self.pdf.get_string_width
        tokens = re.sub(r" ([—–-]) ", "\u00a0\\1 ", text).split(" ")     # no line starts with a dash
        out, line, room = [], [], width - indent
        while tokens:
            rest = token = tokens.pop(0).replace("\u00a0", " ")
            if wide(" ".join(line + [token])) <= room:
                line.append(token)
                continue
            for point in reversed(hyphen_points(token, self.lang, self.russian) if hyphenate else []):
                if wide(" ".join(line + [token[:point] + "-"])) <= room:
                    line.append(token[:point] + "-")
                    rest = token[point:]
                    break
            need(line, f"books/{self.doc.name}.txt", f"{token!r} is wider than a line")
            out.append(line)
            line, room = [], width
            tokens.insert(0, rest)
        return out + [line]

    def new_page(self):
        """A page with its running head (book and chapter) and its number."""
        pdf, half = self.pdf, (WIDTH - LEFT - RIGHT) / 2 - 2
        pdf.add_page()
        pdf.set_font("body", "", 7)
        for right, text in ((False, self.doc.title(self.lang)), (True, self.chapter)):
            if pdf.get_string_width(text) > half:
                while pdf.get_string_width(text + "…") > half:
                    text = text[:-1]
                text = text.rstrip() + "…"
            pdf.text(WIDTH - RIGHT - pdf.get_string_width(text) if right else LEFT, 14, text)
        pdf.line(LEFT, 16, WIDTH - RIGHT, 16)
        pdf.set_font("body", "", 8)
        number = str(pdf.page_no())
        pdf.text((WIDTH - pdf.get_string_width(number)) / 2, HEIGHT - 10, number)
        self.y = TOP

    def block(self, text, size=11.0, style="", indent=0.0, hang=0.0, label="", keep=2, center=False):
        """Sets a block; keep: so many lines must have room from its first line on."""
        pdf, leading = self.pdf, size * 0.5
        pdf.set_font("body", style, size)
        width = WIDTH - LEFT - RIGHT - hang
        lines = self.lines(text, width, indent, not style and not center)
        if self.y + leading * (max(keep, len(lines)) if style else min(keep, len(lines)) - 1) > BOTTOM and not center:
            self.new_page()
        for i, line in enumerate(lines):
            if self.y > BOTTOM:
                self.new_page()
            pdf.set_font("body", style, size)
            used, x = pdf.get_string_width(" ".join(line)), LEFT + hang + (0 if i else indent)
            if label and not i:
                pdf.text(x - pdf.get_string_width(label + " "), self.y, label + " ")
            if self.justified and not style and not center and 0 < len(line) - 1 and i < len(lines) - 1:
                stretch = (LEFT + hang + width - x - used) / (len(line) - 1)
                for token in line[:-1]:
                    pdf.text(x, self.y, token + " ")
                    x += pdf.get_string_width(token + " ") + stretch
                line = line[-1:]
            pdf.text((WIDTH - used) / 2 if center else x, self.y, " ".join(line))
            self.y += leading

    def make(self):
        doc, lang, pdf, last = self.doc, self.lang, self.pdf, ""
        edition, class_line, imprint = title_page(doc, lang)
        pdf.add_page()
        for self.y, text, size, style in ((30, edition, 9, ""), (75, doc.title(lang), 18, "B"),
                                          (115, class_line, 11, ""), (185, imprint, 8, "")):
            self.block(text, size, style, center=True)
        self.chapter = doc.title(lang)
        if doc.blocks[lang][0][0] != "chapter":
            self.new_page()
        for kind, texts in doc.blocks[lang]:
            text = " ".join(texts)
            number, rest = text.split(" ", 1) if kind == "exercise" else ("•", text)
            if kind == "chapter":
                self.chapter = text
                self.new_page()
            apart = last != kind and "exercise" in (last, kind) or last == "item" != kind
            self.y += {"chapter": 4, "heading": 3}.get(kind, 1.5 if apart else 0.5 * (kind == "exercise"))
            if kind in ("chapter", "heading"):
                self.block(text, 16 if kind == "chapter" else 12, "B", keep=4)
                self.y += 4 if kind == "chapter" else 1
            elif kind == "sentence":
                self.block(text, indent=6.0)
            else:
                self.block(rest, hang=9.0, label=number)
            last = kind
        for font in pdf.fonts.values():
            missing = " ".join(chr(c) for c in sorted(font.missing_glyphs))
            need(not missing, f"books/{doc.name}.txt", f"{font.name} has no glyph for {missing}")
        return bytes(pdf.output())

def book_file(doc, lang):
    return f"{doc.head['book']}_{'rus' if lang == 'ru' else 'tuk'}.pdf"

def make_books(books, fonts, files):
    out = io.StringIO()
    rows = csv.writer(out, lineterminator="\n")
    rows.writerow(("subject", "grade", "part", "language", "file", "title"))
    for i, doc in enumerate(books):
        for lang, code in (("ru", "ru"), ("tm", "tk")):
            name, part = book_file(doc, lang), doc.head.get("part", "")
            files[f"textbooks/{name}"] = BookPdf(doc, lang, fonts, serif=i % 2 == 0).make()
            rows.writerow((doc.head["subject"], doc.head["grade"], part, code, name, doc.title(lang)))
    files["textbooks/manifest.csv"] = out.getvalue().encode()

# ---------------------------------------------------------------- the gold and the command

def make_gold(articles, books, files):
    for suffix, langs in GOLD.items():
        rows = ["source_url\ttarget_url\tsource_text\ttarget_text\tkind"]
        pairs = ["source_url\ttarget_url"]
        order = sorted((d for d in articles if d.pairs(*langs)), key=lambda d: (d.head["site"], int(d.head["id"])))
        for doc in order + (books if langs == BOTH else []):
            urls = ([f"textbooks/{book_file(doc, lang)}" for lang in langs] if "book" in doc.head else
                    [SITES[doc.head["site"]]["base"] + doc.url(lang) for lang in langs])
            pairs.append("\t".join(urls))
            rows.append("\t".join([*urls, *map(doc.title, langs), "title"]))
            if "book" in doc.head:
                for sides in zip(*(title_page(doc, lang) for lang in langs)):
                    # The imprint is two sentences on either side.
                    for pair in zip(*(re.split(r"(?<=\.) ", side) for side in sides)):
                        rows.append("\t".join([*urls, *pair, "sentence"]))
            for bead in doc.beads:
                if bead.has(*langs):
                    kind = ("heading" if bead.kind == "chapter" else bead.kind) + ("+free" if bead.free else "")
                    rows.append("\t".join([*urls, *(" ".join(bead.sides[lang]) for lang in langs), kind]))
        files[f"gold{suffix}.tsv"] = ("\n".join(rows) + "\n").encode()
        files[f"document_gold{suffix}.tsv"] = ("\n".join(pairs) + "\n").encode()

def main():
    here = Path(__file__).resolve().parent
    args = argparse.ArgumentParser(description="Makes the demo corpus from articles/ and books/.")
    for option, default, text in (("--source", here, "the folder of articles/ and books/"),
                                  ("--out", here, "where sites/, textbooks/ and the gold go"),
                                  ("--fonts", Path("/usr/share/fonts/truetype/dejavu"), "the folder of the fonts")):
        args.add_argument(option, type=Path, default=default, help=text)
    args.add_argument("--check", action="store_true", help="compare with the files on disk, write nothing")
    args, files = args.parse_args(), {}
    try:
        articles, books = read_sources(args.source)
        for name in SITES:
            Site(name, [d for d in articles if d.head["site"] == name], files).build()
        make_books(books, args.fonts, files)
        make_gold(articles, books, files)
    except SourceError as error:
        sys.exit(f"make_demo: {error}")
    on_disk = {path.relative_to(args.out).as_posix(): path for folder in ("sites", "textbooks")
               for path in (args.out / folder).rglob("*") if path.is_file()}
    extra = sorted(on_disk.keys() - files.keys())
    if args.check:
        wrong = [n for n in sorted(files) if not (args.out / n).is_file() or (args.out / n).read_bytes() != files[n]]
        print("".join([f"differs: {n}\n" for n in wrong] + [f"extra: {n}\n" for n in extra]), end="")
        sys.exit(1 if wrong or extra else 0)
    for name in extra:                                # left over from earlier sources
        on_disk[name].unlink()
    for name, data in files.items():
        (args.out / name).parent.mkdir(parents=True, exist_ok=True)
        (args.out / name).write_bytes(data)
    twins, english = sum(d.twins for d in articles), sum(d.has("en") for d in articles)
    gold = [files[f"gold{suffix}.tsv"].count(b"\n") - 1 for suffix in GOLD]
    print(f"{twins} bilingual and {len(articles) - twins} other articles, {english} of them also in English, "
          f"{len(books)} books, {gold[0]} and {gold[1]} gold pairs, {len(files)} files")

if __name__ == "__main__":
    main()
