"""The stream of a weight update, read one code at a time: what protocol/PROTOCOL.md says of it,
apart from the client's vector code and the worker's C."""

import numpy as np
from stampede import wire

WIDTH = {"f32": 4, "bf16": 2, "f16": 2}
ALIGN = 64


class Reader:
    def __init__(self, data):
        self.data, self.at = bytes(data), 0

    def part(self, n_bytes):
        out = self.data[self.at:self.at + n_bytes]
        assert len(out) == n_bytes
        self.at += -(-n_bytes // ALIGN) * ALIGN
        return out


def positions_of(codes, anchors, width):
    """Positions of a sparse tensor; the anchors are checked."""
    skip, cursor, out = 256**width - 1, 0, []
    for i in range(len(codes) // width):
        if i % 4096 == 0:
            assert anchors[i // 4096].tolist() == [cursor, len(out)]
        code = int.from_bytes(codes[width * i:width * (i + 1)], "little")
        if code == skip:
            cursor += code
            continue
        out.append(cursor + code)
        cursor += code + 1
    return out


def apply(begin, stream, held):
    """Returns the tensors (name to bytes) after the update, of `held` before it."""
    names = wire.unpack_texts(begin["names"], begin["name_offsets"])
    reader, out = Reader(stream), dict(held)
    shapes = begin["shapes"].reshape(-1, 4)
    for i, name in enumerate(names):
        width = WIDTH[wire.DTYPE_NAMES[int(begin["dtypes"][i])]]
        n, mode = int(begin["n_values"][i]), int(begin["modes"][i])
        if mode == wire.TENSOR_SKIP:
            continue
        if mode == wire.TENSOR_DENSE:
            assert n == np.prod(shapes[i][:int(begin["ranks"][i])])
            out[name] = reader.part(n * width)
            continue
        code_bytes, n_codes = int(begin["code_bytes"][i]), int(begin["n_codes"][i])
        codes = reader.part(code_bytes * n_codes)
        anchors = np.frombuffer(reader.part(16 * -(-n_codes // 4096)), "<u8").reshape(-1, 2)
        values = reader.part(n * width)
        tensor = bytearray(out[name])
        positions = positions_of(codes, anchors, code_bytes)
        assert len(positions) == n and n > 0
        for k, p in enumerate(positions):
            assert (p + 1) * width <= len(tensor)
            tensor[width * p:width * (p + 1)] = values[width * k:width * (k + 1)]
        out[name] = bytes(tensor)
    assert reader.at == len(reader.data) == begin["total_bytes"]
    return out
