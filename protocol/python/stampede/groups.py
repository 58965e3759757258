"""From prompts to the fields of TASK, and from RESULT to groups."""

from __future__ import annotations

import json
import queue
from typing import Any, Dict, Optional, Set

import numpy as np

from . import wire
from .types import Group, Prompt, Sampling, compact_json, group_seed


class Job:
    """A group on its way: what its TASKs say, and which samples have come."""

    def __init__(self, group: Group, fields: Dict[str, Any],
                 mailbox: "queue.SimpleQueue[Group]") -> None:
        self.group = group
        self.fields = fields  # of TASK, but for first, n and attempt
        # Where the finished group goes. Not the Generation itself, which must be free to be
        # dropped by whoever left its loop.
        self.mailbox = mailbox
        self.done: Set[int] = set()  # samples that were committed: each once
        self.attempts: Dict[int, int] = {}  # of samples that were given out again
        self.cancelled = False

    @property
    def serial(self) -> int:
        return self.group.serial

    @property
    def complete(self) -> bool:
        return len(self.done) == self.group.n

    def cancel_sample(self, sample: int) -> None:
        """Ends a sample that no worker has any more."""
        self.group.finish_reason[sample] = "cancelled"
        self.done.add(sample)

    def commit(self, m: wire.Message, row: int) -> None:
        """Takes sample `row` of a RESULT into the group. The arrays are views of the frame."""
        g, i = self.group, int(m["sample"][row])
        begin, end = m["token_offsets"][row:row + 2]
        g.tokens[i] = m["tokens"][begin:end]
        g.lp_full[i] = m["lp_full"][begin:end]
        g.lp_behav[i] = m["lp_behav"][begin:end]
        g.finish_reason[i] = wire.FINISH[m["finish"][row]]
        first, last = m["span_offsets"][row:row + 2]
        g.version_spans[i] = list(zip(m["span_first"][first:last].tolist(),
                                      m["span_version"][first:last].tolist()))
        if m["text"] is not None:
            g.text[i] = _text(m, "text", row)
        if m["status"] is not None:
            g.status[i] = wire.STATUS[m["status"][row]]
        if m["value"] is not None:
            g.rewards[i] = m["value"][row]
        if g.finish_reason[i] in ("error", "cancelled"):
            g.rewards[i] = np.nan
        g.terms[i] = _terms(_text(m, "reward", row))
        g.errors[i] = _text(m, "error", row) or None
        if m["prompt_ids"] is not None:
            g.prompt_ids = m["prompt_ids"]
        if m["prompt_lp_full"] is not None:
            g.prompt_lp_full = m["prompt_lp_full"]
        if m["routed"] is not None:
            shape = (-1, m["moe_layers"], m["experts_per_token"])
            first, last = m["routed_offsets"][row:row + 2]
            g.routed_experts[i] = m["routed"].reshape(shape)[first:last]
        self.done.add(i)


def _text(m: wire.Message, name: str, row: int) -> str:
    joined, offsets = m[name], m[f"{name}_offsets"]
    if joined is None:
        return ""
    return joined[offsets[row]:offsets[row + 1]].tobytes().decode("utf-8", "replace")


def _terms(text: str) -> Any:
    try:
        return json.loads(text).get("terms", []) if text else []
    except (ValueError, AttributeError):
        return []


def _bytes(text: Optional[str]) -> Optional[np.ndarray]:
    return None if text is None else np.frombuffer(text.encode(), "<u1")


def _token_ids(ids: Any) -> np.ndarray:
    array = np.asarray(ids)
    if array.ndim != 1 or (array.size and (array.dtype.kind not in "iu" or array.min() < 0
                                           or array.max() > 0x7FFFFFFF)):
        raise ValueError("Prompt: prompt_ids are not a list of token ids of 0 or more.")
    return array.astype("<i4")


def make_job(prompt: Prompt, index: int, serial: int, n: int, sampling: Sampling, seed: int,
             request: Dict[str, Any], mailbox: Any) -> Job:
    """Everything of a group that can be known before a worker sees it."""
    if not isinstance(prompt, Prompt):
        raise TypeError(f"Prompt {index} is a {type(prompt).__name__}, expected stampede.Prompt.")
    s = prompt.sampling or sampling
    n = prompt.n or n
    if not 1 <= n <= wire.MAX_SAMPLES:
        raise ValueError(f"Prompt {index}: n is {n}, expected 1 to {wire.MAX_SAMPLES}.")
    group_id = prompt.id if prompt.has_id else serial
    id_json = compact_json(group_id)
    if len(id_json.encode()) > 4096:
        raise ValueError(f"Prompt {index}: the id has over 4096 bytes as JSON.")
    if len(s.stop) > 64:
        raise ValueError(f"Prompt {index}: {len(s.stop)} stop texts, at most 64 are allowed.")
    fields: Dict[str, Any] = {
        "serial": serial, "id": id_json, "seed": group_seed(seed if s.seed is None else s.seed,
                                                            id_json),
        "max_new_tokens": s.max_new_tokens, "temperature": s.temperature, "top_p": s.top_p,
        "min_p": s.min_p, "repetition_penalty": s.repetition_penalty, "top_k": s.top_k,
        "ignore_eos": s.ignore_eos, "prompt": _bytes(prompt.prompt),
        "reward": _bytes(prompt.reward_json()), **request}
    if prompt.messages is not None:
        fields["messages"] = _bytes(compact_json([dict(m) for m in prompt.messages]))
    if prompt.prompt_ids is not None:
        fields["prompt_ids"] = _token_ids(prompt.prompt_ids)
    if prompt.meta is not None:
        fields["meta"] = _bytes(compact_json(prompt.meta))
    if s.stop:
        fields["stop"], fields["stop_offsets"] = wire.pack_texts([t.encode() for t in s.stop])
    if s.stop_ids:
        fields["stop_ids"] = np.array(s.stop_ids, "<i4")
    if s.logit_bias:
        fields["bias_ids"] = np.array(list(s.logit_bias), "<i4")
        fields["bias_values"] = np.array(list(s.logit_bias.values()), "<f4")
    return Job(Group(group_id, index, serial, n, prompt.meta), fields, mailbox)
