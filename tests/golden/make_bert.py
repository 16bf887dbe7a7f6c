"""Writes two tiny random checkpoints and the vectors that sentence-transformers computes from them.

    python tests/golden/make_bert.py        # rewrites tests/golden/{bert-cls-dense,xlmr-mean}

Made with torch 2.11.0, transformers 5.17.0, sentence-transformers 6.0.1, tokenizers 0.23.3, safetensors 0.8.0, on a
CPU, in f32. The weights mean nothing. They are drawn wide, biases and LayerNorms included, so that a forgotten bias,
a swapped matrix or a wrong position moves the vectors by far more than rounding does.

  bert-cls-dense   as LaBSE is laid out: BERT, WordPiece, [CLS] -> Dense(Tanh) -> Normalize; the files in the form that
                   releases before 6 wrote (module names, pooling booleans, max_seq_length)
  xlmr-mean        as multilingual-e5 is laid out: XLM-R positions, Unigram, mean over the tokens, a default prompt, no
                   Normalize; the files as release 6 writes them
"""

import json
import math
import re
import shutil
from collections import Counter
from pathlib import Path

import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Dense, Normalize, Pooling, Transformer
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast, XLMRobertaConfig, XLMRobertaModel

HERE = Path(__file__).parent

# The vocabularies are made of these lines.
LINES = [
    "Okuwçylar irden mekdebe gelýärler.",
    "Ученики утром приходят в школу.",
    "The pupils come to school in the morning.",
    "Mugallym täze sapagy düşündirýär.",
    "Учитель объясняет новый урок.",
    "The teacher explains the new lesson.",
    "Kitap stoluň üstünde ýatyr.",
    "Книга лежит на столе.",
    "The book lies on the table.",
    "Şäheriň merkezinde uly köpri bar.",
    "В центре города есть большой мост.",
    "There is a large bridge in the centre of the city.",
    "Derýanyň suwy ýazda köpelýär.",
    "Весной воды в реке становится больше.",
    "In spring there is more water in the river.",
    "Biz ertir baga gideris we ağaç ekeris.",
    "Завтра мы пойдём в сад и посадим деревья.",
    "Tomorrow we will go to the garden and plant trees.",
    "Iki sany kubuň göwrümini tapyň.",
    "Найдите объём двух кубов.",
    "Find the volume of two cubes.",
    "Ejem nahar bişirýär, kakam gazet okaýar.",
    "Мама готовит обед, папа читает газету.",
    "Mother cooks lunch, father reads a newspaper.",
]

# What is encoded: each language, unseen characters, all kinds of white space, one word, and one text past every limit.
TEXTS = [
    "Mugallym mekdebe irden gelýär.",
    "Учитель утром приходит в школу.",
    "The teacher comes to school in the morning.",
    "köpri",
    "Мост!",
    "  Iki   kitap,\tüç depder \n 2024-nji ýylda  ",
    "Ağaç; žurnal? 北京 — «Ýaz» 3,14",
    "Derýanyň üstünde uly köpri bar, köpriniň aşagynda suw akýar. " * 6,
    "Книга лежит на столе <pad> и на полке [PAD] тоже.",
    "Şäher",
    "Завтра мы пойдём в большой город, чтобы найти новую книгу.",
    "a",
]


def randomise(module, seed):
    """Draws every parameter of `module`, the LayerNorms' scales around 1 and everything else around 0."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            drawn = torch.randn(parameter.shape, generator=generator) * 0.25
            parameter.copy_(drawn + 1.0 if name.endswith("LayerNorm.weight") else drawn)
    return module


def pieces(words, count):
    """The characters of `words`, then their most frequent parts of 2 to 5 characters. Trainers of the tokenizers
    library break ties at random; this gives the same vocabulary every time."""
    parts = Counter()
    for word in words:
        parts.update(word[start : start + n] for n in range(1, 6) for start in range(len(word) - n + 1))
    characters = sorted(part for part in parts if len(part) == 1)
    longer = sorted((part for part in parts if len(part) > 1), key=lambda part: (-parts[part] * len(part), part))
    return [(part, parts[part]) for part in characters + longer[: count - len(characters)]]


def word_piece():
    """A cased WordPiece tokenizer with BERT's template."""
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    words = re.findall(r"\w+|[^\w\s]", " ".join(LINES))
    starts = [piece for piece, _ in pieces(words, 150)]
    vocabulary = special + starts + ["##" + piece for piece in starts if piece.isalpha()]
    ids = {token: number for number, token in enumerate(vocabulary)}
    tokenizer = Tokenizer(models.WordPiece(ids, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=False, strip_accents=False)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    tokenizer.add_special_tokens(special)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", ids["[CLS]"]), ("[SEP]", ids["[SEP]"])],
    )
    names = dict(pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]", mask_token="[MASK]")
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, model_max_length=24, **names)


