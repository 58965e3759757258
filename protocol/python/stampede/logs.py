"""The logger "stampede": what a peer says stays one line, and gives a terminal no escapes."""

from __future__ import annotations

import logging


class _OneLine(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        text = record.getMessage()
        if not text.isprintable():
            record.msg = "".join(c if c.isprintable() else "?" for c in text)
            record.args = None
        return True


logging.getLogger("stampede").addFilter(_OneLine())
