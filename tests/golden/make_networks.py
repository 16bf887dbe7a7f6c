"""Writes tiny random checkpoints of the other networks, and what transformers and sentence-transformers compute.

    python tests/golden/make_networks.py    # rewrites tests/golden/{m2m100-tiny,t5-tiny,static-tiny,roberta-tiny}

Made with torch 2.11.0, transformers 5.17.0, sentence-transformers 6.0.1, tokenizers 0.23.3, safetensors 0.8.0, on a
CPU, in f32. As in make_bert.py the weights mean nothing and are drawn wide.

  m2m100-tiny    as NLLB is laid out: a folder of transformers alone, BPE, language tokens. tokenizer.json holds the
                 template `A </s> eng_Latn` that the file on the Hub holds, which is not the one that NLLB was trained
                 with (`LANG A </s>`); the ids in golden.json are made with the right one
  t5-tiny        as flan-t5 is laid out, behind a mean: gated GELU, relative positions, heads that are narrower together
                 than the hidden states
  static-tiny    StaticEmbedding, then Normalize
  roberta-tiny   RoBERTa with byte-level BPE, mean
"""

import json
import shutil
from collections import Counter

import torch
from make_bert import HERE, pieces, randomise, transformer, write_json
from safetensors.torch import load_file, save_file
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Normalize, Pooling, StaticEmbedding
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
from transformers import (
    M2M100Config,
    M2M100ForConditionalGeneration,
    NllbTokenizer,
    PreTrainedTokenizerFast,
    RobertaConfig,
    RobertaModel,
    T5Config,
    T5EncoderModel,
)
from transformers.modeling_outputs import BaseModelOutput

LANGUAGES = ["eng_Latn", "hin_Deva", "kaz_Cyrl", "rus_Cyrl", "tuk_Latn", "tur_Latn"]

# The vocabularies are made of these lines, two to a language.
LINES = [
    "The teacher explains the new lesson.",
    "The children read books in the library.",
    "शिक्षक नया पाठ समझाता है।",
    "बच्चे पुस्तकालय में किताबें पढ़ते हैं।",
    "Мұғалім жаңа сабақты түсіндіреді.",
    "Балалар кітапханада кітап оқиды.",
    "Учитель объясняет новый урок.",
    "Дети читают книги в библиотеке.",
    "Mugallym täze sapagy düşündirýär.",
    "Çagalar kitaphanada kitap okaýarlar.",
    "Öğretmen yeni dersi anlatıyor.",
    "Çocuklar kütüphanede kitap okuyor.",
]

# What is computed on: a text of each language and the language it is in, unknown characters, white space of all kinds,
# one letter, a text past every limit.
TEXTS = [
    ("The new book is in the library.", "eng_Latn"),
    ("नई किताब पुस्तकालय में है।", "hin_Deva"),
    ("Жаңа кітап кітапханада тұр.", "kaz_Cyrl"),
    ("Новая книга стоит в библиотеке.", "rus_Cyrl"),
    ("Täze kitap kitaphanada dur.", "tuk_Latn"),
    ("Yeni kitap kütüphanede duruyor.", "tur_Latn"),
    ("  Iki   kitap,\tüç depder \n 2024-nji ýylda  ", "tuk_Latn"),
    ("北京 — «Ýaz» 3,14; köpri", "tuk_Latn"),
    ("a", "eng_Latn"),
    ("Mugallym täze kitaby okaýar, çagalar diňleýärler. " * 5, "tuk_Latn"),
]


def merges(words, count):
    """The first `count` merges of byte pair encoding over `words` (lists of symbols), ties broken by spelling."""
    counted = Counter(tuple(word) for word in words)
    chosen = []
    while len(chosen) < count:
        pairs = Counter()
        for word, times in counted.items():
            for pair in zip(word, word[1:]):
                pairs[pair] += times
        if not pairs:
            break
        pair = min(pairs, key=lambda pair: (-pairs[pair], pair))
        chosen.append(pair)
        merged = Counter()
        for word, times in counted.items():
            joined, at = [], 0
            while at < len(word):
                both = word[at : at + 2] == pair
                joined.append("".join(pair) if both else word[at])
                at += 2 if both else 1
            merged[tuple(joined)] += times
        counted = merged
    return chosen


