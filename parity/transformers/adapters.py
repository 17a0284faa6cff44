"""Writes PEFT adapters over the tiny checkpoints of families.py, with the logits that peft computes.

    python parity/transformers/adapters.py crates/stepladder-model/tests/families crates/stepladder-model/tests/adapters
    python parity/transformers/adapters.py --check BASE ADAPTER    # logits of an adapter that Stepladder wrote

B matrices are random instead of zero, so that every adapter has an effect. `--check` compares with `logits.safetensors` in
the adapter's directory, which `cargo nextest run -p stepladder-model --test adapters` leaves there with STEPLADDER_ADAPTERS
set to a directory.
"""

import argparse
import json
import shutil
from pathlib import Path

import peft
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM

ALL = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
ADAPTERS = {
    "qwen3-all": ("qwen3", dict(r=3, lora_alpha=7, target_modules=ALL)),
    "gemma-qv": ("gemma", dict(r=2, lora_alpha=3, target_modules=["v_proj", "q_proj"])),
    "qwen2-rslora": ("qwen2-bf16", dict(r=4, lora_alpha=2, target_modules=["up_proj", "o_proj", "k_proj"], use_rslora=True)),
}
IDS = [[3, 17, 5, 29, 8, 8, 11, 24, 6, 13]]


def base_of(directory):
    return AutoModelForCausalLM.from_pretrained(directory, dtype=torch.float32, attn_implementation="eager")


@torch.no_grad()
def logits_of(model):
    return model.eval()(torch.tensor(IDS)).logits[0].contiguous()


def write(bases, root):
    for seed, (name, (base, options)) in enumerate(ADAPTERS.items()):
        directory = root / name
        shutil.rmtree(directory, ignore_errors=True)
        torch.manual_seed(seed)
        model = get_peft_model(base_of(bases / base), LoraConfig(task_type="CAUSAL_LM", bias="none", **options))
        with torch.no_grad():
            for parameter_name, parameter in model.named_parameters():
                if "lora_B" in parameter_name:
                    parameter.copy_(0.3 * torch.randn(parameter.shape))
        model.save_pretrained(directory)
        # The card and the path of the base model say nothing that a test needs.
        (directory / "README.md").unlink(missing_ok=True)
        config = json.loads((directory / "adapter_config.json").read_text())
        config["base_model_name_or_path"] = base
        (directory / "adapter_config.json").write_text(json.dumps(config, indent=2) + "\n")
        model = PeftModel.from_pretrained(base_of(bases / base), directory)
        save_file({"logits": logits_of(model), "base": logits_of(base_of(bases / base))},
                  directory / "expected.safetensors")
        print(name, peft.__version__)


def check(base, directory):
    expected = load_file(directory / "logits.safetensors")["logits"]
    found = logits_of(PeftModel.from_pretrained(base_of(base), directory))
    worst = (found - expected).abs().max().item()
    print(f"{directory}: logits differ by at most {worst:.2g}")
    if not worst < 1e-5 * max(1.0, expected.abs().max().item()):
        raise SystemExit(1)


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--check", action="store_true")
    arguments.add_argument("base", type=Path)
    arguments.add_argument("directory", type=Path)
    options = arguments.parse_args()
    (check if options.check else write)(options.base, options.directory)


if __name__ == "__main__":
    main()
