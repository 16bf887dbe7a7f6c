"""Sentences a second at LaBSE's size, beside sentence-transformers on the same weights, in one run.

    python benches/encoders.py FLORES_DEV_FOLDER [--size labse|minilm] [--threads 2]

FLORES_DEV_FOLDER holds files `rus.dev`, `tuk.dev` and `eng.dev`, a sentence a line. Needs torch 2.11.0,
transformers 5.17.0, sentence-transformers 6.0.1, and `cargo bench --no-run --bench encoders` before it. The weights are
random (speed does not depend on them); the tokenizer is a WordPiece of 20,000 pieces trained here on the same lines,
so that texts have about the lengths that a multilingual tokenizer gives them.
"""

import argparse
import json
import os
import pathlib
import resource
import shutil
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
SIZES = {
    "labse": dict(hidden_size=768, num_hidden_layers=12, num_attention_heads=12, intermediate_size=3072, vocab_size=501153),
    "minilm": dict(hidden_size=384, num_hidden_layers=12, num_attention_heads=12, intermediate_size=1536, vocab_size=250037),
}


def make(folder, size, lines):
    """A sentence-transformers folder of random weights: CLS, Normalize."""
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Normalize, Pooling, Transformer
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=False, strip_accents=False)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.train_from_iterator(lines, trainers.WordPieceTrainer(vocab_size=20_000, special_tokens=special))
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", tokenizer.token_to_id("[CLS]")), ("[SEP]", tokenizer.token_to_id("[SEP]"))]
    )
    names = dict(pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]", mask_token="[MASK]")
    torch.manual_seed(1)
    BertModel(BertConfig(**SIZES[size])).save_pretrained(folder)
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, model_max_length=256, **names).save_pretrained(folder)
    module = Transformer(str(folder))
    shutil.rmtree(folder)
    SentenceTransformer(modules=[module, Pooling(SIZES[size]["hidden_size"], "cls"), Normalize()], device="cpu").save(str(folder))


def reference(folder, lines, dtype, threads):
    """sentence-transformers as its users call it. In a process of its own, for its memory."""
    code = f"""
import json, resource, sys, time, torch
from sentence_transformers import SentenceTransformer
torch.set_num_threads({threads})
lines = open(sys.argv[2], encoding="utf-8").read().splitlines()
model = SentenceTransformer(sys.argv[1], device="cpu", model_kwargs=dict(torch_dtype=torch.{dtype}))
model.encode(lines[:64])
best = 1e9
for _ in range(2):
    began = time.perf_counter(); model.encode(lines); best = min(best, time.perf_counter() - began)
print(json.dumps([best, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024]))
"""
    done = subprocess.run([sys.executable, "-c", code, str(folder), str(lines)], stdout=subprocess.PIPE, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("flores", type=pathlib.Path)
    arguments.add_argument("--size", choices=SIZES, default="labse")
    arguments.add_argument("--threads", type=int, default=os.cpu_count())
    arguments.add_argument("--sentences", type=int, default=600)
    arguments.add_argument("--keep", type=pathlib.Path, help="keep the model folder here, and use it when it is there")
    options = arguments.parse_args()
    lines = []
    for language in ["rus", "tuk", "eng"]:
        lines += (options.flores / f"{language}.dev").read_text(encoding="utf-8").splitlines()
    with tempfile.TemporaryDirectory() as scratch:
        folder = options.keep or pathlib.Path(scratch) / options.size
        if not (folder / "modules.json").exists():
            make(folder, options.size, lines)
        step = max(1, len(lines) // options.sentences)
        lines = lines[::step][: options.sentences]
        text = pathlib.Path(scratch) / "lines.txt"
        text.write_text("\n".join(lines) + "\n", encoding="utf-8")
        ours = subprocess.run(
            ["cargo", "bench", "--quiet", "--bench", "encoders", "--", str(folder), str(text), "--threads", str(options.threads)],
            cwd=ROOT, stdout=subprocess.PIPE, check=True, text=True,
        ).stdout
        print(ours)
        for dtype in ["float32", "bfloat16"]:
            seconds, peak = reference(folder, text, dtype, options.threads)
            print(f"sentence-transformers, {dtype:<9} {len(lines) / seconds:8.1f} sentences/s  peak {peak:6.0f} MiB", flush=True)


main()