def numbers(tensor):
    return [float(x) for x in tensor.flatten()]


def write_lines(path, entries):
    """A JSON list with an entry a line."""
    lines = ",\n".join(json.dumps(entry, ensure_ascii=False) for entry in entries)
    path.write_text(f"[\n{lines}\n]\n", encoding="utf-8")


def nllb_tokenizer():
    """NLLB's tokenizer with few tokens. The merges are made of words, the characters of all lines are tokens."""
    words = [f"▁{word}" for word in " ".join(LINES).split()]
    learned = merges(words, 120)
    characters = sorted({character for word in words for character in word})
    tokens = ["<s>", "<pad>", "</s>", "<unk>", *characters, *("".join(pair) for pair in learned)]
    tokenizer = NllbTokenizer(
        vocab={token: number for number, token in enumerate(dict.fromkeys(tokens))},
        merges=learned,
        additional_special_tokens=LANGUAGES,
        model_max_length=64,
    )
    # In place of the compiled table of SentencePiece that NLLB has: it too is NFKC and one space for several.
    tokenizer._tokenizer.normalizer = normalizers.Sequence(
        [normalizers.NFKC(), normalizers.Replace("\n", " "), normalizers.Replace("\t", " "), normalizers.Strip()]
    )
    return tokenizer


def nllb():
    folder = HERE / "m2m100-tiny"
    shutil.rmtree(folder, ignore_errors=True)
    tokenizer = nllb_tokenizer()
    config = M2M100Config(
        vocab_size=len(tokenizer) + 2,  # NLLB too has two rows that no token uses
        d_model=32,
        encoder_layers=2,
        decoder_layers=2,
        encoder_attention_heads=4,
        decoder_attention_heads=4,
        encoder_ffn_dim=48,
        decoder_ffn_dim=40,
        max_position_embeddings=64,
        scale_embedding=True,
        activation_function="relu",
        decoder_start_token_id=2,
        # A configuration of transformers 5 has no default for it, and no file on the Hub lacks it.
        tie_word_embeddings=True,
    )
    torch.manual_seed(0)
    model = randomise(M2M100ForConditionalGeneration(config), seed=11).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith("layer_norm.weight"):
                parameter.add_(1.0)
            # Drawn so wide that what a layer adds drowns the token it started from, or every translation would be one
            # token again and again: the output matrix is the input's.
            if name.startswith("model.decoder.layers") and name.endswith(("out_proj.weight", "fc2.weight")):
                parameter.mul_(WIDE)
        # Pulls every hidden state towards the end token, so that translations end at all lengths and beams differ.
        end = model.model.shared.weight[2]
        model.model.decoder.layer_norm.weight.mul_(PEAK)
        model.model.decoder.layer_norm.bias.add_(end * (END / end.norm() ** 2))
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    state = load_file(folder / "model.safetensors")
    # Files of older releases hold the tied matrix several times.
    state["model.encoder.embed_tokens.weight"] = state["model.shared.weight"].clone()
    save_file(state, folder / "model.safetensors", {"format": "pt"})
    legacy = json.loads((folder / "tokenizer.json").read_text())
    ids = {token: tokenizer.convert_tokens_to_ids(token) for token in ["</s>", *LANGUAGES]}
    special = {t: {"id": t, "ids": [ids[t]], "tokens": [t]} for t in ["</s>", "eng_Latn"]}
    tail = [{"SpecialToken": {"id": token, "type_id": 0}} for token in ["</s>", "eng_Latn"]]
    sequences = [{"Sequence": {"id": name, "type_id": 0}} for name in "AB"]
    legacy["post_processor"] = {
        "type": "TemplateProcessing",
        "single": sequences[:1] + tail,
        "pair": sequences + tail,
        "special_tokens": special,
    }
    write_json(folder / "tokenizer.json", legacy)

    def read(text, language):
        tokenizer.src_lang = language
        return tokenizer(text, truncation=True, max_length=64)["input_ids"]

    golden = {"languages": {language: ids[language] for language in LANGUAGES}, "texts": []}
    sources = [read(text, language) for text, language in TEXTS]
    with torch.no_grad():
        for (text, language), source in zip(TEXTS, sources):
            hidden = model.model.encoder(torch.tensor([source])).last_hidden_state[0]
            vector = torch.nn.functional.normalize(hidden.mean(0), dim=0)
            entry = {"text": text, "language": language, "ids": source, "vector": numbers(vector)}
            golden["texts"].append(entry)
        # One batch: padding must not reach the decoder.
        rows = sources[:3]
        width = max(map(len, rows))
        batch = torch.tensor([row + [1] * (width - len(row)) for row in rows])
        mask = (batch != 1).long()
        target = torch.tensor([[2, ids["tuk_Latn"], 30, 31, 7], [2, ids["rus_Cyrl"], 9, 8, 40], [2, 50, 60, 70, 80]])
        logits = model(input_ids=batch, attention_mask=mask, decoder_input_ids=target).logits
        golden["forced"] = [
            {"source": row, "target": forced, "logits": numbers(values[-1]), "mean": float(values.mean())}
            for row, forced, values in zip(rows, target.tolist(), logits)
        ]
        golden["searches"] = searches(model, tokenizer, sources, ids)
    lines = [f'"languages": {json.dumps(golden["languages"])}']
    for key in ["texts", "forced", "searches"]:
        entries = ",\n".join(json.dumps(entry, ensure_ascii=False) for entry in golden[key])
        lines.append(f'"{key}": [\n{entries}\n]')
    (folder / "golden.json").write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")


