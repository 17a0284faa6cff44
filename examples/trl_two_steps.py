"""Trains a tiny random model for two steps with TRL's GRPO: each move on a Sokoban board is a tool that the model calls.

    pip install trl transformers datasets torch target/wheels/stepladder-*.whl
    python examples/trl_two_steps.py

The model first learns to call any of the four tools, since a random one would never call one. Nothing is downloaded.
"""

import inspect
import json
import tempfile

import torch
from datasets import Dataset
from stepladder.trl import Sokoban, rows
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast
from trl import GRPOConfig, GRPOTrainer
from trl.chat_template_utils import qwen3_chat_template

CALLS = [f'<tool_call>\n{{"name": "{move}", "arguments": {{}}}}\n</tool_call><|im_end|>' for move in ["up", "down", "left", "right"]]


class Board(Sokoban):
    """A board for six moves that counts the calls of its tools."""

    calls = 0

    def __init__(self) -> None:
        super().__init__(max_steps=6)

    def _play(self, action: str) -> str:
        Board.calls += 1
        return super()._play(action)


def prompts(words: PreTrainedTokenizerFast) -> list[str]:
    """Writes the prompts that the trainer will write."""
    env = Board()
    tools = [getattr(env, name) for name, member in vars(Sokoban).items() if inspect.isfunction(member) and name[0] != "_"]
    texts = []
    for row in rows("sokoban", count=4):
        message = {"role": "user", "content": row["prompt"][0]["content"] + env.reset(**row)}
        texts.append(words.apply_chat_template([message], tools=tools, add_generation_prompt=True, tokenize=False))
    return texts


def tokenizer() -> PreTrainedTokenizerFast:
    """Returns a tokenizer that knows the words of the prompts, with the chat template of Qwen 3."""
    special = ["<|im_end|>", "<|pad|>", "<|im_start|>"]
    pieces = Tokenizer(models.BPE())
    pieces.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    pieces.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    wrap = {"eos_token": special[0], "pad_token": special[1], "chat_template": qwen3_chat_template}
    bare = PreTrainedTokenizerFast(tokenizer_object=pieces, **wrap)
    trainer = trainers.BpeTrainer(vocab_size=1000, initial_alphabet=alphabet, special_tokens=special, show_progress=False)
    pieces.train_from_iterator([*prompts(bare), *CALLS], trainer)
    return PreTrainedTokenizerFast(tokenizer_object=pieces, **wrap)


def learn_to_call(model: LlamaForCausalLM, words: PreTrainedTokenizerFast) -> None:
    """Trains the model to reply with the call of a tool, of any of them."""
    optimiser = torch.optim.AdamW(model.parameters(), lr=3e-3)
    texts = prompts(words)
    for step in range(150):
        before = words(texts[step % len(texts)], return_tensors="pt")["input_ids"].repeat(len(CALLS), 1)
        after = words(CALLS, return_tensors="pt", padding=True)["input_ids"]
        labels = torch.cat([torch.full_like(before, -100), after.masked_fill(after == words.pad_token_id, -100)], dim=1)
        optimiser.zero_grad()
        loss = model(input_ids=torch.cat([before, after], dim=1), labels=labels).loss
        loss.backward()
        optimiser.step()
    print(json.dumps({"loss of the calls": loss.item()}))


def main() -> None:
    torch.manual_seed(0)
    words = tokenizer()
    size = LlamaConfig(
        vocab_size=len(words),
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=4,
        max_position_embeddings=16384,
        pad_token_id=words.pad_token_id,
        eos_token_id=words.eos_token_id,
        bos_token_id=None,
    )
    model = LlamaForCausalLM(size)
    learn_to_call(model, words)
    before = {name: value.detach().clone() for name, value in model.named_parameters()}
    with tempfile.TemporaryDirectory() as directory:
        trainer = GRPOTrainer(
            model=model,
            processing_class=words,
            environment_factory=Board,
            train_dataset=Dataset.from_list(rows("sokoban", count=2)),
            args=GRPOConfig(
                output_dir=directory,
                max_steps=2,
                per_device_train_batch_size=4,
                num_generations=4,
                max_completion_length=1024,
                max_tool_calling_iterations=6,
                learning_rate=1e-3,
                use_cpu=True,
                bf16=False,
                report_to="none",
                save_strategy="no",
                logging_steps=1,
            ),
        )
        trainer.train()
    log = [entry for entry in trainer.state.log_history if "reward" in entry]
    changed = sum(not torch.equal(before[name], value) for name, value in model.named_parameters())
    print(json.dumps({"steps": trainer.state.global_step, "calls of tools": Board.calls, "changed parameters": changed}))
    for entry in log:
        print(json.dumps({key: value for key, value in entry.items() if "reward" in key or key == "loss" or "tools" in key}))
    assert trainer.state.global_step == 2 and Board.calls > 0 and changed > 0


if __name__ == "__main__":
    main()
