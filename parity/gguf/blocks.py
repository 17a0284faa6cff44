"""Writes a GGUF file of random blocks of every type that we read, and their values as PyPI's `gguf` dequantises them.

    python parity/gguf/blocks.py crates/stepladder-model/tests/gguf

`blocks.gguf` has one tensor per type, under the type's name; `blocks.safetensors` has the same names in f32.
"""

import argparse
import json
import struct
from pathlib import Path

import numpy as np
from gguf import GGUFWriter
from gguf.constants import GGML_QUANT_SIZES, GGMLQuantizationType as Type
from gguf.quants import dequantize

TYPES = [Type.F32, Type.F16, Type.BF16, Type.Q8_0, Type.Q4_0, Type.Q4_1, Type.Q5_0, Type.Q5_1, Type.Q4_K, Type.Q6_K]
# Bytes of a block at which 16-bit floats begin.
SCALES = {
    Type.Q8_0: [0], Type.Q4_0: [0], Type.Q4_1: [0, 2], Type.Q5_0: [0], Type.Q5_1: [0, 2], Type.Q4_K: [0, 2], Type.Q6_K: [208],
}


def halves(draw, count):
    """Random bit patterns of 16-bit floats, subnormal ones and zeros among them, without NaN, whose bits are not defined."""
    bits = draw.integers(0, 1 << 16, count, dtype=np.uint16)
    bits[bits & 0x7C00 == 0x7C00] &= 0xBFFF
    bits[::7] &= 0x83FF
    return bits


def blocks(draw, kind):
    """Rows of random bytes: two rows of two blocks, or of 256 values."""
    values, size = GGML_QUANT_SIZES[kind]
    columns = max(256, 2 * values)
    if kind == Type.F32:
        return draw.standard_normal((2, columns), dtype=np.float32).view(np.uint8)
    if kind in (Type.F16, Type.BF16):
        return halves(draw, 2 * columns).reshape(2, columns).view(np.uint8)
    data = draw.integers(0, 256, (2 * columns // values, size), dtype=np.uint8)
    for at in SCALES[kind]:
        data[:, at:at + 2] = halves(draw, len(data)).view(np.uint8).reshape(-1, 2)
    return data.reshape(2, -1)


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("directory", type=Path)
    directory = arguments.parse_args().directory
    draw = np.random.default_rng(17)
    writer = GGUFWriter(directory / "blocks.gguf", "llama")
    header, data = {}, b""
    for kind in TYPES:
        raw = blocks(draw, kind)
        values = dequantize(raw, kind).astype("<f4")
        # Invalid operations would leave the sign of a NaN to the processor.
        assert np.isfinite(values).all(), kind
        if kind in (Type.F32, Type.F16):
            raw = raw.view({Type.F32: np.float32, Type.F16: np.float16}[kind])
            writer.add_tensor(kind.name, raw)
        else:
            writer.add_tensor(kind.name, raw, raw_dtype=kind)
        header[kind.name] = {
            "dtype": "F32", "shape": list(values.shape), "data_offsets": [len(data), len(data) + values.nbytes]}
        data += values.tobytes()
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    text = json.dumps(header).encode()
    (directory / "blocks.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + data)


if __name__ == "__main__":
    main()