def searches(model, tokenizer, sources, ids):
    """Greedy and beam search to two languages, all texts in one batch."""
    width = max(map(len, sources))
    batch = torch.tensor([row + [1] * (width - len(row)) for row in sources])
    mask = torch.tensor([[1] * len(row) + [0] * (width - len(row)) for row in sources])
    kept = []
    settings = [(1, 1.0, False)]
    settings += [(k, p, early) for k in (4, 5) for p in (0.6, 1.0, 2.0) for early in (False, True, "never")]
    for beams, penalty, early in settings:
        for target, most in [("tuk_Latn", 24), ("rus_Cyrl", 9)]:
            more = dict(length_penalty=penalty, early_stopping=early) if beams > 1 else {}
            found = model.generate(
                input_ids=batch,
                attention_mask=mask,
                forced_bos_token_id=ids[target],
                num_beams=beams,
                max_length=most,
                do_sample=False,
                return_dict_in_generate=True,
                output_scores=True,
                **more,
            )
            rows = [strip(row) for row in found.sequences.tolist()]
            scores = numbers(found.sequences_scores) if beams > 1 else None
            texts = tokenizer.batch_decode(rows, skip_special_tokens=True, clean_up_tokenization_spaces=False)
            setting = dict(beams=beams, length_penalty=penalty, early_stopping=early, target=target, max_length=most)
            kept.append(setting | {"rows": rows, "scores": scores, "texts": texts})
    return kept


def strip(row):
    """Without the padding behind it."""
    while row[-1] == 1:
        row = row[:-1]
    return row


def unigram(special, count):
    """A Unigram tokenizer with these special tokens first; `<unk>` is among them."""
    counted = pieces(["▁" + word for word in " ".join(LINES).split()], count)
    vocabulary = [(token, 0.0) for token in special] + [(piece, -10.0 + 0.01 * n) for piece, n in counted]
    tokenizer = Tokenizer(models.Unigram(vocabulary, unk_id=special.index("<unk>"), byte_fallback=False))
    tokenizer.normalizer = normalizers.NFKC()
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    tokenizer.add_special_tokens(special)
    return tokenizer


def write_encoder_golden(folder, tokenize):
    """What the folder, loaded again, makes of the texts."""
    model = SentenceTransformer(str(folder), device="cpu")
    texts = [text for text, _ in TEXTS]
    vectors = model.encode(texts, batch_size=4, normalize_embeddings=True)
    kept = [
        {"text": text, "ids": tokenize(model, text), "vector": [float(x) for x in vector]}
        for text, vector in zip(texts, vectors)
    ]
    write_lines(folder / "golden.json", kept)
    (folder / "README.md").unlink(missing_ok=True)


