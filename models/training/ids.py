"""The id of a text in annotations.tsv."""

import hashlib
import re
import unicodedata


def text_id(text):
    """First 10 hex digits of the SHA-1 of the normalized text (NFKC, lower case, other runs than a-z0-9 as a space)."""
    plain = re.sub(r"[^a-z0-9]+", " ", unicodedata.normalize("NFKC", text).lower()).strip()
    return hashlib.sha1(plain.encode()).hexdigest()[:10]
