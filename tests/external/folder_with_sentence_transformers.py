"""Whether what kopri writes loads in Python with the same vectors.

    python tests/external/folder_with_sentence_transformers.py KOPRI [ADAPTER]      # the binary; an adapter that it wrote

For each golden model (and for a plain folder, several files and a file of torch.save made from one): `kopri models save`,
then the saved folder's vectors by sentence-transformers against those of the original by Python and of the saved by kopri.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy
import torch
from peft import PeftModel
from sentence_transformers import SentenceTransformer
from transformers import AutoModel, AutoTokenizer

GOLDEN = Path(__file__).parent.parent / "golden"
KOPRI = sys.argv[1]


def kopri(*arguments):
    done = subprocess.run([KOPRI, *map(str, arguments)], check=True, capture_output=True, text=True)
    return done.stdout


def compare(name, source, expected, texts, work, *more):
    target = work / f"saved-{name}"
    kopri("models", "save", source, target, *more)
    model = SentenceTransformer(str(target), device="cpu")
    python = model.encode(texts, normalize_embeddings=True)
    (work / "texts.txt").write_text("\n".join(" ".join(text.split()) for text in texts), encoding="utf-8")
    kopri("embed", "--model", target, "--input", work / "texts.txt", "--out", work / "v.npy", "--quiet")
    plain = model.encode([" ".join(text.split()) for text in texts], normalize_embeddings=True)
    rust = numpy.load(work / "v.npy")
    worst = [float(numpy.abs(python - expected).max()), float(numpy.abs(rust - plain).max())]
    print(f"{name:12} python on the saved folder {worst[0]:.1e}, kopri embed beside python {worst[1]:.1e}")
    assert max(worst) <= 1e-5, name


def main():
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        for name in ["bert-cls-dense", "xlmr-mean", "bert-lora"]:
            golden = json.loads((GOLDEN / name / "golden.json").read_text(encoding="utf-8"))
            texts = [entry["text"] for entry in golden]
            expected = numpy.array([entry["vector"] for entry in golden], dtype="f4")
            compare(name, GOLDEN / name, expected, texts, work)

        source = GOLDEN / "bert-cls-dense"
        model, tokenizer = AutoModel.from_pretrained(source).eval(), AutoTokenizer.from_pretrained(source)
        texts = [entry["text"] for entry in json.loads((source / "golden.json").read_text(encoding="utf-8"))]
        with torch.no_grad():
            fed = tokenizer(texts, padding=True, truncation=True, max_length=24, return_tensors="pt")
            mask = fed["attention_mask"].unsqueeze(-1).float()
            mean = (model(**fed).last_hidden_state * mask).sum(1) / mask.sum(1)
        expected = torch.nn.functional.normalize(mean).numpy()
        for form in ["plain", "sharded", "pickle"]:
            folder = work / form
            if form == "sharded":
                model.save_pretrained(folder, max_shard_size="60KB")
                assert (folder / "model.safetensors.index.json").exists()
            else:
                model.save_pretrained(folder)
            if form == "pickle":
                (folder / "model.safetensors").unlink()
                torch.save(model.state_dict(), folder / "pytorch_model.bin")
            tokenizer.save_pretrained(folder)
            compare(form, folder, expected, texts, work, "--pooling", "mean", "--normalize")

        # An adapter as kopri writes it: KOPRI_KEEP_ADAPTER=FOLDER cargo test --lib lora leaves one.
        written = Path(sys.argv[2]) if len(sys.argv) > 2 else None
        if written:
            base = AutoModel.from_pretrained(source)
            adapted = PeftModel.from_pretrained(base, written)
            trained = {name: value for name, value in adapted.named_parameters() if "lora_" in name}
            assert trained and all(value.abs().sum() > 0 for value in trained.values())
            print(f"adapter      loads in peft, {len(trained)} tensors")


if __name__ == "__main__":
    main()