def transformer_ids(model, text):
    features = model.preprocess([text])
    return features["input_ids"][0].tolist()


def static_ids(model, text):
    return model.preprocess([text])["input_ids"].tolist()


def t5():
    folder = HERE / "t5-tiny"
    shutil.rmtree(folder, ignore_errors=True)
    tokenizer = unigram(["<pad>", "</s>", "<unk>"], 160)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="$A </s>", pair="$A </s> $B </s>", special_tokens=[("</s>", 1)]
    )
    names = dict(pad_token="<pad>", eos_token="</s>", unk_token="<unk>")
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=tokenizer, model_max_length=150, **names)
    config = T5Config(
        vocab_size=len(tokenizer),
        d_model=32,
        d_kv=8,
        d_ff=40,
        num_layers=2,
        num_heads=3,
        feed_forward_proj="gated-gelu",
        tie_word_embeddings=False,
    )
    torch.manual_seed(0)
    model = randomise(T5EncoderModel(config), seed=21).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith("layer_norm.weight"):
                parameter.add_(1.0)
            if name.endswith("relative_attention_bias.weight"):
                parameter.mul_(6.0)  # so that a wrong bucket shows
    body = transformer(folder, model, tokenizer)
    SentenceTransformer(modules=[body, Pooling(32, "mean")], device="cpu").save(str(folder))
    write_encoder_golden(folder, transformer_ids)


def static():
    folder = HERE / "static-tiny"
    shutil.rmtree(folder, ignore_errors=True)
    tokenizer = unigram(["<pad>", "<unk>"], 160)
    # A template, which StaticEmbedding leaves out.
    tokenizer.post_processor = processors.TemplateProcessing(single="<pad> $A", special_tokens=[("<pad>", 0)])
    torch.manual_seed(0)
    body = randomise(StaticEmbedding(tokenizer, embedding_dim=24), seed=31)
    SentenceTransformer(modules=[body, Normalize()], device="cpu").save(str(folder))
    write_encoder_golden(folder, static_ids)


def roberta():
    folder = HERE / "roberta-tiny"
    shutil.rmtree(folder, ignore_errors=True)
    special = ["<s>", "<pad>", "</s>", "<unk>"]
    split = pre_tokenizers.ByteLevel(add_prefix_space=False)
    learned = merges([word for word, _ in split.pre_tokenize_str(" ".join(LINES))], 60)
    tokens = [*special, *sorted(pre_tokenizers.ByteLevel.alphabet()), *("".join(pair) for pair in learned)]
    vocabulary = {token: number for number, token in enumerate(tokens)}
    tokenizer = Tokenizer(models.BPE(vocabulary, learned))
    tokenizer.pre_tokenizer = split
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([*special, "<mask>"])
    tokenizer.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0), add_prefix_space=False)
    names = dict(bos_token="<s>", eos_token="</s>", sep_token="</s>", cls_token="<s>")
    names |= dict(unk_token="<unk>", pad_token="<pad>", mask_token="<mask>")
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=tokenizer, model_max_length=60, **names)
    config = RobertaConfig(
        vocab_size=len(tokenizer),
        hidden_size=24,
        num_hidden_layers=2,
        num_attention_heads=3,
        intermediate_size=48,
        max_position_embeddings=62,
        type_vocab_size=1,
        layer_norm_eps=1e-5,
        pad_token_id=1,
        bos_token_id=0,
        eos_token_id=2,
    )
    torch.manual_seed(0)
    body = transformer(folder, randomise(RobertaModel(config, add_pooling_layer=False), seed=41), tokenizer)
    SentenceTransformer(modules=[body, Pooling(24, "mean")], device="cpu").save(str(folder))
    write_encoder_golden(folder, transformer_ids)


# How sure the translations are of each token, how far a decoder layer moves, how strongly all is drawn to its end.
PEAK = 0.8
WIDE = 6.0
END = 2.0

if __name__ == "__main__":
    nllb()
    t5()
    static()
    roberta()
