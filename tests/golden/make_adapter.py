"""Writes a tiny LoRA adapter, a file of torch.save, and the vectors that peft computes.

    python tests/golden/make_adapter.py     # rewrites tests/golden/{bert-lora,tied.bin}

Made with torch 2.11.0, transformers 5.17.0, sentence-transformers 6.0.1, peft 0.21.2, on a CPU, in f32. The adapter lies
over the transformer of bert-cls-dense (make_bert.py). One layer has a rank of its own, one an alpha of its own, and one
matrix is stored whole, so that each of them moves the vectors if it is forgotten.
"""

import json
import shutil
from pathlib import Path

import torch
from peft import LoraConfig, get_peft_model
from sentence_transformers import SentenceTransformer

from make_bert import TEXTS

HERE = Path(__file__).parent


def main():
    folder = HERE / "bert-lora"
    shutil.rmtree(folder, ignore_errors=True)
    model = SentenceTransformer(str(HERE / "bert-cls-dense"), device="cpu")
    config = LoraConfig(
        task_type="FEATURE_EXTRACTION",
        r=4,
        lora_alpha=8,
        target_modules=["query", "value"],
        modules_to_save=["layer.1.intermediate.dense"],
        rank_pattern={"layer.1.attention.self.query": 2},
        alpha_pattern={"layer.0.attention.self.value": 3},
    )
    adapted = get_peft_model(model[0].auto_model, config)
    generator = torch.Generator().manual_seed(11)
    with torch.no_grad():
        for name, parameter in adapted.named_parameters():
            if parameter.requires_grad:
                parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.3)
    adapted.eval()
    adapted.peft_config["default"].base_model_name_or_path = "bert-cls-dense"
    adapted.save_pretrained(folder)
    (folder / "README.md").unlink(missing_ok=True)  # a model card about nothing
    vectors = model.encode(TEXTS, batch_size=5, normalize_embeddings=True)
    kept = [{"text": text, "vector": [float(x) for x in vector]} for text, vector in zip(TEXTS, vectors)]
    lines = ",\n".join(json.dumps(entry, ensure_ascii=False) for entry in kept)
    (folder / "golden.json").write_text(f"[\n{lines}\n]\n", encoding="utf-8")

    shared = torch.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
    state = torch.nn.Module().state_dict()  # an OrderedDict with _metadata, as models save it
    state["shared.weight"] = shared
    state["lm_head.weight"] = shared
    state["turned.weight"] = shared.t()
    state["bf.weight"] = torch.tensor([0.5, -2.0], dtype=torch.bfloat16)
    state["count"] = torch.tensor(7)
    torch.save(state, HERE / "tied.bin")


if __name__ == "__main__":
    main()