def unigram():
    """A Unigram tokenizer with XLM-R's special ids and template."""
    special = ["<s>", "<pad>", "</s>", "<unk>"]
    counted = pieces(["▁" + word for word in " ".join(LINES).split()], 195)
    total = sum(count for _, count in counted)
    vocabulary = [(token, 0.0) for token in special] + [(piece, math.log(count / total)) for piece, count in counted]
    tokenizer = Tokenizer(models.Unigram(vocabulary, unk_id=3, byte_fallback=False))
    tokenizer.normalizer = normalizers.NFKC()
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    tokenizer.add_special_tokens([*special, "<mask>"])
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> </s> $B </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    names = dict(bos_token="<s>", eos_token="</s>", sep_token="</s>", cls_token="<s>")
    names |= dict(unk_token="<unk>", pad_token="<pad>", mask_token="<mask>")
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, model_max_length=40, **names)


def transformer(folder, model, tokenizer):
    """A sentence-transformers module of a transformers model, by way of its folder."""
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    module = Transformer(str(folder))
    shutil.rmtree(folder)
    return module


def write_json(path, value):
    path.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def in_the_old_form(folder):
    """Rewrites the configuration files of `folder` as releases before 6 wrote them."""
    modules = json.loads((folder / "modules.json").read_text())
    for module in modules:
        module["type"] = "sentence_transformers.models." + module["type"].rsplit(".", 1)[1]
    write_json(folder / "modules.json", modules)
    modes = ["cls_token", "mean_tokens", "max_tokens", "mean_sqrt_len_tokens"]
    pooling = {"word_embedding_dimension": 32} | {f"pooling_mode_{mode}": mode == "cls_token" for mode in modes}
    write_json(folder / "1_Pooling" / "config.json", pooling)
    write_json(folder / "sentence_bert_config.json", {"max_seq_length": 24, "do_lower_case": False})


def write_golden(folder):
    """Loads the folder again, as any user of it would, and keeps what it computes."""
    model = SentenceTransformer(str(folder), device="cpu")
    vectors = model.encode(TEXTS, batch_size=5, normalize_embeddings=True)
    kept = [{"text": text, "vector": [float(x) for x in vector]} for text, vector in zip(TEXTS, vectors)]
    lines = ",\n".join(json.dumps(entry, ensure_ascii=False) for entry in kept)
    (folder / "golden.json").write_text(f"[\n{lines}\n]\n", encoding="utf-8")
    (folder / "README.md").unlink(missing_ok=True)  # a model card about nothing


def main():
    torch.manual_seed(0)  # for the pooler that transformers adds to XLM-R and nobody uses
    shape = dict(hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=64)

    folder = HERE / "bert-cls-dense"
    shutil.rmtree(folder, ignore_errors=True)
    tokenizer = word_piece()
    config = BertConfig(vocab_size=len(tokenizer), max_position_embeddings=32, **shape)
    body = transformer(folder, randomise(BertModel(config), seed=1), tokenizer)
    dense = randomise(Dense(32, 24, activation_function=torch.nn.Tanh()), seed=2)
    SentenceTransformer(modules=[body, Pooling(32, "cls"), dense, Normalize()], device="cpu").save(str(folder))
    in_the_old_form(folder)
    write_golden(folder)

    folder = HERE / "xlmr-mean"
    shutil.rmtree(folder, ignore_errors=True)
    tokenizer = unigram()
    ids = dict(pad_token_id=1, bos_token_id=0, eos_token_id=2)
    config = XLMRobertaConfig(
        vocab_size=len(tokenizer), max_position_embeddings=42, type_vocab_size=1, layer_norm_eps=1e-5, **ids, **shape
    )
    body = transformer(folder, randomise(XLMRobertaModel(config, add_pooling_layer=False), seed=3), tokenizer)
    prompts = {"query": "query: ", "passage": "passage: "}
    model = SentenceTransformer(
        modules=[body, Pooling(32, "mean")], device="cpu", prompts=prompts, default_prompt_name="query"
    )
    model.save(str(folder))
    write_golden(folder)


if __name__ == "__main__":
    main()
