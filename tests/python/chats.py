"""A conversation, tools, and templates of the test's own over the tiny checkpoint."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, List

from cli import TINY

CHAT: List[Dict[str, Any]] = [{"role": "user", "content": "Tom has 5 apples."}]
TOOLS: List[Dict[str, Any]] = [
    {"type": "function", "function": {"name": "add", "description": "Adds \u00e9 < 2.",
                                      "parameters": {"type": "object", "properties": {}}}}]
LISTS_TOOLS = """{{ bos_token }}{% if tools %}<|im_start|>system
{% for tool in tools %}{{ tool | tojson }}{% if not loop.last %}, {% endif %}{% endfor %}<|im_end|>
{% endif %}{% for m in messages %}<|im_start|>{{ m.role }}
{{ m.content }}<|im_end|>
{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant
{% endif %}"""


def with_template(folder: Path, template: str) -> Path:
    """The tiny checkpoint with another template."""
    for path in TINY.iterdir():
        if path.name != "chat_template.jinja":
            (folder / path.name).symlink_to(path)
    (folder / "chat_template.jinja").write_text(template, encoding="utf-8")
    return folder
